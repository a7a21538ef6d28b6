/* SPDX-License-Identifier: Apache-2.0 */
/* The paired difference of two kernels' hits on the same items. */
#ifndef ATT_PAIRED_H
#define ATT_PAIRED_H

#include <stdbool.h>

#include "base/stats.h"
#include "core/result.h"

/* Zero-initialise; att_paired_drop frees. */
typedef struct att_paired {
    int64_t n, wins, losses;
    double *context; /* sum of the differences of a context */
    size_t contexts, room;
} att_paired;

/* Adds n items, in the same order on both sides; contexts of one call are not those of another.
 * false: no memory. */
bool att_paired_add(att_paired *p, const att_item *base, const att_item *own, size_t n);
/* Adds what `from` counted.  false: no memory. */
bool att_paired_merge(att_paired *to, const att_paired *from);
/* own minus base, as a share of the items; NAN where there are none. */
double att_paired_difference(const att_paired *p);
att_interval att_paired_interval(const att_paired *p, double confidence);
void att_paired_drop(att_paired *p);

#endif
