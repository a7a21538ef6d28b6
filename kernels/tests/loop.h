/* SPDX-License-Identifier: Apache-2.0 */
/* Attention by a plain f64 loop, to compare kernels with.
 *
 * It shares nothing with the kernels or the oracle: it walks all pairs and asks the contract's
 * rules one by one.  Its bound is the worst case of the numeric rule with u_acc = u_P = 2^-24. */
#ifndef ATT_KERNELS_LOOP_H
#define ATT_KERNELS_LOOP_H

#include "try.h"

typedef struct try_sequence {
    int64_t at, q0, nq, k0, nk;
} try_sequence;

static inline try_sequence try_sequence_of(const att_problem *p, int64_t b)
{
    try_sequence s = {b, 0, p->q_len, 0, p->kv_len};
    if (p->cu_q.data) {
        const int32_t *q = p->cu_q.data, *k = p->cu_k.data;
        s = (try_sequence){0, q[b], q[b + 1] - q[b], k[b], k[b + 1] - k[b]};
    }
    if (p->q_lengths.data)
        s.nq = ((const int32_t *)p->q_lengths.data)[b];
    if (p->kv_lengths.data)
        s.nk = ((const int32_t *)p->kv_lengths.data)[b];
    return s;
}

static inline double try_broadcast(const att_tensor *x, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t at = att_tensor_at(x, x->shape[0] == 1 ? 0 : b, x->shape[1] == 1 ? 0 : h,
                                     x->shape[2] == 1 ? 0 : i, x->shape[3] == 1 ? 0 : j);
    return att_fp_load(x->data, x->dtype, at);
}

static inline int64_t try_position(const att_problem *p, const try_sequence *s, int64_t b,
                                   int64_t i)
{
    if (p->causal == ATT_CAUSAL_TOP_LEFT)
        return i;
    if (p->q_positions.data && p->causal != ATT_CAUSAL_BOTTOM_RIGHT)
        return ((const int64_t *)p->q_positions.data)[b * p->q_len + i];
    return i + s->nk - s->nq;
}

static inline int64_t try_key_position(const att_problem *p, int64_t b, int64_t j)
{
    return p->k_positions.data ? ((const int64_t *)p->k_positions.data)[b * p->kv_len + j] : j;
}

static inline bool try_allowed(const att_problem *p, const try_sequence *s, int64_t b, int64_t h,
                               int64_t i, int64_t j)
{
    const int64_t back = try_position(p, s, b, i) - try_key_position(p, b, j);
    if (j >= s->nk || (p->causal && back < 0))
        return false;
    if ((p->window_left >= 0 && back > p->window_left) ||
        (p->window_right >= 0 && -back > p->window_right))
        return false;
    if (p->mask.data && try_broadcast(&p->mask, b, h, i, j) == 0)
        return false;
    if (p->bias.data && try_broadcast(&p->bias, b, h, i, j) == -(double)INFINITY)
        return false;
    return !p->block_mask.data ||
           try_broadcast(&p->block_mask, b, h, i / p->block_q, j / p->block_k) != 0;
}

/* Element d of key j of KV head kv in x, which is k or v. */
static inline double try_key_element(const att_problem *p, const try_sequence *s,
                                     const att_tensor *x, int64_t b, int64_t kv, int64_t j,
                                     int64_t d)
{
    if (!p->block_table.data)
        return try_get(x, s->at, kv, s->k0 + j, d);
    const int32_t *table = p->block_table.data;
    const int32_t page = table[b * p->block_table.shape[3] + j / p->page_size];
    return try_get(x, page, kv, j % p->page_size, d);
}

/* One row: o and its bound, [dv] each; LSE and its bound.  pairs: as select reports them, or NULL.
 */
typedef struct try_row {
    double o[320], bound[320], lse, lse_bound;
    int64_t n;
} try_row;

typedef struct try_key {
    double s, b, p;
    int64_t j;
} try_key;

static inline try_key try_logit(const att_problem *p, const try_sequence *s, int64_t b, int64_t h,
                                int64_t i, int64_t j)
{
    const double u = 0x1p-24, scale = isnan(p->scale) ? 1 / sqrt((double)p->head_dim) : p->scale;
    const int64_t kv = h / (p->heads_q / p->heads_kv);
    double dot = 0, size = 0, x = 0;
    for (int64_t d = 0; d < p->head_dim; d++) {
        const double term = try_get(&p->q, s->at, h, s->q0 + i, d) *
                            try_key_element(p, s, &p->k, b, kv, j, d);
        dot += term, size += fabs(term);
    }
    dot *= scale, size *= fabs(scale);
    if (p->softcap > 0) {
        const double t = tanh(dot / p->softcap);
        x += fabs(dot) + fabs(p->softcap * t);
        size *= 1 - t * t;
        dot = p->softcap * t;
    }
    double score = dot;
    if (p->alibi_slopes.data) {
        const double far = fabs((double)(try_position(p, s, b, i) - try_key_position(p, b, j)));
        const double term = ((const float *)p->alibi_slopes.data)[h] * far;
        score -= term;
        x += fabs(term) + fabs(score);
    }
    if (p->bias.data) {
        const double term = try_broadcast(&p->bias, b, h, i, j);
        score += term;
        x += fabs(term) + fabs(score) + fabs(dot);
    }
    return (try_key){.s = score, .b = u * ((double)(p->head_dim + 3) * size + 2 * x), .j = j};
}

