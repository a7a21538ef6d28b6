/* SPDX-License-Identifier: Apache-2.0 */
/* What backward kernels share: which problems they take, a row's numbers from the forward, and the
 * plain loop, key by key, with steps that a kernel may replace.
 *
 *   p = e^(x - LSE)    D = dout . out    ds = p (dout.v - D)
 *   dv += p dout    dq += scale t ds k    dk += scale t ds q    dbias += ds      t = 1 - tanh^2
 *
 * Why: as common/plain.h for the forward.  With nothing replaced it is right.
 * Bound: f32 throughout.  O(B Hq Sq Skv (Dk + Dv)), one thread. */
#ifndef ATT_COMMON_BACK_H
#define ATT_COMMON_BACK_H

#include "common/plain.h"

typedef struct att_back att_back;

/* One row in work.  Sums of one key/value head: dk [Skv][Dk], dv [Skv][Dv]. */
typedef struct att_back_row {
    const att_back *way;
    const att_rules *rules;
    const att_seq *seq;
    att_row row;
    int64_t kv_head;
    float *q, *k, *v, *dout, *out, *dq, *dk, *dv;
    float *bias;     /* sums of dbias, in its own order */
    float lse, mean; /* with the sink; D */
} att_back_row;

/* The steps; NULL = done right. */
struct att_back {
    bool (*allowed)(const att_back_row *w, int64_t j);
    float (*lse)(const att_back_row *w);                /* what p is divided by */
    float (*mean)(const att_back_row *w);               /* D */
    float (*slope)(const att_back_row *w, float score); /* t, of scale * q.k */
    /* Adds pair (w's row, j) to the sums; q, k, v, dout hold its rows. */
    void (*add)(const att_back_row *w, int64_t j, float p, float ds, float du);
    bool (*starts)(const att_problem *p, int64_t h); /* do dk and dv begin anew at head h? */
};

/* ------------------------------------------------------------------------- acceptance */

static inline bool att_back_fits(const att_tensor *t, const att_tensor *as, int32_t dtype)
{
    return att_shaped(t, as->shape[0], as->shape[1], as->shape[2], as->shape[3]) && att_given(t) &&
           t->dtype == dtype;
}

/* Dense or packed problems in one type with the forward's out and LSE. */
static inline att_status att_back_check(att_op op, const att_problem *p, att_reason *why)
{
    static const att_accept accept = {.ops = 1u << ATT_OP_ATTEND_BACKWARD,
                                      .can = ATT_CAN_ALL & ~ATT_CAN_PAGED,
                                      .dtypes = ATT_HALVES_AND_SINGLE};
    const att_grad *g = p->grad;
    const att_status status = att_accept_check(&accept, op, p, why);

    if (status)
        return status;
    if (!g)
        return att_refuse(why, ATT_INVALID, "attend_backward without its section");
    if (!p->lse.data && att_given(&p->out) && p->out.data)
        return att_refuse(why, ATT_UNSUPPORTED, "needs the forward's LSE");
    if (p->out.dtype != p->q.dtype)
        return att_refuse(why, ATT_UNSUPPORTED, "out of another type than q");
    if (!att_back_fits(&g->dout, &p->out, p->q.dtype) ||
        !att_back_fits(&g->dq, &p->q, p->q.dtype) || !att_back_fits(&g->dk, &p->k, p->q.dtype) ||
        !att_back_fits(&g->dv, &p->v, p->q.dtype))
        return att_refuse(why, ATT_INVALID,
                          "dout or a gradient is missing, or not shaped and "
                          "typed as what it is the gradient of");
    if (g->dbias.data && (!p->bias.data || !att_back_fits(&g->dbias, &p->bias, p->bias.dtype)))
        return att_refuse(why, ATT_INVALID, "dbias is not shaped and typed as the bias");
    if (g->dbias.data && p->bias.dtype == ATT_F64)
        return att_refuse(why, ATT_UNSUPPORTED, "dbias in f64");
    return ATT_OK;
}

static inline att_status att_back_supports(const att_kernel *self, att_op op, const att_problem *p,
                                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_back_check(op, p, why);
}

/* -------------------------------------------------------------------------------- bias */

static inline int64_t att_bias_cells(const att_problem *p)
{
    const att_tensor *t = &p->grad->dbias;
    return t->data ? t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3] : 0;
}

