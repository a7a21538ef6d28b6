/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle's mixes of softmax attentions (ATT_OP_MIX), composed of its own attend.
 *
 *   out = sum_c w_c A_c      each A_c the oracle's attention in f64 on a problem of its own
 *
 * Halves of q and k (differential), a dense bias of decays (forgetting), pooled keys and a mask of
 * the selected ones (NSA), a mask of the nearest far keys (memory).  Kept apart from what kernels
 * do (no lists, no running sums).  |e| <= sum |w_c| e_c + 4 2^-53 sum |w_c A_c|, e_c attend's
 * error. Room: three results and, where there is a mask or bias, B Hq Sq Skv doubles. */
#ifndef ATT_REFERENCE_MIX_H
#define ATT_REFERENCE_MIX_H

#include "reference_accept.h"
#include "reference_other.h"

/* The oracle's attend, in `room` doubles. */
typedef void (*ref_attend)(const att_problem *p, double *room);

typedef struct ref_mixing {
    const att_problem *p;
    ref_attend attend;
    double *room;
    double *part[3]; /* [B,Hq,Sq,Dv] each */
    double *k, *v;   /* pooled, [B,Hkv,blocks,D] */
    double *bias;    /* [B,Hq,Sq,Skv], or bytes of a mask */
} ref_mixing;

/* Doubles beside those of attend; false on overflow. */
static inline int ref_mix_size(const att_problem *p, size_t *doubles)
{
    int64_t rows, out, pairs, keys, total;

    if (__builtin_mul_overflow(p->batch, p->heads_q, &rows) ||
        __builtin_mul_overflow(rows, p->q_len, &rows) ||
        __builtin_mul_overflow(rows, 3 * p->value_dim, &out) ||
        __builtin_mul_overflow(rows, p->kv_len, &pairs) ||
        __builtin_mul_overflow(p->batch, p->heads_kv, &keys) ||
        __builtin_mul_overflow(keys, p->kv_len, &keys) ||
        __builtin_mul_overflow(keys, p->head_dim + p->value_dim, &keys) ||
        __builtin_add_overflow(out, pairs, &total) || __builtin_add_overflow(total, keys, &total))
        return 0;
    *doubles = (size_t)total;
    return 1;
}

static inline ref_mixing ref_mixing_of(const att_problem *p, ref_attend attend, double *room,
                                       size_t attend_doubles)
{
    ref_mixing m = {.p = p, .attend = attend, .room = room};
    int64_t out = p->batch * p->heads_q * p->q_len * p->value_dim;

    m.part[0] = room + attend_doubles;
    m.part[1] = m.part[0] + out;
    m.part[2] = m.part[1] + out;
    m.k = m.part[2] + out;
    m.v = m.k + p->batch * p->heads_kv * p->kv_len * p->head_dim;
    m.bias = m.v + p->batch * p->heads_kv * p->kv_len * p->value_dim;
    return m;
}

/* The problem of part c: the given one, its result in f64. */
static inline att_problem ref_part(const ref_mixing *m, int c)
{
    att_problem p = *m->p;

    p.mix = NULL;
    p.out = att_tensor_dense(m->part[c], ATT_F64, p.batch, p.heads_q, p.q_len, p.value_dim);
    return p;
}

static inline att_tensor ref_columns(att_tensor t, int64_t first, int64_t n)
{
    t.data = (char *)t.data + first * t.stride[3] * (int64_t)att_dtype_size(t.dtype);
    t.shape[3] = n;
    return t;
}

static inline void ref_mix_halves(const ref_mixing *m)
{
    for (int c = 0; c < 2; c++) {
        att_problem p = ref_part(m, c);
        p.head_dim /= 2;
        p.q = ref_columns(p.q, c * p.head_dim, p.head_dim);
        p.k = ref_columns(p.k, c * p.head_dim, p.head_dim);
        m->attend(&p, m->room);
    }
}

/* The bias given, and for each allowed key the log decays of the tokens after it up to the query.
 */
