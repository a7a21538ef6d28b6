/* SPDX-License-Identifier: Apache-2.0 */
/* Address space of which only a few pages are memory, for tensors whose offsets pass 2^31 and 2^32.
 *
 * Reserved without access; pages that are opened hold the pattern 0xFF.. (a NaN in every float type
 * here), every other byte stops whoever touches it.  A reservation costs no memory and is not
 * counted against a soft limit of the address space. */
#ifndef ATT_FAR_H
#define ATT_FAR_H

#include <stdbool.h>
#include <stddef.h>

typedef struct att_far {
    unsigned char *map;
    size_t bytes; /* of the reservation, whole pages */
    size_t *page; /* [pages] opened ones by number, ascending */
    size_t pages, room;
    size_t raised; /* bytes by which the soft limit was raised */
} att_far;

/* Reserves at least `bytes`; false: the machine or its limits do not give that much. */
bool att_far_make(att_far *out, size_t bytes);
/* Opens the pages that bytes [at, at + bytes) of the reservation touch; those already open keep
 * what they hold.  false: out of the reservation, or no memory. */
bool att_far_open(att_far *far, size_t at, size_t bytes);
/* Do `bytes` bytes from `data` on lie in opened pages? */
bool att_far_holds(const att_far *far, const void *data, size_t bytes);
/* Fills opened pages with a byte. */
void att_far_fill(att_far *far, int byte);
/* The number of bytes in opened pages that are not the pattern. */
size_t att_far_written(const att_far *far);
/* Makes opened pages read-only or writable again. */
void att_far_freeze(att_far *far, bool frozen);
void att_far_drop(att_far *far);

#endif
