/* SPDX-License-Identifier: Apache-2.0 */
/* A small problem in guarded memory, a kernel run on it, and a plain f64 loop to compare with.
 *
 * The loop shares nothing with the kernels or the oracle: it walks all pairs and asks the
 * contract's rules one by one.  Its bound is the worst case of the numeric rule (u_acc = u_P =
 * 2^-24). */
#ifndef ATT_KERNELS_TRY_H
#define ATT_KERNELS_TRY_H

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "attn.h"
#include "base/fp.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/host.h"
#include "table.h"

typedef enum try_layout {
    TRY_DENSE = 0,
    TRY_BSHD,     /* heads inside rows */
    TRY_BACKWARD, /* rows in reverse order: negative strides */
    TRY_SPREAD,   /* every other element: d stride 2 */
    TRY_LAYOUTS
} try_layout;

/* What a problem has beside its sizes; 0 = off, except windows, where width + 1. */
typedef struct try_spec {
    int64_t b, hq, hkv, sq, skv, dk, dv;
    int32_t causal, dtype, layout;
    int64_t left1, right1;
    double cap;
    int bias; /* 1 full f32 with -inf, 2 a key, 3 a row, 4 f16 a head, 5 bf16, 6 f64, 7 -3.4e38 all
               */
    int mask; /* 1 full, 2 a key, 3 a row, 4 hides everything from every other row */
    int sinks, alibi, block, positions, lengths, packed;
    int values; /* 0 normal, 1 logits near -7e4, 2 a late key of +200, 3 V up to 1e4 */
} try_spec;

#define TRY_BUFFERS 24
typedef struct try_problem {
    try_spec spec;
    att_problem p;
    att_guard guard[TRY_BUFFERS];
    size_t guards;
} try_problem;

static inline void *try_alloc(try_problem *t, size_t bytes)
{
    att_guard *g = &t->guard[t->guards++];
    if (t->guards > TRY_BUFFERS || !att_guard_make(g, bytes, ATT_PLACE_FLUSH))
        abort();
    return g->data;
}

static inline void try_drop(try_problem *t)
{
    for (size_t i = 0; i < t->guards; i++)
        att_guard_drop(&t->guard[i]);
    t->guards = 0;
}

/* A tensor [n0,n1,n2,n3] in one of the layouts; memory filled with NaN. */
static inline att_tensor try_tensor(try_problem *t, int32_t dtype, int layout, int64_t n0,
                                    int64_t n1, int64_t n2, int64_t n3)
{
    const int64_t spread = layout == TRY_SPREAD ? 2 : 1;
    int64_t count = n0 * n1 * n2 * n3 * spread;
    if (layout == TRY_SPREAD && count)
        count--; /* ends with the last element */
    char *data = try_alloc(t, (size_t)count * att_dtype_size(dtype));
    att_tensor x = att_tensor_dense(data, dtype, n0, n1, n2, n3);
    for (int d = 0; d < 4; d++)
        x.stride[d] *= spread;
    if (layout == TRY_BSHD) {
        x.stride[2] = n1 * n3;
        x.stride[1] = n3;
    }
    if (layout == TRY_BACKWARD && n2 > 0) {
        x.data = data + (size_t)((n2 - 1) * x.stride[2]) * att_dtype_size(dtype);
        x.stride[2] = -x.stride[2];
    }
    return x;
}

static inline double try_get(const att_tensor *x, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return att_fp_load(x->data, x->dtype, att_tensor_at(x, a, b, c, d));
}

static inline void try_put(att_tensor *x, int64_t a, int64_t b, int64_t c, int64_t d, double value)
{
    att_fp_store(x->data, x->dtype, att_tensor_at(x, a, b, c, d), value);
}

/* Normal numbers times `size`, plus `shift`. */
static inline void try_fill(att_tensor *x, att_rng *rng, double size, double shift)
{
    for (int64_t a = 0; a < x->shape[0]; a++)
        for (int64_t b = 0; b < x->shape[1]; b++)
            for (int64_t c = 0; c < x->shape[2]; c++)
                for (int64_t d = 0; d < x->shape[3]; d++)
                    try_put(x, a, b, c, d, att_rng_normal(rng) * size + shift);
}

