/* SPDX-License-Identifier: Apache-2.0 */
/* Compensated sums of doubles, a vector at a time.
 *
 *   two_sum: s = fl(a + b), e = (a + b) - s exactly (Knuth)       result = sum + sum of the e
 *
 * Error of a sum of n terms: |e| <= 2^-53 |sum| + n^2 2^-106 sum |terms| (Ogita, Rump and Oishi
 * 2005), beside the rounding of each product (none for f32 and narrower inputs: 48 bits fit).
 * Compiled with -ffp-contract=off. */
#ifndef ATT_REFERENCE_SUM_H
#define ATT_REFERENCE_SUM_H

#include <string.h>

#include "attn.h"

typedef double ref_lanes __attribute__((vector_size(32)));
#define REF_LANES 4

/* A running compensated sum. */
typedef struct ref_sum {
    double sum, low;
} ref_sum;

static inline void ref_add(ref_sum *a, double x)
{
    double t = a->sum + x, part = t - a->sum;

    a->low += (a->sum - (t - part)) + (x - part);
    a->sum = t;
}

/* The value; where an Inf or NaN went in, the compensation means nothing. */
static inline double ref_total(const ref_sum *a)
{
    return isfinite(a->sum) ? a->sum + a->low : a->sum;
}

/* sum_d x[d] y[d] */
static inline double ref_dot(const double *x, const double *y, int64_t n)
{
    ref_lanes sum = {0}, low = {0};
    ref_sum total = {0, 0};
    int64_t d = 0;

    for (; d + REF_LANES <= n; d += REF_LANES) {
        ref_lanes a, b;
        memcpy(&a, x + d, sizeof a);
        memcpy(&b, y + d, sizeof b);
        ref_lanes product = a * b, t = sum + product, part = t - sum;
        low += (sum - (t - part)) + (product - part);
        sum = t;
    }
    for (int lane = 0; lane < REF_LANES; lane++) {
        ref_add(&total, sum[lane]);
        if (isfinite(total.sum))
            total.low += low[lane];
    }
    for (; d < n; d++)
        ref_add(&total, x[d] * y[d]);
    return ref_total(&total);
}

/* sum[d] += w x[d], the roundings collected in low[d]. */
static inline void ref_axpy(double w, const double *x, double *sum, double *low, int64_t n)
{
    int64_t d = 0;

    for (; d + REF_LANES <= n; d += REF_LANES) {
        ref_lanes a, s, l;
        memcpy(&a, x + d, sizeof a);
        memcpy(&s, sum + d, sizeof s);
        memcpy(&l, low + d, sizeof l);
        ref_lanes product = a * w, t = s + product, part = t - s;
        l += (s - (t - part)) + (product - part);
        memcpy(sum + d, &t, sizeof t);
        memcpy(low + d, &l, sizeof l);
    }
    for (; d < n; d++) {
        ref_sum one = {sum[d], low[d]};
        ref_add(&one, w * x[d]);
        sum[d] = one.sum;
        low[d] = one.low;
    }
}

#endif
