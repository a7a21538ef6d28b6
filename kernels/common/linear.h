/* SPDX-License-Identifier: Apache-2.0 */
/* A rule of the linear family in its three forms, for kernels that state one rule each.
 *
 *   recurrent  a token at a time (common/recur.h)      O(T Dk Dv), state Dk Dv: what decoding runs
 *   chunked    quadratic in a chunk (common/chunked.h) O(T (chunk (Dk + Dv) + Dk Dv))
 *   quadratic  all pairs of tokens, by the kernel's own formula       O(T^2 (Dk + Dv))
 *
 * Why: the three are one function, written apart, and all carry the state in and out.
 * Bound: that of the recurrence on absolute values (common/recur.h), for all three. */
#ifndef ATT_COMMON_LINEAR_H
#define ATT_COMMON_LINEAR_H

#include "common/chunked.h"

enum { ATT_LINEAR_FORM, ATT_LINEAR_CHUNK }; /* places among the parameters */

static const att_param ATT_LINEAR_PARAMS[] = {
    {"form", ATT_PARAM_WORD, 0, "", "chunked", "quadratic|recurrent|chunked",
     "chunked recurrent quadratic", "how recur is computed"},
    {"chunk", ATT_PARAM_INT, 0, "tokens", "64", "1:4096", "64 1 16", "tokens of a chunk"},
    {0}};

/* The tokens of a call, of one state head, for the quadratic form. */
typedef struct att_whole {
    const att_problem *p;
    int64_t b, h, n, dk, dv; /* dk: of features */
    float scale;
    float *k, *g; /* [n][dk] keys, as features where the rule has some; log decays (gated) */
    float *beta;  /* [n] (delta rules) */
    float *w;     /* [n][dv] v, which `solve` turns into what is written */
    float *s, *z; /* [dk][dv] [dk] the state before the call; `state` turns it into that after */
    float *q, *o; /* [dk] [dv] a query, and its answer: zeros when asked for */
    float *age;   /* [dk] room */
} att_whole;

/* The quadratic form; each step a plain reading of the rule's formula. */
typedef struct att_linear {
    int32_t rule;
    void (*solve)(const att_whole *w);             /* NULL: v is what is written */
    void (*answer)(const att_whole *w, int64_t i); /* o of token i's query q */
    void (*state)(const att_whole *w);
    bool one_gate; /* g is one a head, never one a channel */
} att_linear;

typedef struct att_whole_job {
    const att_problem *p;
    const att_linear *how;
    int64_t slots, slot_floats;
    float *room;
} att_whole_job;

static inline bool att_whole_layout(const att_problem *p, const att_linear *how, att_whole_job *w)
{
    const int64_t dk = att_recur_width(p), dv = p->value_dim;
    int64_t bytes;

    *w = (att_whole_job){.p = p, .how = how};
    w->slots = att_min(ATT_LIST_SLOTS, p->batch * p->heads_kv);
    return !__builtin_mul_overflow(p->kv_len, 2 * dk + dv + 1, &w->slot_floats) &&
           !__builtin_add_overflow(w->slot_floats, dk * dv + 3 * dk + dv, &w->slot_floats) &&
           !__builtin_mul_overflow(w->slots * (int64_t)sizeof(float), w->slot_floats, &bytes);
}

static inline att_whole att_whole_of(const att_whole_job *job, int64_t slot)
{
    const att_problem *p = job->p;
    att_whole w = {.p = p, .n = p->kv_len, .dk = att_recur_width(p), .dv = p->value_dim};

    w.s = job->room + slot * job->slot_floats;
    w.z = w.s + w.dk * w.dv;
    w.q = w.z + w.dk;
    w.age = w.q + w.dk;
    w.o = w.age + w.dk;
    w.k = w.o + w.dv;
    w.g = w.k + w.n * w.dk;
    w.w = w.g + w.n * w.dk;
    w.beta = w.w + w.n * w.dv;
    return w;
}