static inline void try_fill_bias(try_problem *t, att_rng *rng)
{
    const try_spec *s = &t->spec;
    static const int32_t dtypes[] = {0,       ATT_F32,  ATT_F32, ATT_F32,
                                     ATT_F16, ATT_BF16, ATT_F64, ATT_F32};
    const int kind = s->bias;
    att_tensor *x = &t->p.bias;
    *x = try_tensor(t, dtypes[kind], TRY_DENSE, kind == 1 || kind == 6 ? s->b : 1,
                    kind == 1 || kind == 4 ? s->hq : 1, kind == 2 || kind == 4 ? 1 : s->sq,
                    kind == 3 ? 1 : s->skv);
    try_fill(x, rng, kind == 7 ? 0.0 : 2.0, kind == 7 ? -3.4e38 : 0.0);
    for (int64_t h = 0; h < x->shape[1] && kind != 7; h++)
        for (int64_t i = 0; i < x->shape[2]; i++)
            for (int64_t j = 0; j < x->shape[3]; j++)
                if (att_rng_below(rng, 4) == 0)
                    try_put(x, x->shape[0] - 1, h, i, j, -(double)INFINITY);
}

static inline void try_fill_mask(try_problem *t, att_rng *rng)
{
    const try_spec *s = &t->spec;
    att_tensor *x = &t->p.mask;
    *x = try_tensor(t, ATT_U8, TRY_DENSE, s->mask == 1 ? s->b : 1, s->mask == 1 ? s->hq : 1,
                    s->mask == 2 ? 1 : s->sq, s->mask == 3 || s->mask == 4 ? 1 : s->skv);
    for (int64_t a = 0; a < x->shape[0]; a++)
        for (int64_t h = 0; h < x->shape[1]; h++)
            for (int64_t i = 0; i < x->shape[2]; i++)
                for (int64_t j = 0; j < x->shape[3]; j++)
                    ((uint8_t *)x->data)[att_tensor_at(x, a, h, i, j)] =
                        s->mask == 4 ? i % 2 == 0 : (att_rng_below(rng, 3) != 0) * 7;
}

static inline void try_fill_ints(try_problem *t, att_rng *rng)
{
    const try_spec *s = &t->spec;
    if (s->positions) {
        t->p.q_positions = try_tensor(t, ATT_I64, TRY_DENSE, 1, 1, s->b, s->sq);
        for (int64_t n = 0; n < s->b * s->sq; n++)
            ((int64_t *)t->p.q_positions.data)[n] =
                (int64_t)att_rng_below(rng, (uint64_t)s->skv + 3) - 1;
    }
    if (s->positions > 1) {
        t->p.k_positions = try_tensor(t, ATT_I64, TRY_DENSE, 1, 1, s->b, s->skv);
        for (int64_t n = 0; n < s->b * s->skv; n++)
            ((int64_t *)t->p.k_positions.data)[n] = (n * 7 + 3) % s->skv;
    }
    if (s->lengths) {
        t->p.q_lengths = try_tensor(t, ATT_I32, TRY_DENSE, 1, 1, 1, s->b);
        t->p.kv_lengths = try_tensor(t, ATT_I32, TRY_DENSE, 1, 1, 1, s->b);
        for (int64_t b = 0; b < s->b; b++) {
            ((int32_t *)t->p.q_lengths.data)[b] = (int32_t)att_rng_below(rng, (uint64_t)s->sq + 1);
            ((int32_t *)t->p.kv_lengths.data)[b] =
                (int32_t)att_rng_below(rng, (uint64_t)s->skv + 1);
        }
    }
    if (s->packed) { /* b sequences of falling length in the rows of one */
        t->p.cu_q = try_tensor(t, ATT_I32, TRY_DENSE, 1, 1, 1, s->b + 1);
        t->p.cu_k = try_tensor(t, ATT_I32, TRY_DENSE, 1, 1, 1, s->b + 1);
        int32_t *q = t->p.cu_q.data, *k = t->p.cu_k.data;
        q[0] = k[0] = 0;
        for (int64_t b = 0; b < s->b; b++) {
            q[b + 1] = q[b] + (int32_t)(b % 2 ? 0 : (s->sq - q[b]) / 2);
            k[b + 1] = k[b] + (int32_t)((s->skv - k[b]) / 2);
        }
    }
    if (s->block) {
        t->p.block_q = 3;
        t->p.block_k = s->block;
        t->p.block_mask = try_tensor(t, ATT_U8, TRY_DENSE, 1, s->hq, (s->sq + 2) / 3,
                                     (s->skv + s->block - 1) / s->block);
        const int64_t n = s->hq * ((s->sq + 2) / 3) * ((s->skv + s->block - 1) / s->block);
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)t->p.block_mask.data)[i] = att_rng_below(rng, 2) != 0;
    }
}

