/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of the linear family in its chunked form: quadratic inside a chunk, the state between
 * chunks.  With L(j,i) the product of the decays of tokens j+1 .. i and L(i) that from the chunk's
 * start, S the state before the chunk:
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
#include "common/recur.h"

static const att_param PARAMS[] = {
    {"chunk", ATT_PARAM_INT, 0, "tokens", "64", "1:4096", "64 1 16", "tokens of a chunk"}, {0}};

typedef struct job {
    const att_problem *p;
    int64_t chunk, slots, slot_floats;
    float *room;
} job;

/* A chunk of n tokens from `first` on of state head (b, h). */
typedef struct chunk {
    const att_problem *p;
    int64_t b, h, first, n, most;
    float *s, *z;    /* [Dk][Dv] [Dk] */
    float *k, *a;    /* [most][Dk] keys, decays */
    float *w;        /* [most][Dv] what is written: v, or the delta's */
    float *q;        /* [most][Dk] queries of a head */
    float *pair;     /* [most][most] x_i . L(j,i) k_j */
    float *aged, *o; /* [Dk] [Dv] */
} chunk;

static bool layout(const att_problem *p, const att_value *params, job *w)
{
    const int64_t dk = p->head_dim, dv = p->value_dim;
    int64_t bytes;

    *w = (job){.p = p, .chunk = att_min(params[0].i, att_max(1, p->kv_len))};
    w->slots = att_min(ATT_LIST_SLOTS, p->batch * p->heads_kv);
    w->slot_floats = dk * dv + w->chunk * (3 * dk + dv + w->chunk) + 2 * dk + dv;
    return !__builtin_mul_overflow(w->slots * (int64_t)sizeof(float), w->slot_floats, &bytes);
}

static chunk chunk_of(const job *w, int64_t slot)
{
    const int64_t dk = w->p->head_dim, dv = w->p->value_dim;
    chunk c = {.p = w->p, .most = w->chunk, .s = w->room + slot * w->slot_floats};
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

static void multiply(float *x, const float *y, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        x[c] *= y[c];
}

/* pair[i][j] = x_i . L(j,i) k_j for j <= i. */
static void pairs(const chunk *c, const float *x)
{
    const int64_t dk = c->p->head_dim;

    for (int64_t j = 0; j < c->n; j++) {
        memcpy(c->aged, c->k + j * dk, (size_t)dk * sizeof *c->aged);
        for (int64_t i = j; i < c->n; i++) {
            if (i > j)
                multiply(c->aged, c->a + i * dk, dk);
            c->pair[i * c->most + j] = att_dot(x + i * dk, c->aged, dk);
        }
    }
}

/* o = S^T (L(i) x_i), where x_i comes in `aged`, times L(i). */
static void from_state(const chunk *c)
{
    const int64_t dv = c->p->value_dim;

    memset(c->o, 0, (size_t)dv * sizeof *c->o);
    for (int64_t r = 0; r < c->p->head_dim; r++)
        att_axpy(c->aged[r], c->s + r * dv, dv, c->o);
}

/* aged = L(i) x_i */
static void age(const chunk *c, const float *x, int64_t i)
{
    const int64_t dk = c->p->head_dim;

    memcpy(c->aged, x + i * dk, (size_t)dk * sizeof *c->aged);
    for (int64_t s = 0; s <= i; s++)
        multiply(c->aged, c->a + s * dk, dk);
}

static void take_in(const chunk *c)
{
    const att_problem *p = c->p;
    const int64_t dk = p->head_dim, dv = p->value_dim;

    for (int64_t i = 0; i < c->n; i++) {
        att_recur_key(p, c->b, c->h, c->first + i, c->k + i * dk);
        att_recur_value(p, c->b, c->h, c->first + i, c->w + i * dv);
        att_recur_decay(p, c->b, c->h, c->first + i, c->a + i * dk);
    }
    if (!att_rule_delta(p->recur->rule))
        return;
    pairs(c, c->k);
    for (int64_t i = 0; i < c->n; i++) {
        const float beta = att_recur_beta(p, c->b, c->h, c->first + i);
        age(c, c->k, i);
        from_state(c);
        for (int64_t j = 0; j < i; j++)
            att_axpy(c->pair[i * c->most + j], c->w + j * dv, dv, c->o);
        for (int64_t d = 0; d < dv; d++)
            c->w[i * dv + d] = beta * (c->w[i * dv + d] - c->o[d]);
    }
}

static void answer(const chunk *c, int64_t hq)
{
    const att_problem *p = c->p;
    const int64_t dk = p->head_dim, dv = p->value_dim;
    const bool normed = p->recur->rule == ATT_RULE_LINEAR_ELU1;
    const float scale = att_recur_scale(p);

    for (int64_t i = 0; i < c->n; i++)
        att_recur_query(p, c->b, hq, c->first + i, c->q + i * dk);
    pairs(c, c->q);
    for (int64_t i = 0; i < c->n; i++) {
        float norm = normed ? att_dot(c->z, c->q + i * dk, dk) : 0.0f;
        age(c, c->q, i);
        from_state(c);
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
static void advance(const chunk *c)
{
    const int64_t dk = c->p->head_dim, dv = c->p->value_dim;

    for (int64_t r = 0; r < dk; r++)
        for (int64_t i = 0; i < c->n; i++) {
            float *row = c->s + r * dv;
            c->z[r] += c->k[i * dk + r];
            for (int64_t d = 0; d < dv; d++)
                row[d] *= c->a[i * dk + r];
            att_axpy(c->k[i * dk + r], c->w + i * dv, dv, row);
        }
}

static void body(void *arg, int64_t slot, int thread)
{
    const job *w = arg;
    const att_problem *p = w->p;
    const int64_t group = p->heads_q / p->heads_kv;
    chunk c = chunk_of(w, slot);

    (void)thread;
    for (int64_t task = slot; task < p->batch * p->heads_kv; task += w->slots) {
        c.b = task / p->heads_kv;
        c.h = task % p->heads_kv;
        att_recur_load(p, c.b, c.h, p->value_dim, c.s, c.z);
        for (c.first = 0; c.first < p->kv_len; c.first += w->chunk) {
            c.n = att_min(w->chunk, p->kv_len - c.first);
            take_in(&c);
            for (int64_t hq = c.h * group; hq < (c.h + 1) * group; hq++)
                answer(&c, hq);
            advance(&c);
        }
        att_recur_save(p, c.b, c.h, p->value_dim, c.s, c.z);
    }
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    job w;
    (void)self, (void)op;
    if (!layout(p, params, &w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(w.slots * w.slot_floats) * sizeof(float);
    return ATT_OK;
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    job w;
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    if (status)
        return status;
    if (!layout(p, s->params, &w) || s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    w.room = s->data;
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, body, &w);
    return ATT_OK;
}

const att_kernel att_kernel_recur_chunk = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "recur_chunk",
    .family = "linear",
    .summary = "every rule of the linear family in chunks, f32 state",
    .source = "Yang et al. 2023, Gated linear attention transformers; 2024, Gated delta networks",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_recur_supports,
    .plan = plan,
    .recur = recur,
};
