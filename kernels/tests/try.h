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
    int64_t paged; /* page size; pages in a scattered order, some shared by two sequences */
    int values;    /* 0 normal, 1 logits near -7e4, 2 a late key of +200, 3 V up to 1e4 */
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
    const int64_t each = s->paged ? (s->skv + s->paged - 1) / s->paged : 0;
    const int64_t bk = s->paged ? each + s->b : b, rows = s->paged ? s->paged : s->skv;
    p->k = try_tensor(t, s->dtype, s->layout, bk, s->hkv, rows, s->dk);
    p->v = try_tensor(t, s->dtype, s->layout, bk, s->hkv, rows, s->dv);
    p->out = try_tensor(t, s->dtype, s->layout, b, s->hq, s->sq, s->dv);
    p->lse = try_tensor(t, ATT_F32, TRY_DENSE, 1, b, s->hq, s->sq);
    try_fill(&p->q, &rng, 1.0, s->values == 1 ? 60.0 : 0.0);
    try_fill(&p->k, &rng, 1.0, s->values == 1 ? -1200.0 / sqrt((double)s->dk) : 0.0);
    try_fill(&p->v, &rng, s->values == 3 ? 1e4 : 1.0, 0.0);
    for (int64_t d = 0; d < s->dk && s->values == 2 && b > 0 && s->skv > 0 && s->sq > 0; d++)
        try_put(&p->k, 0, 0, s->skv - 1, d,
                try_get(&p->q, 0, 0, s->sq - 1, d) * 200.0 / sqrt((double)s->dk));
    if (s->paged) {
        p->page_size = s->paged;
        p->block_table = try_tensor(t, ATT_I32, TRY_DENSE, 1, 1, s->b, each);
        for (int64_t n = 0; n < s->b * each; n++)
            ((int32_t *)p->block_table.data)[n] = (int32_t)((n * 5 + 1) % bk);
    }
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
    else if (op == ATT_OP_ATTEND_BACKWARD)
        status = k->attend_backward(k, p, &s);
    else
        status = k->attend(k, p, &s);
    if (k->drop)
        k->drop(k, plan.handle);
    att_guard_drop(&room);
    return status;
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
