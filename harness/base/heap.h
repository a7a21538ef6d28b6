/* SPDX-License-Identifier: Apache-2.0 */
/* What code takes from malloc, exactly and without a clock: bytes in use, their peak, and memory
 * filled as it is handed out and given back, so that nobody profits from what it happens to hold.
 *
 * The program's own malloc stands before the C library's.  Where it cannot (sanitizers bring
 * theirs, another C library), nothing is filled and att_heap_counts is false. */
#ifndef ATT_HEAP_H
#define ATT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Is malloc counted in this program? */
bool att_heap_counts(void);

/* From now on, in every thread: bytes handed out and given back are counted. */
void att_heap_begin(void);
void att_heap_end(void);
/* Bytes in use more (or, negative, less) than at att_heap_begin; the most since then or since
 * att_heap_mark, which makes what is in use now the most. */
int64_t att_heap_now(void);
int64_t att_heap_most(void);
void att_heap_mark(void);

/* The bytes that fresh and freed memory is filled with; -1 = left as it is. */
void att_heap_fill(int fresh, int freed);

#endif