static inline void ref_mix_forget(const ref_mixing *m)
{
    att_problem p = ref_part(m, 0);
    const att_tensor *f = &m->p->mix->forget;
    double *to = m->bias;

    p.bias = att_tensor_dense(to, ATT_F64, p.batch, p.heads_q, p.q_len, p.kv_len);
    for (int64_t b = 0; b < p.batch; b++)
        for (int64_t h = 0; h < p.heads_q; h++)
            for (int64_t i = 0; i < p.q_len; i++)
                for (int64_t j = 0; j < p.kv_len; j++, to++) {
                    ref_sequence s = {0};
                    ref_sum sum = {0, 0};
                    ref_sequence_of(m->p, b, &s);
                    int64_t at = ref_query_position(m->p, &s, i);
                    for (int64_t l = j + 1; l <= at && i < s.nq; l++)
                        ref_add(&sum, ref_load(f->data, f->dtype, att_tensor_at(f, 0, b, h, l)));
                    *to = ref_total(&sum) + ref_bias(m->p, b, h, i, j);
                }
    m->attend(&p, m->room);
}

/* The last `window` keys up to the query. */
static inline void ref_mix_window(const ref_mixing *m, int c)
{
    att_problem p = ref_part(m, c);

    p.window_left = m->p->mix->window - 1;
    m->attend(&p, m->room);
}

/* ------------------------------------------------------------------------------- NSA */

static inline void ref_mix_pool(const ref_mixing *m, int64_t blocks)
{
    const att_problem *p = m->p;
    const int64_t n = p->mix->block;

    for (int64_t r = 0; r < p->batch * p->heads_kv * blocks; r++) {
        const int64_t at = r % blocks, hk = r / blocks % p->heads_kv, b = r / blocks / p->heads_kv;
        for (int which = 0; which < 2; which++) {
            const att_tensor *t = which ? &p->v : &p->k;
            const int64_t wide = which ? p->value_dim : p->head_dim;
            double *to = (which ? m->v : m->k) + r * wide;
            for (int64_t d = 0; d < wide; d++) {
                ref_sum sum = {0, 0};
                for (int64_t j = at * n; j < (at + 1) * n && j < p->kv_len; j++)
                    ref_add(&sum, ref_load(t->data, t->dtype, att_tensor_at(t, b, hk, j, d)));
                to[d] = ref_total(&sum) / (double)n;
            }
        }
    }
}

/* Blocks that end at or before position `at`. */
static inline int64_t ref_mix_ended(const att_problem *p, int64_t at)
{
    return at < 0 ? 0 : (at + 1) / p->mix->block;
}

static inline void ref_mix_compressed(const ref_mixing *m, int64_t blocks)
{
    att_problem p = ref_part(m, 0);
    uint8_t *to = (uint8_t *)m->bias;
    ref_sequence s;

    ref_mix_pool(m, blocks);
    p.k = att_tensor_dense(m->k, ATT_F64, p.batch, p.heads_kv, blocks, p.head_dim);
    p.v = att_tensor_dense(m->v, ATT_F64, p.batch, p.heads_kv, blocks, p.value_dim);
    p.mask = att_tensor_dense(to, ATT_U8, p.batch, 1, p.q_len, blocks);
    p.causal = ATT_CAUSAL_NONE;
    p.kv_lengths.data = NULL;
    p.kv_len = blocks;
    for (int64_t b = 0; b < p.batch; b++) {
        ref_sequence_of(m->p, b, &s);
        for (int64_t i = 0; i < p.q_len; i++)
            for (int64_t at = 0; at < blocks; at++)
                *to++ = at < ref_mix_ended(m->p, ref_query_position(m->p, &s, i));
    }
    m->attend(&p, m->room);
}

/* score[0..n): the compressed probabilities of a row, summed over the query heads that share kv
 * head hk; `own` has room for n. */
static inline void ref_mix_importance(const ref_mixing *m, int64_t b, int64_t hk, int64_t i,
                                      int64_t blocks, int64_t n, double *score, double *own)
{
    const att_problem *p = m->p;
    const int64_t group = p->heads_q / p->heads_kv, dk = p->head_dim;

    memset(score, 0, (size_t)n * sizeof *score);
    for (int64_t h = hk * group; h < (hk + 1) * group; h++) {
        double top = -(double)INFINITY;
        ref_sum total = {0, 0};
        for (int64_t at = 0; at < n; at++) {
            const double *k = m->k + ((b * p->heads_kv + hk) * blocks + at) * dk;
            ref_sum dot = {0, 0};
            for (int64_t d = 0; d < dk; d++)
                ref_add(&dot, k[d] * ref_at(&p->q, b, h, i, d));
            own[at] = att_scale(p) * ref_total(&dot);
            top = own[at] > top ? own[at] : top;
        }
        for (int64_t at = 0; at < n; at++)
            ref_add(&total, own[at] = exp(own[at] - top));
        for (int64_t at = 0; at < n; at++)
            score[at] += own[at] / ref_total(&total);
    }
}

