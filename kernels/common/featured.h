/* SPDX-License-Identifier: Apache-2.0 */
/* Attention by features: `attend` of the linear family's rules with a normaliser, from an empty
 * state.
 *
 *   o_i = sum_j w_ij v_j / sum_j w_ij,   w_ij = phi(q_i) . phi(k_j)
 *   by a state:  S += phi(k) v^T, z += phi(k), o = S^T phi(q) / (z . phi(q))      S [F,Dv], z [F]
 *   by pairs:    w_ij from q_i and k_j themselves
 *
 * Why: with causality row i reads the state after the keys up to its position, without it after
 * all keys; so one pass over K and V serves all rows.
 * Bound: n keys add n + F + 12 roundings of sums of |phi(q)| . |phi(k)| |v|.  By a state
 * O(S F Dv (1 + Hq/Hkv)) a kv head, by pairs O(Sq Skv (Dk + Dv)) a query head.
 * Source: Katharopoulos et al. 2020, "Transformers are RNNs". */
#ifndef ATT_COMMON_FEATURED_H
#define ATT_COMMON_FEATURED_H

#include "common/recur.h"

static const att_accept ATT_FEATURED_ACCEPT = {.ops = 1u << ATT_OP_ATTEND,
                                               .can = ATT_CAN_PACKED | ATT_CAN_PAGED,
                                               .dtypes = ATT_HALVES_AND_SINGLE};

typedef struct att_featured {
    const att_problem *p;
    int32_t rule;
    bool pairs;
    float scale; /* of q, before the features */
    int64_t width, columns, slots, slot_floats;
    float *room;
} att_featured;

/* The state of one (sequence, kv head), and rows in work. */
typedef struct att_featured_state {
    float *s, *z, *k, *v, *q, *o; /* [F][columns] [F] [F] [columns] [F] [columns] */
} att_featured_state;

static inline bool att_featured_layout(const att_problem *p, int32_t rule, bool pairs,
                                       att_featured *w)
{
    int64_t bytes, state;

    *w = (att_featured){.p = p, .rule = rule, .pairs = pairs};
    w->scale = rule == ATT_RULE_BASED ? (float)att_scale(p) : 1.0f;
    w->width = att_rule_width(rule, p->head_dim);
    w->columns = att_ceil_div(p->value_dim, ATT_W) * ATT_W;
    w->slots = att_min(ATT_LIST_SLOTS, p->batch * p->heads_kv);
    if (__builtin_mul_overflow(w->width, pairs ? 0 : w->columns, &state))
        return false;
    w->slot_floats = state + 3 * w->width + 2 * w->columns;
    return !__builtin_mul_overflow(w->slots * (int64_t)sizeof(float), w->slot_floats, &bytes);
}

static inline att_featured_state att_featured_state_of(const att_featured *w, int64_t slot)
{
    att_featured_state st = {.s = w->room + slot * w->slot_floats};

    st.z = st.s + (w->pairs ? 0 : w->width * w->columns);
    st.k = st.z + w->width;
    st.q = st.k + w->width;
    st.v = st.q + w->width;
    st.o = st.v + w->columns;
    return st;
}

static inline void att_featured_value(const att_featured *w, att_featured_state *st,
                                      const att_seq *seq, int64_t h, int64_t j)
{
    const att_problem *p = w->p;

    att_load_row(p->v.data, p->v.dtype, att_key_at(p, &p->v, seq, h, j), p->v.stride[3],
                 p->value_dim, st->v);
}

static inline void att_featured_key(const att_featured *w, att_featured_state *st,
                                    const att_seq *seq, int64_t h, int64_t j)
{
    const att_problem *p = w->p;

    att_load_row(p->k.data, p->k.dtype, att_key_at(p, &p->k, seq, h, j), p->k.stride[3],
                 p->head_dim, st->k);
}

/* The state takes in key j. */
static inline void att_featured_add(const att_featured *w, att_featured_state *st,
                                    const att_seq *seq, int64_t h, int64_t j)
{
    att_featured_key(w, st, seq, h, j);
    att_featured_value(w, st, seq, h, j);
    att_rule_features(w->rule, st->k, w->p->head_dim);
    for (int64_t c = 0; c < w->width; c++) {
        st->z[c] += st->k[c];
        att_axpy(st->k[c], st->v, w->columns, st->s + c * w->columns);
    }
}

/* o = sum over the state of q's features; returns their normaliser. */
static inline float att_featured_read(const att_featured *w, att_featured_state *st)
{
    att_rule_features(w->rule, st->q, w->p->head_dim);
    for (int64_t c = 0; c < w->width; c++)
        att_axpy(st->q[c], st->s + c * w->columns, w->columns, st->o);
    return att_dot(st->q, st->z, w->width);
}

/* The same over keys 0 .. n, each weight by itself. */
static inline float att_featured_pairs(const att_featured *w, att_featured_state *st,
                                       const att_seq *seq, int64_t h, int64_t n)
{
    const int64_t dk = w->p->head_dim;
    const bool based = w->rule == ATT_RULE_BASED;
    float sum = 0.0f;

    if (!based)
        att_rule_features(w->rule, st->q, dk);
    for (int64_t j = 0; j < n; j++) {
        att_featured_key(w, st, seq, h, j);
        att_featured_value(w, st, seq, h, j);
        if (!based)
            att_rule_features(w->rule, st->k, dk);
        const float x = att_dot(st->q, st->k, dk);
        const float weight = based ? 1.0f + x + 0.5f * x * x : x;
        sum += weight;
        att_axpy(weight, st->v, w->columns, st->o);
    }
    return sum;
}

