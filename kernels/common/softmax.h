/* SPDX-License-Identifier: Apache-2.0 */
/* The online softmax: a running maximum and sum a row, and the merge of partial results.
 *
 *   m' = max(m, max x)    l' = l e^(m-m') + sum e^(x-m')    o' = o e^(m-m') + sum e^(x-m') v
 * Why the care: a row of which nothing is allowed yet has m = -inf, and -inf - -inf is NaN; a NaN
 * logit must reach the row's result even where every other logit is -inf, and no comparison finds
 * it. Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax". */
#ifndef ATT_COMMON_SOFTMAX_H
#define ATT_COMMON_SOFTMAX_H

#include <stdbool.h>

#include "common/mask.h"
#include "common/simd.h"

/* max of two logits where only a NaN in `top` stays; -inf becomes NaN if x[0..n) holds one. */
static inline float att_softmax_top(float top, const float *x, int64_t n)
{
    att_vf high = att_vf_load(x);
    high = att_vf_raise(att_vf_set(-INFINITY), high);
    for (int64_t c = ATT_W; c < n; c += ATT_W)
        high = att_vf_raise(high, att_vf_load(x + c));
    const float tile = att_vf_top(high);
    const float next = tile > top ? tile : top;
    if (next == -INFINITY)
        for (int64_t c = 0; c < n; c++)
            if (isnan(x[c]))
                return NAN;
    return next;
}

/* x[0..n) := e^(x - top); returns the sum.  n is a multiple of ATT_W.  top = -inf: all zeros. */
static inline float att_softmax_weights(float top, float *x, int64_t n)
{
    att_vf sum = {0};
    if (top == -INFINITY) {
        memset(x, 0, (size_t)n * sizeof *x);
        return 0.0f;
    }
    for (int64_t c = 0; c < n; c += ATT_W) {
        const att_vf p = att_vf_exp(att_vf_load(x + c) - top);
        att_vf_store(x + c, p);
        sum += p;
    }
    return att_vf_sum(sum);
}

/* keep[r] = e^(old - next), 1 where nothing changed (-inf and -inf, inf and inf), for up to 6 rows;
 * keep has room for 16. */
static inline void att_softmax_keep(const float *old, const float *next, int rows, float *keep)
{
    for (int r = 0; r < 16; r++)
        keep[r] = r < rows && old[r] != next[r] ? old[r] - next[r] : 0.0f;
    for (int r = 0; r < rows; r += ATT_W)
        att_vf_store(keep + r, att_vf_exp(att_vf_load(keep + r)));
}

/* A row's running sums become its result: out = o / (sum + e^(z - top)), LSE = top + ln sum; zeros
 * and -inf where no key is allowed.  (top = -inf without that: every logit was -inf; that is NaN.)
 */
static inline void att_softmax_finish(const att_problem *p, const att_seq *seq, const att_row *row,
                                      bool empty, float top, float sum, float *o)
{
    const int64_t i = seq->q_at + row->i;
    double total = (double)sum, lse = (double)top + log((double)sum);

    if (p->sinks.data)
        total += exp((double)att_per_head(&p->sinks, row->h) - (double)top);
    if (top == -INFINITY)
        lse = empty ? -(double)INFINITY : (double)NAN;
    for (int64_t d = 0; d < p->value_dim; d++) /* a far sink's e^(z - top) fits no f32 */
        o[d] = empty ? 0.0f : top == -INFINITY ? NAN : (float)((double)o[d] / total);
    att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, seq->at, row->h, i, 0),
                  p->out.stride[3], p->value_dim, o);
    if (p->lse.data) {
        const int64_t at = att_tensor_at(&p->lse, 0, seq->at, row->h, i);
        if (p->lse.dtype == ATT_F64)
            ((double *)p->lse.data)[at] = lse;
        else
            ((float *)p->lse.data)[at] = (float)lse;
    }
}

#endif