/* Marks the `keep` blocks of a query at position `at`; score is spoilt. */
static inline void ref_mix_choose(const att_mix *x, int64_t at, int64_t n, double *score,
                                  uint8_t *chosen, int64_t blocks)
{
    const int64_t own = at / x->block, forced[] = {own, 0, own - 1};
    int64_t left = x->keep;

    memset(chosen, 0, (size_t)blocks);
    for (int f = 0; f < 3 && left > 0; f++)
        if (forced[f] >= 0 && !chosen[forced[f]]) {
            chosen[forced[f]] = 1;
            left--;
        }
    for (; left > 0; left--) {
        int64_t best = -1;
        for (int64_t c = 0; c < n; c++)
            if (!chosen[c] && (best < 0 || score[c] > score[best]))
                best = c;
        if (best < 0)
            return;
        chosen[best] = 1;
    }
}

static inline void ref_mix_selected(const ref_mixing *m, int64_t blocks)
{
    att_problem p = ref_part(m, 1);
    const int64_t group = p.heads_kv ? p.heads_q / p.heads_kv : 1, all = blocks + 1;
    uint8_t *mask = (uint8_t *)m->bias, *chosen;
    double *score = m->room; /* attend's, which has room for more than 3 (Skv + 1) */
    ref_sequence s;

    chosen = (uint8_t *)(score + 2 * all);
    p.mask = att_tensor_dense(mask, ATT_U8, p.batch, p.heads_q, p.q_len, p.kv_len);
    for (int64_t r = 0; r < p.batch * p.heads_kv * p.q_len; r++) {
        const int64_t b = r / p.q_len / p.heads_kv, hk = r / p.q_len % p.heads_kv, i = r % p.q_len;
        ref_sequence_of(m->p, b, &s);
        const int64_t at = ref_query_position(m->p, &s, i), n = ref_mix_ended(m->p, at);
        if (i >= s.nq || at < 0)
            continue;
        ref_mix_importance(m, b, hk, i, blocks, n, score, score + all);
        ref_mix_choose(m->p->mix, at, n, score, chosen, all);
        for (int64_t h = hk * group; h < (hk + 1) * group; h++)
            for (int64_t j = 0; j < p.kv_len; j++)
                mask[((b * p.heads_q + h) * p.q_len + i) * p.kv_len + j] =
                    chosen[j / m->p->mix->block];
    }
    m->attend(&p, m->room);
}

/* ---------------------------------------------------------------------------- memory */

/* Of the keys before the window, the `keep` of largest logit. */
static inline void ref_mix_far(const ref_mixing *m)
{
    att_problem p = ref_part(m, 0);
    const int64_t group = p.heads_kv ? p.heads_q / p.heads_kv : 1;
    uint8_t *mask = (uint8_t *)m->bias;
    double *x = m->room;
    ref_sequence s;

    p.mask = att_tensor_dense(mask, ATT_U8, p.batch, p.heads_q, p.q_len, p.kv_len);
    for (int64_t r = 0; r < p.batch * p.heads_q * p.q_len; r++, mask += p.kv_len) {
        const int64_t b = r / p.q_len / p.heads_q, h = r / p.q_len % p.heads_q, i = r % p.q_len;
        ref_sequence_of(m->p, b, &s);
        const int64_t far = ref_query_position(m->p, &s, i) - m->p->mix->window + 1;
        memset(mask, 0, (size_t)p.kv_len);
        for (int64_t j = 0; j < far && i < s.nq; j++) {
            ref_sum dot = {0, 0};
            for (int64_t d = 0; d < p.head_dim; d++)
                ref_add(&dot, ref_at(&p.q, b, h, i, d) * ref_at(&p.k, b, h / group, j, d));
            x[j] = att_scale(&p) * ref_total(&dot);
        }
        for (int64_t left = i < s.nq ? m->p->mix->keep : 0; left > 0; left--) {
            int64_t best = -1;
            for (int64_t j = 0; j < far; j++)
                if (!mask[j] && (best < 0 || x[j] > x[best]))
                    best = j;
            if (best < 0)
                break;
            mask[best] = 1;
        }
    }
    m->attend(&p, m->room);
}

/* --------------------------------------------------------------------------- the whole */