/* Row i of the head's query heads, which see the first n keys. */
static inline void att_featured_row(const att_featured *w, att_featured_state *st,
                                    const att_seq *seq, int64_t h, int64_t i, int64_t n)
{
    const att_problem *p = w->p;
    const int64_t group = p->heads_q / p->heads_kv;

    for (int64_t hq = h * group; hq < (h + 1) * group; hq++) {
        memset(st->o, 0, (size_t)w->columns * sizeof *st->o);
        att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, seq->at, hq, seq->q_at + i, 0),
                     p->q.stride[3], p->head_dim, st->q);
        for (int64_t c = 0; c < p->head_dim && w->rule == ATT_RULE_BASED; c++)
            st->q[c] *= w->scale;
        const float norm = n <= 0     ? 1.0f
                           : w->pairs ? att_featured_pairs(w, st, seq, h, n)
                                      : att_featured_read(w, st);
        for (int64_t d = 0; d < p->value_dim; d++)
            st->o[d] /= norm;
        att_store_row(p->out.data, p->out.dtype,
                      att_tensor_at(&p->out, seq->at, hq, seq->q_at + i, 0), p->out.stride[3],
                      p->value_dim, st->o);
    }
}

static inline void att_featured_body(void *arg, int64_t slot, int thread)
{
    const att_featured *w = arg;
    const att_problem *p = w->p;
    att_featured_state st = att_featured_state_of(w, slot);

    (void)thread;
    for (int64_t t = slot; t < p->batch * p->heads_kv; t += w->slots) {
        const int64_t h = t % p->heads_kv;
        const att_seq seq = att_seq_of(p, t / p->heads_kv);
        int64_t seen = 0;
        memset(st.s, 0, (size_t)w->slot_floats * sizeof *st.s);
        for (int64_t i = 0; i < seq.q_len; i++) {
            int64_t upto = seq.kv_len;
            if (p->causal)
                upto = att_min(upto, att_query_position(p, &seq, i) + 1);
            for (; seen < upto && !w->pairs; seen++)
                att_featured_add(w, &st, &seq, h, seen);
            att_featured_row(w, &st, &seq, h, i, upto);
        }
    }
}

/* --------------------------------------------------------------------------- descriptor's */

static inline att_status att_featured_supports(const att_problem *p, att_reason *why)
{
    const att_status status = att_accept_check(&ATT_FEATURED_ACCEPT, ATT_OP_ATTEND, p, why);

    if (status)
        return status;
    if (p->lse.data)
        return att_refuse(why, ATT_UNSUPPORTED, "no softmax, no LSE");
    if (p->causal == ATT_CAUSAL_POSITIONS)
        return att_refuse(why, ATT_UNSUPPORTED, "given positions");
    return ATT_OK;
}

static inline att_status att_featured_plan(const att_problem *p, int32_t rule, bool pairs,
                                           att_plan *out)
{
    att_featured w;

    if (!att_featured_layout(p, rule, pairs, &w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(w.slots * w.slot_floats) * sizeof(float);
    return ATT_OK;
}

static inline att_status att_featured_run(const att_problem *p, int32_t rule, bool pairs,
                                          const att_scratch *s)
{
    att_featured w;
    const att_status status = att_featured_supports(p, NULL);

    if (status)
        return status;
    if (!att_featured_layout(p, rule, pairs, &w) ||
        s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.room = s->data;
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, att_featured_body, &w);
    return ATT_OK;
}

/* Every key is read once for all rows, or once a row; a step of decoding reads the state. */
static inline att_status att_featured_cost(const att_problem *p, int32_t rule, bool pairs,
                                           att_cost *out)
{
    const double heads = (double)p->batch * (double)p->heads_kv, dv = (double)p->value_dim;
    const double size = (double)att_rule_width(rule, p->head_dim) * (dv + 1);
    double keys = 0, rows = 0, cells = 0;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        keys += (double)att_seq_taken(p, &seq) * (double)p->heads_kv;
        rows += (double)seq.q_len * (double)p->heads_q;
        for (int64_t i = 0; i < seq.q_len; i++) {
            const int64_t upto = p->causal ? att_query_position(p, &seq, i) + 1 : seq.kv_len;
            cells += (double)att_max(0, att_min(seq.kv_len, upto)) * (double)p->heads_q;
        }
    }
    const double group = p->heads_kv ? (double)(p->heads_q / p->heads_kv) : 0;
    const double work = pairs ? 2 * cells * ((double)p->head_dim + dv) : 2 * size * (keys + rows);
    *out = (att_cost){.keys_read = pairs ? cells : keys * group,
                      .flops_useful = work,
                      .flops_executed = work,
                      .kv_bytes_read = (pairs ? cells : keys) * att_row_bytes(p),
                      .state_bytes = heads * size * 4,
                      .k_rows = keys,
                      .v_rows = keys};
    return ATT_OK;
}

#endif