static inline void att_whole_load(const att_whole *w)
{
    const att_problem *p = w->p;
    const att_tensor *g = &p->recur->g;

    att_recur_load(p, w->b, w->h, w->dv, w->s, w->z);
    for (int64_t j = 0; j < w->n; j++) {
        att_recur_key(p, w->b, w->h, j, w->k + j * w->dk);
        att_recur_value(p, w->b, w->h, j, w->w + j * w->dv);
        for (int64_t c = 0; c < w->dk && att_rule_gated(p->recur->rule); c++)
            w->g[j * w->dk + c] = att_load(
                g->data, g->dtype, att_tensor_at(g, w->b, w->h, j, g->shape[3] == 1 ? 0 : c));
        if (att_rule_delta(p->recur->rule))
            w->beta[j] = att_recur_beta(p, w->b, w->h, j);
    }
}

static inline void att_whole_body(void *arg, int64_t slot, int thread)
{
    const att_whole_job *job = arg;
    const att_problem *p = job->p;
    const int64_t group = p->heads_q / p->heads_kv;
    att_whole w = att_whole_of(job, slot);

    (void)thread;
    w.scale = att_recur_scale(p);
    for (int64_t task = slot; task < p->batch * p->heads_kv; task += job->slots) {
        w.b = task / p->heads_kv;
        w.h = task % p->heads_kv;
        att_whole_load(&w);
        if (job->how->solve)
            job->how->solve(&w);
        for (int64_t hq = w.h * group; hq < (w.h + 1) * group; hq++)
            for (int64_t i = 0; i < w.n; i++) {
                att_recur_query(p, w.b, hq, i, w.q);
                memset(w.o, 0, (size_t)w.dv * sizeof *w.o);
                job->how->answer(&w, i);
                att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, w.b, hq, i, 0),
                              p->out.stride[3], w.dv, w.o);
            }
        job->how->state(&w);
        att_recur_save(p, w.b, w.h, w.dv, w.s, w.z);
    }
}

/* ------------------------------------------- steps that the formulas share: plain sums of rows */

static inline const float *att_whole_key(const att_whole *w, int64_t j)
{
    return w->k + j * w->dk;
}

static inline float *att_whole_row(const att_whole *w, int64_t j)
{
    return w->w + j * w->dv;
}

/* to += share S^T x */
static inline void att_whole_from_state(const att_whole *w, float share, const float *x, float *to)
{
    for (int64_t c = 0; c < w->dk; c++)
        att_axpy(share * x[c], w->s + c * w->dv, w->dv, to);
}

/* S += share k_j w_j^T */
static inline void att_whole_write(const att_whole *w, float share, int64_t j)
{
    for (int64_t c = 0; c < w->dk; c++)
        att_axpy(share * att_whole_key(w, j)[c], att_whole_row(w, j), w->dv, w->s + c * w->dv);
}

static inline void att_scale_row(float share, int64_t n, float *x)
{
    for (int64_t c = 0; c < n; c++)
        x[c] *= share;
}

/* Decays a channel, as sums of log decays that are grown a token at a time: they neither cancel
 * nor overflow, however strong the gates.  age = 0; age += g_j; x . exp(age) y. */
static inline void att_whole_be_young(const att_whole *w)
{
    memset(w->age, 0, (size_t)w->dk * sizeof *w->age);
}

static inline void att_whole_grow_older(const att_whole *w, int64_t j)
{
    for (int64_t c = 0; c < w->dk; c++)
        w->age[c] += w->g[j * w->dk + c];
}

static inline float att_whole_aged_dot(const att_whole *w, const float *x, const float *y)
{
    float sum = 0.0f;

    for (int64_t c = 0; c < w->dk; c++)
        sum += x[c] * att_exp(w->age[c]) * y[c];
    return sum;
}

/* to += share S^T (exp(age) x) */
static inline void att_whole_from_aged_state(const att_whole *w, float share, const float *x,
                                             float *to)
{
    for (int64_t c = 0; c < w->dk; c++)
        att_axpy(share * x[c] * att_exp(w->age[c]), w->s + c * w->dv, w->dv, to);
}

/* S = diag(exp(sum of g)) S + sum_j diag(exp(sum of g after j)) k_j w_j^T */
static inline void att_whole_age_state(const att_whole *w)
{
    att_whole_be_young(w);
    for (int64_t j = 0; j < w->n; j++)
        att_whole_grow_older(w, j);
    for (int64_t c = 0; c < w->dk; c++)
        att_scale_row(att_exp(w->age[c]), w->dv, w->s + c * w->dv);
    att_whole_be_young(w);
    for (int64_t j = w->n - 1; j >= 0; j--) {
        for (int64_t c = 0; c < w->dk; c++)
            att_axpy(att_exp(w->age[c]) * att_whole_key(w, j)[c], att_whole_row(w, j), w->dv,
                     w->s + c * w->dv);
        att_whole_grow_older(w, j);
    }
}

