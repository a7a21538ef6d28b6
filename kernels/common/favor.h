/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention by positive random features (FAVOR+), as a recurrence over keys.
 *
 *   exp(x.y) = E_w [phi_w(x) phi_w(y)],  phi_w(x) = exp(w.x - |x|^2 / 2),  w ~ N(0, I)
 *   A_ij = 1/m sum_r phi_r(x_i) phi_r(y_j),   x = sqrt(scale) q, y = sqrt(scale) k
 *   o_i = sum_j A_ij v_j / D_i,   D_i = sum_j A_ij,   LSE_i = ln D_i
 *
 * Why: a state of constant size whose weights are softmax's on average.  The state keeps, a
 * feature, the largest exponent c_r so far, sum_j exp(a_rj - c_r) and sum_j exp(a_rj - c_r) v_j:
 * nothing overflows, and the feature that weighs most for a query adds at least 1 to its sum.
 *
 * The w are part of the function, in f32: draw n of a stream is splitmix64 of stream + n; number c
 * of w_r is Box and Muller's cosine of draws 2 (r Dk + c) and the next, rounded; the stream itself
 * is a draw.  Orthogonal: in each block of Dk features the w are orthogonal, their lengths as they
 * were drawn.
 * Bound: A_ij is unbiased with variance A_ij^2 (exp |x_i + y_j|^2 - 1) / m; rounding is small
 * beside it.  O(m (Dk + Dv)) a row of q and of k, a thread a kv head.
 * Source: Choromanski et al. 2020, "Rethinking attention with performers", lemmas 1 and 2. */
#ifndef ATT_COMMON_FAVOR_H
#define ATT_COMMON_FAVOR_H

#include "common/rows.h"

enum { ATT_FAVOR_M, ATT_FAVOR_SEED, ATT_FAVOR_ORTHOGONAL }; /* places among the parameters */

static const att_param ATT_FAVOR_PARAMS[] = {
    {"m", ATT_PARAM_INT, ATT_ROLE_SAMPLES, "features", "256", "1:65536", "256 64",
     "random features of a head"},
    {"draw", ATT_PARAM_INT, ATT_ROLE_SEED, "", "1", "0:9007199254740991", "1",
     "which features are drawn"},
    {"orthogonal", ATT_PARAM_INT, 0, "", "1", "0:1", "1 0",
     "are the features of a block of head_dim orthogonal"},
    {0}};

typedef struct att_favor {
    const att_problem *p;
    int64_t m, columns, slots, slot_floats, projection;
    float *wq, *wk; /* [m][Dk] each, or one for both */
    float *room;
} att_favor;

/* The state of one (sequence, kv head), and rows in work. */
typedef struct att_favor_state {
    float *s, *z, *c;     /* [m][columns] [m] [m] */
    float *x, *e, *v, *o; /* [Dk] [m] [columns] [columns] */
} att_favor_state;

static const att_accept ATT_FAVOR_ACCEPT = {.ops = 1u << ATT_OP_ATTEND,
                                            .can = ATT_CAN_PACKED | ATT_CAN_PAGED,
                                            .dtypes = ATT_HALVES_AND_SINGLE};

/* false: too large.  `projections`: 1, or 2 where queries and keys have features of their own. */
static inline bool att_favor_layout(const att_problem *p, const att_value *params, int projections,
                                    att_favor *w)
{
    int64_t floats;

    *w = (att_favor){.p = p, .m = params[ATT_FAVOR_M].i};
    w->columns = att_ceil_div(p->value_dim, ATT_W) * ATT_W;
    w->slots = att_min(ATT_LIST_SLOTS, p->batch * p->heads_kv);
    w->slot_floats = w->m * (w->columns + 3) + p->head_dim + 2 * w->columns;
    w->projection = w->m * p->head_dim; /* at most 2^32 */
    return !__builtin_mul_overflow(w->slots, w->slot_floats, &floats) &&
           !__builtin_add_overflow(floats, projections * w->projection, &floats) &&
           floats < INT64_MAX / 8;
}

static inline size_t att_favor_bytes(const att_favor *w, int projections)
{
    return (size_t)(projections * w->projection + w->slots * w->slot_floats) * sizeof(float);
}

/* ------------------------------------------------------------------------- projections */

/* Uniform in (0, 1): draw n of a stream (Steele et al. 2014, splitmix64). */
static inline double att_favor_unit(uint64_t stream, uint64_t n)
{
    uint64_t x = (stream + n) * 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return ((double)((x ^ x >> 31) >> 11) + 0.5) * 0x1p-53;
}

/* Draw n of N(0, 1) (Box and Muller 1958). */
static inline float att_favor_normal(uint64_t stream, uint64_t n)
{
    const double u = att_favor_unit(stream, 2 * n), turn = att_favor_unit(stream, 2 * n + 1);
    return (float)(sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * turn));
}

static inline double att_favor_dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t c = 0; c < n; c++)
        sum += (double)a[c] * (double)b[c];
    return sum;
}