/* The cell of dbias, in row-major order, that pair (b,h,i,j) adds to. */
static inline int64_t att_bias_cell(const att_tensor *t, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t at[4] = {b, h, i, j};
    int64_t cell = 0;
    for (int a = 0; a < 4; a++)
        cell = cell * t->shape[a] + (t->shape[a] == 1 ? 0 : at[a]);
    return cell;
}

static inline void att_bias_store(const att_problem *p, const float *sums)
{
    const att_tensor *t = &p->grad->dbias;
    const int64_t *n = t->shape;
    for (int64_t c = 0; c < att_bias_cells(p); c++)
        att_store(t->data, t->dtype,
                  att_tensor_at(t, c / n[3] / n[2] / n[1], c / n[3] / n[2] % n[1], c / n[3] % n[2],
                                c % n[3]),
                  sums[c]);
}

/* --------------------------------------------------------------------------------- rows */

/* LSE with the sink, of the LSE without it that the forward gave. */
static inline float att_back_lse(const att_problem *p, const att_seq *seq, int64_t h, int64_t i)
{
    const int64_t at = att_tensor_at(&p->lse, 0, seq->at, h, seq->q_at + i);
    const double lse = p->lse.dtype == ATT_F64 ? ((const double *)p->lse.data)[at]
                                               : (double)((const float *)p->lse.data)[at];
    if (!p->sinks.data)
        return (float)lse;
    const double z = (double)att_per_head(&p->sinks, h);
    return (float)(lse > z ? lse + log1p(exp(z - lse)) : z + log1p(exp(lse - z)));
}

static inline void att_back_load(const att_problem *p, const att_tensor *t, const att_seq *seq,
                                 int64_t h, int64_t i, float *to)
{
    (void)p;
    att_load_row(t->data, t->dtype, att_tensor_at(t, seq->at, h, seq->q_at + i, 0), t->stride[3],
                 t->shape[3], to);
}

/* Rows 0 .. n of dk or dv times `by`. */
static inline void att_back_store(const att_problem *p, const att_tensor *t, const att_seq *seq,
                                  int64_t kv_head, int64_t j0, int64_t n, float by, float *rows)
{
    const int64_t wide = t->shape[3];
    for (int64_t j = 0; j < n; j++) {
        for (int64_t d = 0; d < wide; d++)
            rows[j * wide + d] *= by;
        att_store_row(t->data, t->dtype, att_key_at(p, t, seq, kv_head, j0 + j), t->stride[3], wide,
                      rows + j * wide);
    }
}

static inline float att_back_slope(const att_back_row *w, float score)
{
    const float th = w->rules->cap > 0 ? tanhf(score / w->rules->cap) : 0.0f;
    return 1.0f - th * th;
}

static inline void att_back_add(const att_back_row *w, int64_t j, float p, float ds, float du)
{
    const att_problem *of = w->rules->p;
    const float by = w->rules->scale * du;

    att_axpy(p, w->dout, of->value_dim, w->dv + j * of->value_dim);
    att_axpy(by, w->q, of->head_dim, w->dk + j * of->head_dim);
    att_axpy(by, w->k, of->head_dim, w->dq);
    if (w->bias)
        w->bias[att_bias_cell(&of->grad->dbias, w->seq->b, w->row.h, w->row.i, j)] += ds;
}

static inline bool att_back_allowed(const att_back_row *w, int64_t j)
{
    return att_pair_allowed(w->rules, w->seq, &w->row, j);
}

static inline void att_back_key(const att_back_row *w, const att_tensor *t, int64_t j, float *to)
{
    att_load_row(t->data, t->dtype, att_key_at(w->rules->p, t, w->seq, w->kv_head, j), t->stride[3],
                 t->shape[3], to);
}

/* scale * q.k_j; k_j is left in w->k. */
static inline float att_back_score(const att_back_row *w, int64_t j)
{
    att_back_key(w, &w->rules->p->k, j, w->k);
    return att_dot(w->q, w->k, w->rules->p->head_dim) * w->rules->scale;
}

static inline float att_back_logit(const att_back_row *w, int64_t j, float score)
{
    float x = att_plain_capped(w->rules, score);
    if (w->rules->p->alibi_slopes.data)
        att_logits_alibi(w->rules, w->seq, &w->row, j, 1, &x);
    if (w->rules->p->bias.data)
        att_logits_bias(w->rules, w->seq, &w->row, j, 1, &x);
    return x;
}

