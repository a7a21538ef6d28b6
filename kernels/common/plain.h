/* SPDX-License-Identifier: Apache-2.0 */
/* The plain loop: softmax attention row by row, key by key, with steps that a kernel may replace.
 *
 *   s_j = score(q, k_j);  x_j = logit(j, s_j);  o = sum weight(x_j - m) v_j / sum weight(x_j - m)
 *
 * Why: the zoo's kernels are this loop with one step done wrong, so that nothing but the bug they
 * re-enact can make them fail.  With nothing replaced it is right.
 * Bound: f32 throughout, as plain softmax.  O(B Hq Sq Skv (Dk + Dv)), one thread. */
#ifndef ATT_COMMON_PLAIN_H
#define ATT_COMMON_PLAIN_H

#include "common/rows.h"

typedef struct att_plain att_plain;

/* One row in work. */
typedef struct att_plain_row {
    const att_plain *way;
    const att_rules *rules;
    const att_seq *seq;
    att_row row;
    int64_t kv_head;
    float *q, *k, *v, *o; /* [Dk] [Dk] [Dv] [Dv] */
    float *x;             /* [Skv + ATT_W] logits; -inf where not allowed */
} att_plain_row;

/* The steps; NULL = done right. */
struct att_plain {
    int64_t (*kv_head)(const att_problem *p, int64_t h);
    bool (*allowed)(const att_plain_row *w, int64_t j);
    float (*score)(const att_plain_row *w); /* of w->q and w->k, scaled */
    float (*logit)(const att_plain_row *w, int64_t j, float score);
    float (*weight)(float x); /* e^x */
    float (*start)(void);     /* the maximum before any key; -inf */
    void (*mix)(const att_plain_row *w, float top, float *sum); /* o and sum from x */
    void (*finish)(const att_plain_row *w, bool empty, float top, float sum);
};

static inline void att_plain_key(const att_plain_row *w, const att_tensor *t, int64_t j, float *to)
{
    att_load_row(t->data, t->dtype, att_key_at(w->rules->p, t, w->seq, w->kv_head, j), t->stride[3],
                 t->shape[3], to);
}

/* scale * q.k, then the cap. */
static inline float att_plain_capped(const att_rules *r, float score)
{
    return r->cap > 0 ? r->cap * tanhf(score / r->cap) : score;
}

static inline float att_plain_logit(const att_plain_row *w, int64_t j, float score)
{
    float x = att_plain_capped(w->rules, score);

    if (w->rules->p->alibi_slopes.data)
        att_logits_alibi(w->rules, w->seq, &w->row, j, 1, &x);
    if (w->rules->p->bias.data)
        att_logits_bias(w->rules, w->seq, &w->row, j, 1, &x);
    return x;
}

static inline bool att_plain_allowed(const att_plain_row *w, int64_t j)
{
    return att_pair_allowed(w->rules, w->seq, &w->row, j);
}

static inline float att_plain_score(const att_plain_row *w)
{
    return att_dot(w->q, w->k, w->rules->p->head_dim) * w->rules->scale;
}

/* Logits of all keys; returns their number. */
static inline int64_t att_plain_logits(const att_plain_row *w)
{
    const att_plain *way = w->way;
    int64_t seen = 0;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        w->x[j] = -INFINITY;
        if (!(way->allowed ? way->allowed : att_plain_allowed)(w, j))
            continue;
        att_plain_key(w, &w->rules->p->k, j, w->k);
        const float score = (way->score ? way->score : att_plain_score)(w);
        w->x[j] = (way->logit ? way->logit : att_plain_logit)(w, j, score);
        seen++;
    }
    return seen;
}

/* Adds weight * v_j to o for keys j0 .. j0 + n that are allowed. */
static inline void att_plain_mix(const att_plain_row *w, float top, float *sum)
{
    const att_plain *way = w->way;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!(way->allowed ? way->allowed : att_plain_allowed)(w, j))
            continue;
        const float weight = (way->weight ? way->weight : expf)(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        att_axpy(weight, w->v, w->rules->p->value_dim, w->o);
    }
}

static inline void att_plain_finish(const att_plain_row *w, bool empty, float top, float sum)
{
    att_softmax_finish(w->rules->p, w->seq, &w->row, empty, top, sum, w->o);
}

static inline void att_plain_do_row(att_plain_row *w, int64_t h, int64_t i)
{
    const att_plain *way = w->way;
    const att_problem *p = w->rules->p;
    float top = way->start ? way->start() : -INFINITY, sum = 0.0f;

    w->row = att_row_of(w->rules, w->seq, h, i);
    w->kv_head = way->kv_head ? way->kv_head(p, h) : h / (p->heads_q / p->heads_kv);
    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, w->seq->at, h, w->seq->q_at + i, 0),
                 p->q.stride[3], p->head_dim, w->q);
    memset(w->o, 0, (size_t)p->value_dim * sizeof *w->o);
    const int64_t seen = att_plain_logits(w);
    for (int64_t j = 0; j < w->seq->kv_len; j++)
        top = isnan(w->x[j]) || w->x[j] > top ? w->x[j] : top;
    (way->mix ? way->mix : att_plain_mix)(w, top, &sum);
    (way->finish ? way->finish : att_plain_finish)(w, seen == 0, top, sum);
}

static inline att_status att_plain_plan(const att_problem *p, att_plan *out)
{
    int64_t floats;
    if (__builtin_add_overflow(p->kv_len, 2 * (p->head_dim + p->value_dim) + ATT_W, &floats) ||
        floats > INT64_MAX / 8)
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

static inline att_status att_plain_attend(const att_problem *p, const att_plain *way,
                                          const att_scratch *s)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    att_plain_row w = {.way = way, .rules = &rules, .x = s->data};
    att_plan need;

    if (att_plain_plan(p, &need) || s->bytes < need.scratch_bytes)
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.q = w.x + p->kv_len + ATT_W;
    w.k = w.q + p->head_dim;
    w.v = w.k + p->head_dim;
    w.o = w.v + p->value_dim;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        w.seq = &seq;
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < seq.q_len; i++)
                att_plain_do_row(&w, h, i);
    }
    return ATT_OK;
}

/* ---- what such kernels share beside the loop: `supports` and `plan` of a descriptor ---- */

static inline att_status att_plain_supports(const att_kernel *self, att_op op, const att_problem *p,
                                            const att_value *params, att_reason *why)
{
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self, (void)params;
    return att_accept_check(&accept, op, p, why);
}

static inline att_status att_plain_plan_of(const att_kernel *self, att_op op, const att_problem *p,
                                           const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_plain_plan(p, out);
}

/* Every row of every head reads the keys that it attends to.  NO_MEMORY. */
static inline att_status att_plain_cost(const att_kernel *self, const att_problem *p,
                                        const att_value *params, att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const att_rules rules = att_rules_make(&open, ATT_KEEP_ALL);
    int32_t *marks = att_marks(p);
    int64_t pairs = 0, rows = 0;

    (void)self, (void)params;
    for (int64_t b = 0; marks && b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            pairs += att_row_pairs(&rules, &seq, &row);
            att_mark_row(marks, &rules, &seq, &row);
        }
        rows += att_marked(marks, p->kv_len);
    }
    if (!marks)
        return ATT_NO_MEMORY;
    free(marks);
    att_list_cost(p, (double)pairs * (double)p->heads_q, out);
    out->k_rows = out->v_rows = (double)rows * (double)p->heads_kv;
    out->v_run = att_hides(p) ? 1 : 0;
    out->state_bytes = att_cache_bytes(p, att_tokens_kept(p, &rules.keep));
    return ATT_OK;
}

#endif