/* Row r loses what it shares with the rows of its block before it, and keeps its length. */
static inline void att_favor_turn(float *w, int64_t r, int64_t dk)
{
    float *row = w + r * dk;
    const double length = sqrt(att_favor_dot(row, row, dk));

    for (int pass = 0; pass < 2; pass++) /* twice is enough (Kahan; Parlett 1980) */
        for (int64_t s = r - r % dk; s < r; s++) {
            const float *other = w + s * dk;
            const double share = att_favor_dot(row, other, dk) / att_favor_dot(other, other, dk);
            for (int64_t c = 0; c < dk; c++)
                row[c] -= (float)(share * (double)other[c]);
        }
    const double left = sqrt(att_favor_dot(row, row, dk));
    for (int64_t c = 0; c < dk; c++)
        row[c] *= (float)(length / left);
}

/* m draws of w from `stream`. */
static inline void att_favor_draw(const att_favor *f, const att_value *params, uint64_t stream,
                                  float *w)
{
    const uint64_t start =
        (uint64_t)(att_favor_unit(stream, (uint64_t)params[ATT_FAVOR_SEED].i) * 0x1p63);
    const int64_t dk = f->p->head_dim;

    for (int64_t r = 0; r < f->m; r++) {
        for (int64_t c = 0; c < dk; c++)
            w[r * dk + c] = att_favor_normal(start, (uint64_t)(r * dk + c));
        if (params[ATT_FAVOR_ORTHOGONAL].i)
            att_favor_turn(w, r, dk);
    }
}

/* ----------------------------------------------------------------------------- the loop */

static inline att_favor_state att_favor_state_of(const att_favor *w, int64_t slot)
{
    att_favor_state st = {.s = w->room + slot * w->slot_floats};

    st.z = st.s + w->m * w->columns;
    st.c = st.z + w->m;
    st.e = st.c + w->m;
    st.v = st.e + w->m;
    st.o = st.v + w->columns;
    st.x = st.o + w->columns;
    return st;
}

/* e[r] = w_r . x - |x|^2 / 2 of row `at` of t, times `root`. */
static inline void att_favor_exponents(const att_favor *f, const att_tensor *t, int64_t at,
                                       const float *w, float root, att_favor_state *st)
{
    const int64_t dk = f->p->head_dim;

    att_load_row(t->data, t->dtype, at, t->stride[3], dk, st->x);
    for (int64_t c = 0; c < dk; c++)
        st->x[c] *= root;
    const float half = 0.5f * att_dot(st->x, st->x, dk);
    for (int64_t r = 0; r < f->m; r++)
        st->e[r] = att_dot(w + r * dk, st->x, dk) - half;
}

static inline void att_favor_add(const att_favor *f, att_favor_state *st, const att_seq *seq,
                                 int64_t h, int64_t j)
{
    const att_problem *p = f->p;

    att_favor_exponents(f, &p->k, att_key_at(p, &p->k, seq, h, j), f->wk,
                        (float)sqrt(fabs(att_scale(p))), st);
    att_load_row(p->v.data, p->v.dtype, att_key_at(p, &p->v, seq, h, j), p->v.stride[3],
                 p->value_dim, st->v);
    for (int64_t r = 0; r < f->m; r++) {
        float *row = st->s + r * f->columns, weight = 1.0f;
        if (st->e[r] > st->c[r]) {
            const float keep = st->c[r] == -INFINITY ? 0.0f : att_exp(st->c[r] - st->e[r]);
            for (int64_t d = 0; d < f->columns; d++)
                row[d] *= keep;
            st->z[r] *= keep;
            st->c[r] = st->e[r];
        } else {
            weight = att_exp(st->e[r] - st->c[r]);
        }
        st->z[r] += weight;
        att_axpy(weight, st->v, f->columns, row);
    }
}

/* The row's result from the state as it is. */
static inline float att_favor_mix(const att_favor *f, att_favor_state *st, float *top)
{
    float sum = 0.0f;

    *top = -INFINITY;
    for (int64_t r = 0; r < f->m; r++) {
        st->e[r] += st->c[r];
        *top = st->e[r] > *top ? st->e[r] : *top;
    }
    for (int64_t r = 0; r < f->m; r++) {
        const float weight = att_exp(st->e[r] - *top);
        sum += weight * st->z[r];
        att_axpy(weight, st->s + r * f->columns, f->columns, st->o);
    }
    for (int64_t d = 0; d < f->p->value_dim; d++)
        st->o[d] /= sum;
    return sum;
}