/* --------------------------------------------------------------------------- descriptor's */

static inline att_status att_linear_supports(const att_linear *how, const att_problem *p,
                                             att_reason *why)
{
    const att_status status = att_recur_supports(NULL, ATT_OP_RECUR, p, NULL, why);

    if (status)
        return status;
    if (p->recur->rule != how->rule)
        return att_refuse(why, ATT_UNSUPPORTED, "another rule than the kernel's own");
    if (how->one_gate && p->recur->g.shape[3] != 1)
        return att_refuse(why, ATT_UNSUPPORTED, "a decay a channel");
    return ATT_OK;
}

static inline att_status att_linear_plan(const att_kernel *self, att_op op, const att_problem *p,
                                         const att_value *params, att_plan *out)
{
    att_chunk_job chunked;
    att_whole_job whole;

    switch (*params[ATT_LINEAR_FORM].s) {
    case 'q':
        if (!att_whole_layout(p, NULL, &whole))
            return ATT_NO_MEMORY;
        out->scratch_bytes = (size_t)(whole.slots * whole.slot_floats) * sizeof(float);
        return ATT_OK;
    case 'c':
        if (!att_chunk_layout(p, params[ATT_LINEAR_CHUNK].i, &chunked))
            return ATT_NO_MEMORY;
        out->scratch_bytes = (size_t)(chunked.slots * chunked.slot_floats) * sizeof(float);
        return ATT_OK;
    default:
        return att_recur_plan(self, op, p, params, out);
    }
}

static inline att_status att_linear_run(const att_linear *how, const att_problem *p,
                                        const att_scratch *s)
{
    static const att_recur_way step = {0};
    const att_status status = att_linear_supports(how, p, NULL);
    const char form = *s->params[ATT_LINEAR_FORM].s;
    att_whole_job w;

    if (status)
        return status;
    if (form == 'c')
        return att_chunk_run(p, s->params[ATT_LINEAR_CHUNK].i, s);
    if (form == 'r')
        return att_recur_run(p, &step, s);
    if (!att_whole_layout(p, how, &w) ||
        s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    w.room = s->data;
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, att_whole_body, &w);
    return ATT_OK;
}

/* A call takes in q_len tokens, each once; what came before them is in the state. */
static inline att_status att_rule_cost(int32_t rule, const att_problem *p, const att_value *params,
                                       att_cost *out)
{
    const double n = (double)p->q_len, dv = (double)p->value_dim;
    const double width = (double)att_rule_width(rule, p->head_dim); /* of features */
    const double normed = att_rule_normed(rule) ? width : 0;
    const double heads = (double)p->batch * (double)p->heads_kv;
    const double queries = (double)p->batch * (double)p->heads_q;
    const double update = (att_rule_delta(rule) ? 2 : 1) * width * dv + normed;
    const double useful = 2 * n * (heads * update + queries * (width * dv + normed));
    const double reach = *params[ATT_LINEAR_FORM].s == 'q'   ? n
                         : *params[ATT_LINEAR_FORM].s == 'c' ? (double)params[ATT_LINEAR_CHUNK].i
                                                             : 0;
    const double pairs = n * (fmin(reach, n) + 1) / 2; /* a query head */

    *out =
        (att_cost){.keys_read = n * queries,
                   .flops_useful = useful,
                   .flops_executed = useful + (reach > 0 ? 2 * pairs * queries * (width + dv) : 0),
                   .kv_bytes_read = n * heads * att_row_bytes(p),
                   .state_bytes = heads * (width * dv + normed) * 4,
                   .k_rows = n * heads,
                   .v_rows = n * heads};
    return ATT_OK;
}

/* Of kernels whose rule has neither features nor a delta. */
static inline att_status att_linear_cost(const att_kernel *self, const att_problem *p,
                                         const att_value *params, att_cost *out)
{
    (void)self;
    return att_rule_cost(ATT_RULE_LINEAR, p, params, out);
}

#endif