static inline double ref_mix_sum(const att_mix *x, const double *part, int64_t out, int64_t at,
                                 int64_t b, int64_t h, int64_t i, int64_t d)
{
    double g;

    switch (x->kind) {
    case ATT_MIX_DIFFERENTIAL:
        return part[at] - ref_at(&x->lambda, 0, 0, 0, h) * part[out + at];
    case ATT_MIX_GATED:
        return part[at] / (1 + exp(-ref_at(&x->gate, b, h, i, d)));
    case ATT_MIX_NSA:
        return ref_at(&x->gate, b, h, i, 0) * part[at] +
               ref_at(&x->gate, b, h, i, 1) * part[out + at] +
               ref_at(&x->gate, b, h, i, 2) * part[2 * out + at];
    case ATT_MIX_MEMORY:
        g = ref_at(&x->gate, b, h, i, 0);
        return g * part[at] + (1 - g) * part[out + at];
    default:
        return part[at];
    }
}

static inline att_status ref_mix(const ref_mixing *m)
{
    const att_problem *p = m->p;
    const int64_t blocks = p->mix->kind == ATT_MIX_NSA ? p->kv_len / p->mix->block : 0;
    const int64_t out = p->batch * p->heads_q * p->q_len * p->value_dim;
    ref_sequence s;

    for (int64_t b = 0; b < p->batch; b++)
        if (ref_sequence_of(p, b, &s) != ATT_OK)
            return ATT_INVALID; /* before anything is written */
    if (p->mix->kind == ATT_MIX_DIFFERENTIAL)
        ref_mix_halves(m);
    if (p->mix->kind == ATT_MIX_GATED) {
        const att_problem whole = ref_part(m, 0);
        m->attend(&whole, m->room);
    }
    if (p->mix->kind == ATT_MIX_FORGETTING)
        ref_mix_forget(m);
    if (p->mix->kind == ATT_MIX_NSA) {
        ref_mix_compressed(m, blocks);
        ref_mix_selected(m, blocks);
        ref_mix_window(m, 2);
    }
    if (p->mix->kind == ATT_MIX_MEMORY) {
        ref_mix_far(m);
        ref_mix_window(m, 1);
    }
    for (int64_t at = 0; at < out; at++) {
        const int64_t d = at % p->value_dim, row = at / p->value_dim, i = row % p->q_len;
        const int64_t h = row / p->q_len % p->heads_q, b = row / p->q_len / p->heads_q;
        ref_sequence_of(p, b, &s);
        if (i < s.nq)
            ref_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, d),
                      ref_mix_sum(p->mix, m->part[0], out, at, b, h, i, d));
    }
    return ATT_OK;
}

/* What contradicts itself in the section; NULL = nothing. */
static inline const char *ref_mix_contradiction(const att_problem *p)
{
    const att_mix *x = p->mix;

    if (!x)
        return "mix without its section";
    if (x->kind < 0 || x->kind > ATT_MIX_MEMORY)
        return "an unknown kind of mix";
    if (p->cu_q.data || p->cu_k.data || p->block_table.data || p->lse.data || p->k_quant.scheme ||
        p->v_quant.scheme)
        return "a mix is dense and has no LSE";
    if (x->kind > ATT_MIX_GATED && p->causal != ATT_CAUSAL_BOTTOM_RIGHT)
        return "this mix is causal, bottom-right";
    if (x->kind == ATT_MIX_DIFFERENTIAL &&
        (p->head_dim % 2 || !x->lambda.data ||
         !ref_list(&x->lambda, ATT_F32, 1, x->lambda.shape[3]) ||
         (x->lambda.shape[3] != 1 && x->lambda.shape[3] != p->heads_q)))
        return "an odd head_dim, or lambda is not f32 [Hq]";
    const int64_t n = x->kind == ATT_MIX_NSA ? 3 : x->kind == ATT_MIX_GATED ? p->value_dim : 1;
    if ((x->kind == ATT_MIX_GATED || x->kind > ATT_MIX_FORGETTING) &&
        (!x->gate.data || x->gate.dtype > ATT_F8_E5M2 ||
         !ref_fits(&x->gate, p->batch, p->heads_q, p->q_len, n)) &&
        p->batch && p->heads_q && p->q_len)
        return "the gate is missing or not of its shape";
    if (x->kind == ATT_MIX_FORGETTING && !ref_is(&x->forget, 1, p->batch, p->heads_q, p->kv_len))
        return "the forget gates are not [B,Hq,Skv]";
    if (x->kind > ATT_MIX_FORGETTING && (x->window < 1 || x->keep < 1))
        return "keep or window under 1";
    if (x->kind == ATT_MIX_NSA && x->block < 1)
        return "a block under 1";
    return NULL;
}

#endif
