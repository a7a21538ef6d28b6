/* SPDX-License-Identifier: Apache-2.0 */
/* The linear family in its chunked form: quadratic inside a chunk, the state between chunks.  With
 * L(j,i) the product of the decays of tokens j+1 .. i and L(i) that from the chunk's start, S the
 * state before the chunk:
 *
 *   w_i = v_i, or (delta) beta_i (v_i - S^T (L(i) k_i) - sum_{j<i} (k_i . L(j,i) k_j) w_j)
 *   o_i = S^T (L(i) q_i) + sum_{j<=i} (q_i . L(j,i) k_j) w_j      times scale, or over z . q
 *   S'  = diag(L(n)) S + sum_j (L(j,n) k_j) w_j^T
 *
 * Why: chunks turn the recurrence into matrix products.  A key ages by a product a token, never by
 * exp of a difference of sums, so that strong decays neither overflow nor cancel.  The delta rules
 * are solved by forward substitution (the UT or WY form without its explicit inverse).
 * Bound: as the recurrent form's, t (Dk + 8) + Dk + 2 roundings of the recurrence on absolute
 * values.  O(B Hq T (chunk (Dk + Dv) + Dk Dv)), a thread a state head.
 * Source: Hua et al. 2022, Yang et al. 2023 (gla), 2024 (delta, gated delta). */
#ifndef ATT_COMMON_CHUNKED_H
#define ATT_COMMON_CHUNKED_H

#include "common/recur.h"

typedef struct att_chunk_job {
    const att_problem *p;
    int64_t chunk, slots, slot_floats;
    float *room;
} att_chunk_job;

/* A chunk of n tokens from `first` on of state head (b, h). */
typedef struct att_chunk {
    const att_problem *p;
    int64_t b, h, first, n, most, width; /* width: F */
    float *s, *z;                        /* [F][Dv] [F] */
    float *k, *a;                        /* [most][F] keys, decays */
    float *w;                            /* [most][Dv] what is written: v, or the delta's */
    float *q;                            /* [most][F] queries of a head */
    float *pair;                         /* [most][most] x_i . L(j,i) k_j */
    float *aged, *o;                     /* [F] [Dv] */
} att_chunk;

static inline bool att_chunk_layout(const att_problem *p, int64_t chunk, att_chunk_job *w)
{
    const int64_t dk = att_recur_width(p), dv = p->value_dim;
    int64_t bytes;

    *w = (att_chunk_job){.p = p, .chunk = att_min(chunk, att_max(1, p->kv_len))};
    w->slots = att_min(ATT_LIST_SLOTS, p->batch * p->heads_kv);
    w->slot_floats = dk * dv + w->chunk * (3 * dk + dv + w->chunk) + 2 * dk + dv;
    return !__builtin_mul_overflow(w->slots * (int64_t)sizeof(float), w->slot_floats, &bytes);
}

static inline att_chunk att_chunk_of(const att_chunk_job *w, int64_t slot)
{
    const int64_t dk = att_recur_width(w->p), dv = w->p->value_dim;
    att_chunk c = {.p = w->p, .width = dk, .most = w->chunk, .s = w->room + slot * w->slot_floats};
    c.z = c.s + dk * dv;
    c.k = c.z + dk;
    c.a = c.k + c.most * dk;
    c.q = c.a + c.most * dk;
    c.w = c.q + c.most * dk;
    c.pair = c.w + c.most * dv;
    c.aged = c.pair + c.most * c.most;
    c.o = c.aged + dk;
    return c;
}

static inline void att_chunk_multiply(float *x, const float *y, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        x[c] *= y[c];
}

/* pair[i][j] = x_i . L(j,i) k_j for j <= i. */
static inline void att_chunk_pairs(const att_chunk *c, const float *x)
{
    const int64_t dk = c->width;

    for (int64_t j = 0; j < c->n; j++) {
        memcpy(c->aged, c->k + j * dk, (size_t)dk * sizeof *c->aged);
        for (int64_t i = j; i < c->n; i++) {
            if (i > j)
                att_chunk_multiply(c->aged, c->a + i * dk, dk);
            c->pair[i * c->most + j] = att_dot(x + i * dk, c->aged, dk);
        }
    }
}

/* o = S^T (L(i) x_i), where x_i comes in `aged`, times L(i). */
static inline void att_chunk_from_state(const att_chunk *c)
{
    const int64_t dv = c->p->value_dim;

    memset(c->o, 0, (size_t)dv * sizeof *c->o);
    for (int64_t r = 0; r < c->width; r++)
        att_axpy(c->aged[r], c->s + r * dv, dv, c->o);
}

