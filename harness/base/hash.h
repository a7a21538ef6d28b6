/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATT_HASH_H
#define ATT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* xxHash XXH3: fingerprints, never security. */
uint64_t att_hash64(const void *data, size_t length);
/* SHA-256 of a file (libcrypto) as 64 hex digits; false and errno on failure. */
bool att_sha256_file(const char *path, char out[65]);

#endif
