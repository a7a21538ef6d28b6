/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded memory: buffers that show who reads or writes past them.
 *
 * aligned: starts on 64 bytes, NaN-patterned red zones on both sides, checked by att_guard_check;
 * flush:   ends exactly at a PROT_NONE page (and begins after one, slack filled with the pattern);
 * front:   begins exactly after a PROT_NONE page, for who reads or writes before the start.
 * These are filled with the pattern 0xFF.. (a NaN in every float type here) when made.
 * loose:   what a plain allocation gives: 64 KiB of zeros on both sides, zeros inside. */
#ifndef ATT_MEM_H
#define ATT_MEM_H

#include <stdbool.h>
#include <stddef.h>

typedef enum att_placement {
    ATT_PLACE_ALIGNED = 0,
    ATT_PLACE_FLUSH,
    ATT_PLACE_LOOSE,
    ATT_PLACE_FRONT
} att_placement;

typedef struct att_guard {
    void *data; /* `bytes` usable bytes */
    size_t bytes;
    void *map; /* the whole mapping */
    size_t map_bytes;
    unsigned char pattern;   /* of what nobody wrote */
    unsigned char canary[8]; /* what armed red zones repeat, from the data on to both sides */
    size_t canary_bytes;     /* 0 = the pattern */
} att_guard;

/* From now on the process's guards let everything through and count it, 64 KiB on both sides: to
 * see what a case that crashed at them does.  Before the first guard is made. */
void att_guard_open(void);

/* false: no memory.  bytes may be 0. */
bool att_guard_make(att_guard *out, size_t bytes, att_placement placement);
/* Fills the red zones with a unit of 1, 2, 4 or 8 bytes in place of the pattern: one that even the
 * addition of 0 changes (a signalling NaN turns quiet, which the pattern already is). */
void att_guard_arm(att_guard *guard, const void *unit, size_t bytes);
/* The number of red-zone bytes that changed. */
size_t att_guard_changed(const att_guard *guard);
/* Of these the ones before the data; *farthest: how far before its start, in bytes. */
size_t att_guard_changed_before(const att_guard *guard, size_t *farthest);
/* The same, those of the data included: bytes that are not the pattern. */
size_t att_guard_written(const att_guard *guard);
/* Makes the buffer read-only (inputs during a call) or writable again. */
void att_guard_freeze(att_guard *guard, bool frozen);
void att_guard_drop(att_guard *guard);

/* a * b, false on overflow. */
bool att_size_mul(size_t a, size_t b, size_t *out);

#endif
