/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that counts who comes: pages closed to everyone, opened and counted at the first touch.
 *
 * So the work that code really does on its inputs is measured without a clock, and memory that is
 * dead by contract can be seen to be used.  O(1) a page touched first (a fault and a change of
 * protection, some microseconds), nothing for a page already open. */
#ifndef ATT_TOUCH_H
#define ATT_TOUCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct att_touch {
    void *data; /* page-aligned */
    size_t bytes, page;
    uint8_t *touched; /* a page: touched since it was closed */
    int slot;         /* in the handler's table; -1 = open */
} att_touch;

/* Zeroed open memory of at least `bytes`; false: no memory. */
bool att_touch_make(att_touch *out, size_t bytes);
/* Closes every page.  A page opens at its first touch: for reading alone, or for both. */
bool att_touch_close(att_touch *t, bool writable);
/* Opens every page; what was counted stays. */
void att_touch_open(att_touch *t);
/* Pages touched among those that hold bytes [from, from + n). */
size_t att_touch_count(const att_touch *t, size_t from, size_t n);
void att_touch_drop(att_touch *t);

#endif
