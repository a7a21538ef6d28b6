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
    double *context; /* a context's wins minus its losses */
    double *score;   /* a context's sum of differences of scores that are finite on both sides */
    size_t contexts, room;
    int64_t scored; /* items that have such a difference */
    /* Within the calls of att_paired_add, so that lengths which differ are no sign of clustering:
     * squares of contexts about their call's mean, their degrees of freedom, and what the squares
     * of items would add up to if items stood alone. */
    double squares, alone;
    int64_t degrees;
} att_paired;

/* Adds n items, in the same order on both sides; contexts of one call are not those of another.
 * false: no memory. */
bool att_paired_add(att_paired *p, const att_item *base, const att_item *own, size_t n);
/* Adds what `from` counted.  false: no memory. */
bool att_paired_merge(att_paired *to, const att_paired *from);
/* own minus base, as a share of the items; NAN where there are none. */
double att_paired_difference(const att_paired *p);
att_interval att_paired_interval(const att_paired *p, double confidence);
/* One-sided exact tests of "own is worse" and "own is better": McNemar by contexts (base/stats.h),
 * so that items that share one do not count as so many.  1 where there are none; NAN: no memory. */
double att_paired_worse(const att_paired *p);
double att_paired_better(const att_paired *p);
/* One-sided sign-flip test of contexts' scores: own lower than base.  NAN where none is scored. */
double att_paired_score_less(const att_paired *p);
/* Mean difference of scores; NAN where none is scored. */
double att_paired_score_difference(const att_paired *p);
/* Design effect of the differences: how many times more items it takes than if every item had a
 * context of its own; at least 1, n where there is one context, 1 where nothing differs.  Within
 * the calls of att_paired_add; over them where each added one context. */
double att_paired_effect(const att_paired *p);
/* How many items it takes, at the discordance and the spread over contexts that were seen, until
 * the lower bound of the interval lies above -margin with probability `power`; -1: no number does,
 * or there is one context alone. */
int64_t att_paired_needs(const att_paired *p, double margin, double confidence, double power);
void att_paired_drop(att_paired *p);

#endif
