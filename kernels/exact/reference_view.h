/* SPDX-License-Identifier: Apache-2.0 */
/* The contract's geometry as the oracle reads it: which rows a sequence has, where they lie, which
 * keys a query may see (kernels/attn.h, rules 1 to 9 of its contract). */
#ifndef ATT_REFERENCE_VIEW_H
#define ATT_REFERENCE_VIEW_H

#include "reference_load.h"

/* Sequence b: its queries are rows q0 .. q0+nq-1 of batch index qb in q, out and lse; its keys rows
 * k0 .. k0+nk-1 of batch index kb in k and v, or pages of the block table. */
typedef struct ref_sequence {
    int64_t b, qb, q0, nq, kb, k0, nk;
} ref_sequence;

/* (i0,i1,i2,i3) of a tensor that broadcasts: a dimension of extent 1 is read at 0. */
static inline int64_t ref_broadcast(const att_tensor *t, int64_t i0, int64_t i1, int64_t i2,
                                    int64_t i3)
{
    return att_tensor_at(t, t->shape[0] == 1 ? 0 : i0, t->shape[1] == 1 ? 0 : i1,
                         t->shape[2] == 1 ? 0 : i2, t->shape[3] == 1 ? 0 : i3);
}

static inline int ref_fits(const att_tensor *t, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    const int64_t n[4] = {n0, n1, n2, n3};

    for (int a = 0; t->data && a < 4; a++)
        if (t->shape[a] != 1 && t->shape[a] != n[a])
            return 0;
    return 1;
}

static inline int64_t ref_int(const att_tensor *t, int64_t row, int64_t i)
{
    return ref_load_int(t->data, t->dtype, row * t->stride[2] + i * t->stride[3]);
}

/* [from, to) of sequence b in cumulative lengths, or the whole `length`. */
static inline int ref_span(const att_tensor *cu, const att_tensor *used, int64_t b, int64_t length,
                           int64_t *first, int64_t *count)
{
    int64_t from = cu->data ? ref_int(cu, 0, b) : 0;
    int64_t to = cu->data ? ref_int(cu, 0, b + 1) : length;

    if (from < 0 || to < from || (cu->data && b == 0 && from != 0))
        return 0;
    *first = from;
    *count = to - from;
    if (used->data) {
        int64_t n = ref_int(used, 0, b);
        if (n < 0 || n > *count)
            return 0;
        *count = n;
    }
    return 1;
}

/* INVALID where lengths contradict the shapes. */
static inline att_status ref_sequence_of(const att_problem *p, int64_t b, ref_sequence *out)
{
    ref_sequence s = {.b = b, .qb = p->cu_q.data ? 0 : b, .kb = p->cu_k.data ? 0 : b};

    if (!ref_span(&p->cu_q, &p->q_lengths, b, p->q_len, &s.q0, &s.nq) ||
        !ref_span(&p->cu_k, &p->kv_lengths, b, p->kv_len, &s.k0, &s.nk))
        return ATT_INVALID;
    if (s.q0 + s.nq > p->q.shape[2] || s.nq > p->q_len || s.nk > p->kv_len)
        return ATT_INVALID;
    if (!p->block_table.data && s.k0 + s.nk > p->k.shape[2])
        return ATT_INVALID;
    for (int64_t page = 0; p->block_table.data && page * p->page_size < s.nk; page++) {
        if (page >= p->block_table.shape[3])
            return ATT_INVALID;
        int64_t at = ref_int(&p->block_table, b, page);
        if (at < 0 || at >= p->k.shape[0] || at >= p->v.shape[0])
            return ATT_INVALID;
    }
    *out = s;
    return ATT_OK;
}

/* Key row j of a sequence: its index in dimension 0 and 2 of k and v. */
static inline void ref_key_row(const att_problem *p, const ref_sequence *s, int64_t j, int64_t *i0,
                               int64_t *i2)
{
    if (p->block_table.data) {
        *i0 = ref_int(&p->block_table, s->b, j / p->page_size);
        *i2 = j % p->page_size;
    } else {
        *i0 = s->kb;
        *i2 = s->k0 + j;
    }
}

/* Row (i0, head, i2) of k or v as n doubles, dequantised. */
static inline void ref_row(const att_tensor *t, const att_quant *quant, int64_t i0, int64_t head,
                           int64_t i2, int64_t n, double *out)
{
    int64_t at = att_tensor_at(t, i0, head, i2, 0), step = t->stride[3];

    for (int64_t d = 0; d < n; d++)
        out[d] = ref_load(t->data, t->dtype, at + d * step);
    if (!quant || quant->scheme != ATT_QUANT_AFFINE)
        return;
    for (int64_t d = 0; d < n; d++) {
        int64_t token = quant->axis == 2 ? i2 / quant->group : i2;
        int64_t channel = quant->axis == 3 ? d / quant->group : d;
        const att_tensor *s = &quant->scales, *z = &quant->zeros;
        double zero = 0;
        if (z->data)
            zero = ref_load(z->data, z->dtype, ref_broadcast(z, i0, head, token, channel));
        out[d] = (out[d] - zero) *
                 ref_load(s->data, s->dtype, ref_broadcast(s, i0, head, token, channel));
    }
}

static inline int64_t ref_query_position(const att_problem *p, const ref_sequence *s, int64_t i)
{
    int given = p->q_positions.data &&
                (p->causal == ATT_CAUSAL_POSITIONS || p->causal == ATT_CAUSAL_NONE);

    if (given)
        return ref_int(&p->q_positions, p->q_positions.shape[2] == 1 ? 0 : s->b, i);
    return p->causal == ATT_CAUSAL_TOP_LEFT ? i : i + s->nk - s->nq;
}

static inline int64_t ref_key_position(const att_problem *p, const ref_sequence *s, int64_t j)
{
    if (p->k_positions.data)
        return ref_int(&p->k_positions, p->k_positions.shape[2] == 1 ? 0 : s->b, j);
    return j;
}

/* a - b, saturated: positions come from the caller. */
static inline int64_t ref_gap(int64_t a, int64_t b)
{
    int64_t gap;

    if (__builtin_sub_overflow(a, b, &gap))
        return a > b ? INT64_MAX : -INT64_MAX;
    return gap;
}

static inline double ref_bias(const att_problem *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    if (!p->bias.data)
        return 0;
    return ref_load(p->bias.data, p->bias.dtype, ref_broadcast(&p->bias, b, h, i, j));
}

/* May query row i of head h see key j < nk? */
static inline int ref_allowed(const att_problem *p, const ref_sequence *s, int64_t h, int64_t i,
                              int64_t j)
{
    const att_tensor *m = &p->mask, *blocks = &p->block_mask;
    int64_t back = ref_gap(ref_query_position(p, s, i), ref_key_position(p, s, j));

    if (p->causal != ATT_CAUSAL_NONE && back < 0)
        return 0;
    if (p->window_left >= 0 && back > p->window_left)
        return 0;
    if (p->window_right >= 0 && back < -p->window_right)
        return 0;
    if (m->data && !ref_load_int(m->data, ATT_U8, ref_broadcast(m, s->b, h, i, j)))
        return 0;
    if (blocks->data &&
        !ref_load_int(blocks->data, ATT_U8,
                      ref_broadcast(blocks, s->b, h, i / p->block_q, j / p->block_k)))
        return 0;
    return !(ref_bias(p, s->b, h, i, j) == -(double)INFINITY);
}

#endif
