/* SPDX-License-Identifier: Apache-2.0 */
/* Merging partial results of attention by their log-sum-exps, row by row.
 *
 *   m = max l_i     w_i = e^(l_i - m)     o = sum w_i o_i / (sum w_i + e^(z - m))
 *   LSE = m + ln sum w_i
 *
 * Why: attention split over keys (flash decoding, ring attention, a cached prefix) is put together
 * by this and nothing else.  A part with l_i = -inf holds nothing, whatever its memory holds; with
 * no other part the row is 0 and its LSE -inf.
 * Bound: that of attention over `parts` keys of logit l_i and value o_i, f32 throughout.  O(parts B
 * Hq Sq Dv).  Source: Dao et al. 2023, "Flash-Decoding"; Liu et al. 2023, "Ring attention". */
#ifndef ATT_COMMON_MERGE_H
#define ATT_COMMON_MERGE_H

#include "common/rows.h"

#define ATT_MERGE_SLOTS 32

typedef struct att_merging {
    const att_problem *p;
    float *room; /* [slots][2 Dv] */
    int64_t slots;
} att_merging;

static inline float att_merge_load_lse(const att_tensor *t, int64_t b, int64_t h, int64_t i)
{
    const int64_t at = att_tensor_at(t, 0, b, h, i);
    return t->dtype == ATT_F64 ? (float)((const double *)t->data)[at]
                               : ((const float *)t->data)[at];
}

static inline void att_merge_row(const att_problem *p, int64_t b, int64_t h, int64_t i, float *o,
                                 float *room)
{
    const att_merge *m = p->merge;
    const att_seq seq = {.b = b, .at = b};
    const att_row row = {.h = h, .i = i};
    float top = -INFINITY, sum = 0.0f;

    for (int64_t part = 0; part < m->parts; part++) {
        const float l = att_merge_load_lse(&m->lses[part], b, h, i);
        top = isnan(l) || l > top ? l : top;
    }
    memset(o, 0, (size_t)p->value_dim * sizeof *o);
    for (int64_t part = 0; part < m->parts; part++) {
        const float l = att_merge_load_lse(&m->lses[part], b, h, i);
        if (l == -INFINITY)
            continue;
        const float weight = expf(l - top);
        const att_tensor *t = &m->outs[part];
        sum += weight;
        att_axpy(weight, att_row_floats(t, att_tensor_at(t, b, h, i, 0), p->value_dim, room),
                 p->value_dim, o);
    }
    att_softmax_finish(p, &seq, &row, top == -INFINITY, top, sum, o);
}

static inline void att_merge_body(void *arg, int64_t slot, int thread)
{
    const att_merging *w = arg;
    const att_problem *p = w->p;
    float *const o = w->room + slot * 2 * p->value_dim;

    (void)thread;
    for (int64_t r = slot; r < p->batch * p->heads_q * p->q_len; r += w->slots)
        att_merge_row(p, r / p->q_len / p->heads_q, r / p->q_len % p->heads_q, r % p->q_len, o,
                      o + p->value_dim);
}

static inline att_status att_merge_plan(const att_problem *p, att_plan *out)
{
    out->scratch_bytes = ATT_MERGE_SLOTS * 2 * (size_t)p->value_dim * sizeof(float);
    return ATT_OK;
}

static inline att_status att_merge_all(const att_problem *p, const att_scratch *s)
{
    att_merging w = {.p = p, .room = s->data};

    if (s->bytes < ATT_MERGE_SLOTS * 2 * (size_t)p->value_dim * sizeof(float))
        return ATT_NO_MEMORY;
    w.slots = att_min(ATT_MERGE_SLOTS, p->batch * p->heads_q * p->q_len);
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, att_merge_body, &w);
    return ATT_OK;
}

/* Is this merge one that can be done? */
static inline att_status att_merge_accept(const att_problem *p, att_reason *why)
{
    const att_merge *m = p->merge;
    int64_t rows;

    if (p->abi >> 16 != ATT_ABI_MAJOR || p->struct_size < sizeof(att_problem) || p->flags)
        return att_refuse(why, ATT_UNSUPPORTED, "problem of another ABI version, or flags");
    if (!m || m->parts < 0 || (m->parts > 0 && (!m->outs || !m->lses)))
        return att_refuse(why, ATT_INVALID, "merge without its section");
    if (p->batch < 0 || p->heads_q < 0 || p->q_len < 0 || p->value_dim < 1 ||
        __builtin_mul_overflow(p->batch, p->heads_q, &rows) ||
        __builtin_mul_overflow(rows, p->q_len, &rows))
        return att_refuse(why, ATT_INVALID, "a size is negative or too large");
    if (p->value_dim > 1 << 16)
        return att_refuse(why, ATT_UNSUPPORTED, "value_dim over 65536");
    if (!att_is_float(p->out.dtype, ATT_HALVES_AND_SINGLE))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of out");
    if (!att_shaped(&p->out, p->batch, p->heads_q, p->q_len, p->value_dim) || !att_given(&p->out))
        return att_refuse(why, ATT_INVALID, "out is not of the problem's shape, or not given");
    if (p->lse.data && p->lse.dtype != ATT_F32 && p->lse.dtype != ATT_F64)
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of lse");
    if (p->lse.data && !att_shaped(&p->lse, 1, p->batch, p->heads_q, p->q_len))
        return att_refuse(why, ATT_INVALID, "lse is not of shape {1,B,Hq,Sq}");
    if (p->sinks.data &&
        (p->sinks.dtype != ATT_F32 || !att_broadcasts(&p->sinks, 1, 1, 1, p->heads_q)))
        return att_refuse(why, ATT_INVALID, "sinks are not f32 {1,1,1,Hq}");
    for (int64_t part = 0; part < m->parts; part++) {
        const att_tensor *o = &m->outs[part], *l = &m->lses[part];
        if (!att_is_float(o->dtype, ATT_HALVES_AND_SINGLE) ||
            (l->dtype != ATT_F32 && l->dtype != ATT_F64))
            return att_refuse(why, ATT_UNSUPPORTED, "dtype of part %lld", (long long)part);
        if (!att_shaped(o, p->batch, p->heads_q, p->q_len, p->value_dim) || !att_given(o) ||
            !att_shaped(l, 1, p->batch, p->heads_q, p->q_len) || !att_given(l))
            return att_refuse(why, ATT_INVALID, "part %lld is not of the problem's shape",
                              (long long)part);
    }
    return ATT_OK;
}

#endif
