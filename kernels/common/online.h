/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces for kernels that are the plain loop with its sums in another order.
 *
 *   part:  m_p = max x_j,  l_p = sum e^(x_j - m_p),  o_p = sum e^(x_j - m_p) v_j   over some keys
 *   merge: m = max m_p,  l = sum e^(m_p - m) l_p,  o = sum e^(m_p - m) o_p
 *
 * Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax". */
#ifndef ATT_COMMON_ONLINE_H
#define ATT_COMMON_ONLINE_H

#include "common/plain.h"

/* A NaN stays. */
static inline float att_online_max(float top, float x)
{
    return isnan(x) || x > top ? x : top;
}

/* The plain loop's scratch and `floats` more, which lie after w->o. */
static inline att_status att_online_plan(const att_problem *p, int64_t floats, att_plan *out)
{
    const att_status status = att_plain_plan(p, out);
    out->scratch_bytes += (size_t)floats * sizeof(float);
    return status;
}

static inline float *att_online_room(const att_plain_row *w)
{
    return w->o + w->rules->p->value_dim;
}

/* Largest logit of keys from .. to. */
static inline float att_online_top(const att_plain_row *w, int64_t from, int64_t to)
{
    float top = -INFINITY;
    for (int64_t j = from; j < to; j++)
        top = att_online_max(top, w->x[j]);
    return top;
}

/* Adds keys from .. to to o and sum, relative to top. */
static inline void att_online_add(const att_plain_row *w, int64_t from, int64_t to, float top,
                                  float *sum, float *o)
{
    for (int64_t j = from; j < to; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        att_axpy(weight, w->v, w->rules->p->value_dim, o);
    }
}

/* Keys in tiles, the running sums rescaled whenever the maximum rises. */
static inline void att_online_mix(const att_plain_row *w, int64_t tile, float *sum)
{
    const int64_t n = w->seq->kv_len, dv = w->rules->p->value_dim;
    float top = -INFINITY;

    for (int64_t j = 0; j < n; j += tile) {
        const int64_t end = att_min(j + tile, n);
        const float next = att_online_max(top, att_online_top(w, j, end));
        if (next == -INFINITY)
            continue;
        const float keep = top == next ? 1.0f : expf(top - next);
        *sum *= keep;
        for (int64_t d = 0; d < dv; d++)
            w->o[d] *= keep;
        att_online_add(w, j, end, next, sum, w->o);
        top = next;
    }
}

#endif
