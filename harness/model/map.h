/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATT_MAP_H
#define ATT_MAP_H

#include <stddef.h>

#include "attn.h"
#include "base/why.h"

/* Maps a regular file of at least `least` bytes for reading: IO, or CORRUPT when it is shorter. The
 * file must not be cut short while it is mapped. */
att_status att_map_open(const char *path, size_t least, const void **data, size_t *size,
                        att_why *why);
void att_map_close(const void *data, size_t size);

#endif
