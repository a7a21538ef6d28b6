/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the coordinator and its workers: a 4-byte little-endian length, then JSON. */
#ifndef ATT_WIRE_H
#define ATT_WIRE_H

#include <stddef.h>

#include "attn.h"

#define ATT_WIRE_LIMIT ((size_t)64 << 20) /* a longer message is a lie */

/* Writes one message whole; IO when the other end is gone. */
att_status att_wire_send(int fd, const char *text, size_t length);
/* Reads one message, NUL-terminated; free() it.  IO at the end of the pipe, CORRUPT for a length
 * over the limit. */
att_status att_wire_receive(int fd, char **text, size_t *length);

#endif