static inline void att_back_do_row(att_back_row *w, int64_t h, int64_t i)
{
    const att_back *way = w->way;
    const att_problem *p = w->rules->p;
    const att_tensor *dq = &p->grad->dq;

    w->row = att_row_of(w->rules, w->seq, h, i);
    att_back_load(p, &p->q, w->seq, h, i, w->q);
    att_back_load(p, &p->grad->dout, w->seq, h, i, w->dout);
    att_back_load(p, &p->out, w->seq, h, i, w->out);
    memset(w->dq, 0, (size_t)p->head_dim * sizeof *w->dq);
    w->lse = way->lse ? way->lse(w) : att_back_lse(p, w->seq, h, i);
    w->mean = way->mean ? way->mean(w) : att_dot(w->dout, w->out, p->value_dim);
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!(way->allowed ? way->allowed : att_back_allowed)(w, j))
            continue;
        const float score = att_back_score(w, j);
        const float prob = expf(att_back_logit(w, j, score) - w->lse);
        att_back_key(w, &p->v, j, w->v);
        const float ds = prob * (att_dot(w->dout, w->v, p->value_dim) - w->mean);
        const float du = ds * (way->slope ? way->slope : att_back_slope)(w, score);
        (way->add ? way->add : att_back_add)(w, j, prob, ds, du);
    }
    att_store_row(dq->data, dq->dtype, att_tensor_at(dq, w->seq->at, h, w->seq->q_at + i, 0),
                  dq->stride[3], p->head_dim, w->dq);
}

/* ------------------------------------------------------------------------- the problem */

static inline att_status att_back_plan_of(const att_kernel *self, att_op op, const att_problem *p,
                                          const att_value *params, att_plan *out)
{
    int64_t floats;
    (void)self, (void)op, (void)params;
    if (__builtin_mul_overflow(p->kv_len, p->head_dim + p->value_dim, &floats) ||
        __builtin_add_overflow(floats, 4 * (p->head_dim + p->value_dim), &floats) ||
        __builtin_add_overflow(floats, att_bias_cells(p), &floats) || floats > INT64_MAX / 8)
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

static inline att_back_row att_back_room(const att_problem *p, const att_rules *rules,
                                         const att_back *way, float *room)
{
    const int64_t dk = p->head_dim, dv = p->value_dim;
    att_back_row w = {.way = way, .rules = rules, .dk = room};
    w.dv = w.dk + p->kv_len * dk;
    w.q = w.dv + p->kv_len * dv;
    w.k = w.q + dk;
    w.dq = w.k + dk;
    w.v = w.dq + dk;
    w.dout = w.v + dv;
    w.out = w.dout + dv;
    w.bias = p->grad->dbias.data ? w.out + dv : NULL;
    return w;
}

static inline att_status att_back_plain(const att_problem *p, const att_back *way,
                                        const att_scratch *s)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const int64_t group = p->heads_kv ? p->heads_q / p->heads_kv : 1;
    const size_t sums = (size_t)(p->kv_len * (p->head_dim + p->value_dim)) * sizeof(float);
    att_back_row w = att_back_room(p, &rules, way, s->data);

    if (!att_contents_hold(p))
        return ATT_INVALID;
    for (int64_t c = 0; c < att_bias_cells(p); c++)
        w.bias[c] = 0.0f;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        w.seq = &seq;
        for (w.kv_head = 0; w.kv_head < p->heads_kv; w.kv_head++) {
            for (int64_t h = w.kv_head * group; h < (w.kv_head + 1) * group; h++) {
                if (way->starts ? way->starts(p, h) : h % group == 0)
                    memset(w.dk, 0, sums);
                for (int64_t i = 0; i < seq.q_len; i++)
                    att_back_do_row(&w, h, i);
            }
            att_back_store(p, &p->grad->dk, &seq, w.kv_head, 0, seq.kv_len, 1.0f, w.dk);
            att_back_store(p, &p->grad->dv, &seq, w.kv_head, 0, seq.kv_len, 1.0f, w.dv);
        }
    }
    att_bias_store(p, w.bias);
    return ATT_OK;
}

#endif