static inline void try_make(try_problem *t, const try_spec *s, uint64_t seed)
{
    att_rng rng = att_rng_make(seed, "kernel test");
    const int64_t b = s->packed ? 1 : s->b;

    *t = (try_problem){.spec = *s, .p = att_problem_init()};
    att_problem *p = &t->p;
    p->batch = s->b, p->heads_q = s->hq, p->heads_kv = s->hkv;
    p->q_len = s->sq, p->kv_len = s->skv, p->head_dim = s->dk, p->value_dim = s->dv;
    p->causal = s->causal, p->softcap = s->cap;
    p->window_left = s->left1 - 1, p->window_right = s->right1 - 1;
    p->q = try_tensor(t, s->dtype, s->layout, b, s->hq, s->sq, s->dk);
    p->k = try_tensor(t, s->dtype, s->layout, b, s->hkv, s->skv, s->dk);
    p->v = try_tensor(t, s->dtype, s->layout, b, s->hkv, s->skv, s->dv);
    p->out = try_tensor(t, s->dtype, s->layout, b, s->hq, s->sq, s->dv);
    p->lse = try_tensor(t, ATT_F32, TRY_DENSE, 1, b, s->hq, s->sq);
    try_fill(&p->q, &rng, 1.0, s->values == 1 ? 60.0 : 0.0);
    try_fill(&p->k, &rng, 1.0, s->values == 1 ? -1200.0 / sqrt((double)s->dk) : 0.0);
    try_fill(&p->v, &rng, s->values == 3 ? 1e4 : 1.0, 0.0);
    for (int64_t d = 0; d < s->dk && s->values == 2 && b > 0 && s->skv > 0 && s->sq > 0; d++)
        try_put(&p->k, 0, 0, s->skv - 1, d,
                try_get(&p->q, 0, 0, s->sq - 1, d) * 200.0 / sqrt((double)s->dk));
    if (s->bias)
        try_fill_bias(t, &rng);
    if (s->mask)
        try_fill_mask(t, &rng);
    if (s->sinks) {
        p->sinks = try_tensor(t, ATT_F32, TRY_DENSE, 1, 1, 1, s->hq);
        try_fill(&p->sinks, &rng, 3.0, 0.0);
    }
    if (s->alibi) {
        p->alibi_slopes = try_tensor(t, ATT_F32, TRY_DENSE, 1, 1, 1, s->hq);
        try_fill(&p->alibi_slopes, &rng, 0.1, 0.3);
    }
    try_fill_ints(t, &rng);
}

/* ------------------------------------------------------------------ the plain loop */

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
                            try_get(&p->k, s->at, kv, s->k0 + j, d);
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
            const double v = try_get(&p->v, s.at, kv, s.k0 + key[c].j, d);
            o += key[c].p / sum * v;
            size += key[c].p / sum * fabs(v);
        }
        for (int64_t c = 0; c < n; c++) {
            const double v = try_get(&p->v, s.at, kv, s.k0 + key[c].j, d);
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

/* ---------------------------------------------------------------------- running it */

/* supports, plan, operator, drop with dirty scratch; UNSUPPORTED passes through. */
static inline att_status try_call(const att_kernel *k, att_op op, const att_problem *p,
                                  const att_value *params, const att_host *host, uint8_t *allowed)
{
    att_reason why = {""};
    att_status status = k->supports(k, op, p, params, &why);
    if (status)
        return status;
    att_plan plan = {0};
    if (k->plan && (status = k->plan(k, op, p, params, &plan)))
        return status;
    att_guard room;
    if (!att_guard_make(&room, (plan.scratch_bytes + 63) / 64 * 64, ATT_PLACE_FLUSH))
        return ATT_NO_MEMORY;
    const att_scratch s = {.data = room.data,
                           .bytes = plan.scratch_bytes,
                           .handle = plan.handle,
                           .params = params,
                           .host = host};
    if (op == ATT_OP_SELECT)
        status = k->select(k, p, &s, allowed);
    else if (op == ATT_OP_RECUR)
        status = k->recur(k, p, &s);
    else
        status = k->attend(k, p, &s);
    if (k->drop)
        k->drop(k, plan.handle);
    att_guard_drop(&room);
    return status;
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

static inline const att_kernel *try_find(const att_kernel *const *table, const char *name)
{
    for (; *table; table++)
        if (!strcmp((*table)->name, name))
            return *table;
    return NULL;
}

static inline const att_kernel *try_kernel(const char *name)
{
    const att_kernel_tables *t = att_kernel_table(NULL);
    const att_kernel *k = t ? try_find(t->kernels, name) : NULL;
    return k || !t ? k : try_find(t->controls, name);
}

#endif