/* aged = L(i) x_i */
static inline void att_chunk_age(const att_chunk *c, const float *x, int64_t i)
{
    const int64_t dk = c->width;

    memcpy(c->aged, x + i * dk, (size_t)dk * sizeof *c->aged);
    for (int64_t s = 0; s <= i; s++)
        att_chunk_multiply(c->aged, c->a + s * dk, dk);
}

static inline void att_chunk_take_in(const att_chunk *c)
{
    const att_problem *p = c->p;
    const int64_t dk = c->width, dv = p->value_dim;

    for (int64_t i = 0; i < c->n; i++) {
        att_recur_key(p, c->b, c->h, c->first + i, c->k + i * dk);
        att_recur_value(p, c->b, c->h, c->first + i, c->w + i * dv);
        att_recur_decay(p, c->b, c->h, c->first + i, c->a + i * dk);
    }
    if (!att_rule_delta(p->recur->rule))
        return;
    att_chunk_pairs(c, c->k);
    for (int64_t i = 0; i < c->n; i++) {
        const float beta = att_recur_beta(p, c->b, c->h, c->first + i);
        att_chunk_age(c, c->k, i);
        att_chunk_from_state(c);
        for (int64_t j = 0; j < i; j++)
            att_axpy(c->pair[i * c->most + j], c->w + j * dv, dv, c->o);
        for (int64_t d = 0; d < dv; d++)
            c->w[i * dv + d] = beta * (c->w[i * dv + d] - c->o[d]);
    }
}

static inline void att_chunk_answer(const att_chunk *c, int64_t hq)
{
    const att_problem *p = c->p;
    const int64_t dk = c->width, dv = p->value_dim;
    const bool normed = att_rule_normed(p->recur->rule);
    const float scale = att_recur_scale(p);

    for (int64_t i = 0; i < c->n; i++)
        att_recur_query(p, c->b, hq, c->first + i, c->q + i * dk);
    att_chunk_pairs(c, c->q);
    for (int64_t i = 0; i < c->n; i++) {
        float norm = normed ? att_dot(c->z, c->q + i * dk, dk) : 0.0f;
        att_chunk_age(c, c->q, i);
        att_chunk_from_state(c);
        for (int64_t j = 0; j <= i; j++) {
            norm += c->pair[i * c->most + j];
            att_axpy(c->pair[i * c->most + j], c->w + j * dv, dv, c->o);
        }
        for (int64_t d = 0; d < dv; d++)
            c->o[d] = normed ? c->o[d] / norm : scale * c->o[d];
        att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, c->b, hq, c->first + i, 0),
                      p->out.stride[3], dv, c->o);
    }
}

/* The state after the chunk; a later token ages the sum, so no key ages alone. */
static inline void att_chunk_advance(const att_chunk *c)
{
    const int64_t dk = c->width, dv = c->p->value_dim;

    for (int64_t r = 0; r < dk; r++)
        for (int64_t i = 0; i < c->n; i++) {
            float *row = c->s + r * dv;
            c->z[r] += c->k[i * dk + r];
            for (int64_t d = 0; d < dv; d++)
                row[d] *= c->a[i * dk + r];
            att_axpy(c->k[i * dk + r], c->w + i * dv, dv, row);
        }
}

static inline void att_chunk_body(void *arg, int64_t slot, int thread)
{
    const att_chunk_job *w = arg;
    const att_problem *p = w->p;
    const int64_t group = p->heads_q / p->heads_kv;
    att_chunk c = att_chunk_of(w, slot);

    (void)thread;
    for (int64_t task = slot; task < p->batch * p->heads_kv; task += w->slots) {
        c.b = task / p->heads_kv;
        c.h = task % p->heads_kv;
        att_recur_load(p, c.b, c.h, p->value_dim, c.s, c.z);
        for (c.first = 0; c.first < p->kv_len; c.first += w->chunk) {
            c.n = att_min(w->chunk, p->kv_len - c.first);
            att_chunk_take_in(&c);
            for (int64_t hq = c.h * group; hq < (c.h + 1) * group; hq++)
                att_chunk_answer(&c, hq);
            att_chunk_advance(&c);
        }
        att_recur_save(p, c.b, c.h, p->value_dim, c.s, c.z);
    }
}

/* chunk tokens at a time; NO_MEMORY where s is not what att_chunk_layout asks for. */
static inline att_status att_chunk_run(const att_problem *p, int64_t chunk, const att_scratch *s)
{
    att_chunk_job w;

    if (!att_chunk_layout(p, chunk, &w) ||
        s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    w.room = s->data;
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, att_chunk_body, &w);
    return ATT_OK;
}

#endif