static inline double try_ulp(int32_t dtype, double x)
{
    const att_format f = att_fp_format(dtype);
    return att_fp_ulp(&f, x);
}

static inline void try_reference(const att_problem *p, int64_t b, int64_t h, int64_t i,
                                 const uint8_t *pairs, try_row *out)
{
    const double u = 0x1p-24;
    const try_sequence s = try_sequence_of(p, b);
    const int64_t kv = h / (p->heads_q / p->heads_kv);
    try_key *key = calloc((size_t)p->kv_len + 1, sizeof *key);
    double top = -(double)INFINITY, sum = 0, low = 0, zero = 0, spread = 0;
    int64_t n = 0;

    for (int64_t j = 0; j < p->kv_len; j++)
        if (try_allowed(p, &s, b, h, i, j) && (!pairs || pairs[j])) {
            key[n] = try_logit(p, &s, b, h, i, j);
            top = key[n].s > top ? key[n].s : top;
            n++;
        }
    if (p->sinks.data)
        zero = exp((double)((const float *)p->sinks.data)[h] - top);
    for (int64_t c = 0; c < n; c++) {
        key[c].b += 2 * u * (1 + fabs(key[c].s - top));
        key[c].p = exp(key[c].s - top);
        sum += key[c].p;
    }
    for (int64_t c = 0; c < n; c++) {
        low += key[c].p / sum * exp(-key[c].b);
        spread += key[c].p / sum * key[c].b;
    }
    out->n = n;
    out->lse = n ? top + log(sum) : -(double)INFINITY;
    out->lse_bound = n ? spread + (double)(n + 2) * u + u * (fabs(top) + log((double)n + 1)) : 0;
    const double share = n ? sum / (sum + zero) : 0;
    for (int64_t d = 0; d < p->value_dim; d++) {
        double o = 0, size = 0, first = 0, apart = 0, all = 0;
        for (int64_t c = 0; c < n; c++) {
            const double v = try_key_element(p, &s, &p->v, b, kv, key[c].j, d);
            o += key[c].p / sum * v;
            size += key[c].p / sum * fabs(v);
        }
        for (int64_t c = 0; c < n; c++) {
            const double v = try_key_element(p, &s, &p->v, b, kv, key[c].j, d);
            first += key[c].p / sum * fabs(v - o * share) * expm1(key[c].b);
            apart += key[c].p / sum * fabs(v - o * share);
            all += fmax(fabs(v), fabs(v - o));
        }
        double bound = n ? first / low + u * fmax(size, apart) + (double)(n + 2) * u * size +
                               0x1p-150 * all
                         : 0;
        if (p->sinks.data &&
            n) /* the sink as one more key: its own logit error, scaled by its share */
            bound += fabs(o) * (1 - share) * u * 4 *
                     (2 + fabs(out->lse) + fabs((double)((const float *)p->sinks.data)[h]));
        out->o[d] = o * share;
        out->bound[d] = n ? bound + try_ulp(p->out.dtype, fabs(out->o[d]) + bound) / 2 : 0;
    }
    free(key);
}

/* The worst |error| / bound of out and lse over the rows that sequences own; rows outside them must
 * still hold their NaN filling (else INFINITY).  Not a number anywhere counts as INFINITY. */
static inline double try_worst(const try_problem *t, const uint8_t *pairs)
{
    const att_problem *p = &t->p;
    try_row *row = malloc(sizeof *row);
    double worst = 0;

    for (int64_t b = 0; b < p->batch; b++) {
        const try_sequence s = try_sequence_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len && s.q0 + i < p->q.shape[2]; i++) {
                if (i >= s.nq) {
                    if (!p->cu_q.data && !isnan(try_get(&p->out, s.at, h, i, 0)))
                        worst = INFINITY;
                    continue;
                }
                try_reference(
                    p, b, h, i,
                    pairs ? pairs + ((b * p->heads_q + h) * p->q_len + i) * p->kv_len : NULL, row);
                for (int64_t d = 0; d < p->value_dim; d++) {
                    const double got = try_get(&p->out, s.at, h, s.q0 + i, d);
                    const double e = fabs(got - row->o[d]);
                    if (!(e <= row->bound[d]))
                        worst = fmax(worst, row->bound[d] > 0 && isfinite(e) ? e / row->bound[d]
                                                                             : (double)INFINITY);
                    else if (e > 0)
                        worst = fmax(worst, e / row->bound[d]);
                    if (!row->n && (got != 0 || signbit(got)))
                        worst = INFINITY;
                }
                const double lse = try_get(&p->lse, 0, s.at, h, s.q0 + i);
                if (!row->n ? lse != -(double)INFINITY : !(fabs(lse - row->lse) <= row->lse_bound))
                    worst = fmax(worst,
                                 row->n ? fabs(lse - row->lse) / row->lse_bound : (double)INFINITY);
                if (isnan(lse))
                    worst = INFINITY;
            }
    }
    free(row);
    return worst;
}

#endif