static inline void att_favor_read(const att_favor *f, att_favor_state *st, const att_seq *seq,
                                  int64_t hq, int64_t i, bool empty)
{
    const att_problem *p = f->p;
    const double scale = att_scale(p), root = sqrt(fabs(scale));
    double lse = -(double)INFINITY;

    memset(st->o, 0, (size_t)f->columns * sizeof *st->o);
    if (!empty) {
        float top;
        att_favor_exponents(f, &p->q, att_tensor_at(&p->q, seq->at, hq, seq->q_at + i, 0), f->wq,
                            (float)(scale < 0 ? -root : root), st);
        const float sum = att_favor_mix(f, st, &top);
        lse = (double)top + log((double)sum / (double)f->m);
    }
    att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, seq->at, hq, seq->q_at + i, 0),
                  p->out.stride[3], p->value_dim, st->o);
    if (p->lse.data) {
        const int64_t at = att_tensor_at(&p->lse, 0, seq->at, hq, seq->q_at + i);
        if (p->lse.dtype == ATT_F64)
            ((double *)p->lse.data)[at] = lse;
        else
            ((float *)p->lse.data)[at] = (float)lse;
    }
}

static inline void att_favor_body(void *arg, int64_t slot, int thread)
{
    const att_favor *f = arg;
    const att_problem *p = f->p;
    const int64_t group = p->heads_q / p->heads_kv;
    att_favor_state st = att_favor_state_of(f, slot);

    (void)thread;
    for (int64_t t = slot; t < p->batch * p->heads_kv; t += f->slots) {
        const int64_t h = t % p->heads_kv;
        const att_seq seq = att_seq_of(p, t / p->heads_kv);
        int64_t seen = 0;
        memset(st.s, 0, (size_t)f->slot_floats * sizeof *st.s);
        for (int64_t r = 0; r < f->m; r++)
            st.c[r] = -INFINITY;
        for (int64_t i = 0; i < seq.q_len; i++) {
            int64_t upto = seq.kv_len;
            if (p->causal)
                upto = att_min(upto, att_query_position(p, &seq, i) + 1);
            for (; seen < upto; seen++)
                att_favor_add(f, &st, &seq, h, seen);
            for (int64_t hq = h * group; hq < (h + 1) * group; hq++)
                att_favor_read(f, &st, &seq, hq, i, seen == 0);
        }
    }
}

/* ------------------------------------------------------------------------ descriptor's */

static inline att_status att_favor_supports(const att_kernel *self, att_op op, const att_problem *p,
                                            const att_value *params, att_reason *why)
{
    att_favor w;
    const att_status status = att_accept_check(&ATT_FAVOR_ACCEPT, op, p, why);

    (void)self;
    if (status)
        return status;
    if (p->causal == ATT_CAUSAL_POSITIONS)
        return att_refuse(why, ATT_UNSUPPORTED, "given positions");
    if (!att_favor_layout(p, params, 2, &w))
        return att_refuse(why, ATT_UNSUPPORTED, "too many features");
    return ATT_OK;
}

/* The state is what a step reads, not the keys: each is taken in once. */
static inline att_status att_favor_cost(const att_kernel *self, const att_problem *p,
                                        const att_value *params, att_cost *out)
{
    const double m = (double)params[ATT_FAVOR_M].i, dk = (double)p->head_dim;
    double keys = 0, rows = 0;

    (void)self;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        keys += (double)att_seq_taken(p, &seq) * (double)p->heads_kv;
        rows += (double)seq.q_len * (double)p->heads_q;
    }
    const double steps = 2 * (keys + rows) * m * (dk + (double)p->value_dim + 1);
    const double group = p->heads_kv ? (double)(p->heads_q / p->heads_kv) : 0;
    *out = (att_cost){.keys_read = keys * group,
                      .flops_useful = steps,
                      .flops_executed = steps,
                      .kv_bytes_read = keys * att_row_bytes(p),
                      .state_bytes = (double)p->batch * (double)p->heads_kv * m *
                                     ((double)p->value_dim + 2) * 4,
                      .k_rows = keys,
                      .v_rows = keys};
    return ATT_OK;
}

/* stream_q, stream_k: where the features of queries and keys are drawn from; equal streams give
 * one projection. */
static inline att_status att_favor_run(const att_kernel *self, const att_problem *p,
                                       const att_scratch *s, uint64_t stream_q, uint64_t stream_k)
{
    const int projections = stream_q == stream_k ? 1 : 2;
    att_favor w;
    const att_status status = att_favor_supports(self, ATT_OP_ATTEND, p, s->params, NULL);

    if (status)
        return status;
    if (!att_favor_layout(p, s->params, projections, &w) ||
        s->bytes < att_favor_bytes(&w, projections))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.wq = s->data;
    w.wk = w.wq + (projections - 1) * w.projection;
    w.room = w.wk + w.projection;
    att_favor_draw(&w, s->params, stream_q, w.wq);
    if (projections == 2)
        att_favor_draw(&w, s->params, stream_k, w.wk);
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, att_favor_body, &w);
    return ATT_OK;
}

static inline att_status att_favor_plan_for(const att_problem *p, const att_value *params,
                                            int projections, att_plan *out)
{
    att_favor w;

    if (!att_favor_layout(p, params, projections, &w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = att_favor_bytes(&w, projections);
    return ATT_OK;
}

#endif
