/* SPDX-License-Identifier: Apache-2.0 */
/* Mixes of softmax attentions, a row at a time over lists of keys.
 *
 *   out = sum_c w_c A_c     A_c = sum_j softmax_j(x_cj) v_j over part c's own keys
 *
 * Why: differential, gated, forgetting, sparse-branch and memory attention are all a few softmaxes
 * over chosen keys, weighed and summed; each kernel states its row in the steps below, and the
 * zoo's kernels are such rows with one step done wrong.  Only listed K and V rows are read, and
 * only keys that the problem allows are listed. Bound: f32 throughout; each part as plain softmax,
 * plus 2^-24 (parts + 1) sum |w_c A_c|. O(n (Dk + Dv)) a row of n keys. */
#ifndef ATT_COMMON_MIX_H
#define ATT_COMMON_MIX_H

#include "common/rows.h"

#define ATT_MIX_ROWS 16 /* rows a task */

typedef struct att_mix_work att_mix_work;

/* A mix: what one query row of one head is. */
typedef struct att_mix_way {
    int32_t kind; /* att_mix_kind */
    uint32_t can; /* ATT_CAN_* */
    void (*row)(att_mix_work *w);
    /* Once a call, and once a (sequence, kv head), before the rows; NULL = nothing to do. */
    int64_t (*shared)(const att_problem *p); /* floats wanted for it */
    void (*prepare)(const att_problem *p, int64_t b, int64_t hk, float *shared);
    int64_t (*own)(const att_problem *p); /* floats a slot wants beside lists and rows */
} att_mix_way;

/* One row in work. */
struct att_mix_work {
    const att_mix_way *way;
    const att_problem *p;
    att_rules rules;
    att_seq seq;
    att_row row;
    int64_t kv_head;
    int64_t n, *j;         /* the listed keys */
    float *x, *y;          /* [Skv + ATT_W] logits, then weights, of one or two parts */
    float *q, *o, *vector; /* [Dk]; [Dv], the result; [max(Dk, Dv)] */
    float *own;            /* what way->own asked for */
    const float *shared;   /* of this sequence and kv head */
};

/* ------------------------------------------------------------------- the steps of a row */

/* Lists the allowed keys of first .. last, both included. */
static inline void att_mix_list(att_mix_work *w, int64_t first, int64_t last)
{
    const int64_t end = att_min(att_add_clamped(last, 1), w->row.hi);

    w->n = 0;
    for (int64_t j = att_max(first, w->row.lo); j < end; j++)
        if (att_pair_allowed(&w->rules, &w->seq, &w->row, j))
            w->j[w->n++] = j;
}

/* x: logits of the listed keys from dimensions at .. at + wide of q and k. */
static inline void att_mix_scores(att_mix_work *w, int64_t at, int64_t wide, float scale, float *x)
{
    const att_tensor *k = &w->p->k;

    for (int64_t c = 0; c < w->n; c++) {
        const int64_t key = att_key_at(w->p, k, &w->seq, w->kv_head, w->j[c]) + at * k->stride[3];
        x[c] = att_dot(w->q + at, att_row_floats(k, key, wide, w->vector), wide) * scale;
    }
    if (w->rules.cap > 0)
        att_logits_cap(&w->rules, w->n, x);
    for (int64_t c = 0; c < w->n && w->rules.pairwise; c++)
        att_logits_rules(&w->rules, &w->seq, &w->row, w->j[c], 1, x + c);
}

/* x[0..n): logits become probabilities; with a sink, what it leaves.  Room for n + ATT_W. */
static inline void att_mix_soften(const att_mix_work *w, int64_t n, float *x)
{
    const int64_t padded = att_ceil_div(n, ATT_W) * ATT_W;

    if (n == 0)
        return;
    for (int64_t c = n; c < padded; c++)
        x[c] = -INFINITY;
    const float top = att_softmax_top(-INFINITY, x, padded);
    double total = (double)att_softmax_weights(top, x, padded);
    if (w->p->sinks.data)
        total += exp((double)att_per_head(&w->p->sinks, w->row.h) - (double)top);
    for (int64_t c = 0; c < n; c++)
        x[c] = top == -INFINITY ? NAN : (float)((double)x[c] / total);
}

/* o += weight * sum_j x_j v_j over the listed keys. */
static inline void att_mix_add(att_mix_work *w, float weight, const float *x)
{
    const att_tensor *v = &w->p->v;
    const int64_t dv = w->p->value_dim;

    for (int64_t c = 0; c < w->n; c++) {
        const int64_t at = att_key_at(w->p, v, &w->seq, w->kv_head, w->j[c]);
        att_axpy(weight * x[c], att_row_floats(v, at, dv, w->vector), dv, w->o);
    }
}

/* Gate element c of the row. */
static inline float att_mix_gate(const att_mix_work *w, int64_t c)
{
    const att_tensor *g = &w->p->mix->gate;
    return att_load(g->data, g->dtype, att_broadcast_at(g, w->seq.b, w->row.h, w->row.i, c));
}

static inline float att_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* ------------------------------------------------------------------------- the engine */

typedef struct att_mix_job {
    const att_mix_way *way;
    const att_problem *p;
    int64_t tasks, slots, slot_floats, shared_floats; /* shared: a (sequence, kv head) */
    float *room, *shared;
} att_mix_job;

static inline bool att_mix_layout(const att_problem *p, const att_mix_way *way, att_mix_job *job)
{
    const int64_t pairs = p->batch * p->heads_kv;
    int64_t all, shared;

    *job = (att_mix_job){.way = way, .p = p};
    job->tasks = p->batch * p->heads_q * att_ceil_div(p->q_len, ATT_MIX_ROWS);
    job->slots = att_min(ATT_LIST_SLOTS, job->tasks);
    const int64_t vectors = 2 * (p->head_dim + p->value_dim) + 64;
    if (__builtin_mul_overflow(p->kv_len + ATT_W, 4, &job->slot_floats) ||
        __builtin_add_overflow(job->slot_floats, vectors, &job->slot_floats) ||
        __builtin_add_overflow(job->slot_floats, way->own ? way->own(p) : 0, &job->slot_floats))
        return false;
    job->slot_floats = att_ceil_div(job->slot_floats, 16) * 16;
    job->shared_floats = way->shared ? way->shared(p) : 0;
    return !__builtin_mul_overflow(job->slots * 4, job->slot_floats, &all) &&
           !__builtin_mul_overflow(pairs * 4, job->shared_floats, &shared) &&
           !__builtin_add_overflow(all, shared, &all);
}

static inline att_mix_work att_mix_work_of(const att_mix_job *job, int64_t slot)
{
    const att_problem *p = job->p;
    att_mix_work w = {.way = job->way, .p = p, .rules = att_rules_make(p, ATT_KEEP_ALL)};

    w.j = (int64_t *)(void *)(job->room + slot * job->slot_floats);
    w.x = (float *)(void *)(w.j + p->kv_len);
    w.y = w.x + p->kv_len + ATT_W;
    w.q = w.y + p->kv_len + ATT_W;
    w.o = w.q + p->head_dim;
    w.vector = w.o + p->value_dim;
    const int64_t used = w.vector + att_max(p->head_dim, p->value_dim) - (float *)(void *)w.j;
    w.own = (float *)(void *)w.j + att_ceil_div(used, 16) * 16;
    return w;
}

static inline void att_mix_do_row(att_mix_work *w, int64_t h, int64_t i)
{
    const att_problem *p = w->p;
    const att_tensor *out = &p->out;

    w->row = att_row_of(&w->rules, &w->seq, h, i);
    w->kv_head = h / (p->heads_q / p->heads_kv);
    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, w->seq.at, h, i, 0), p->q.stride[3],
                 p->head_dim, w->q);
    memset(w->o, 0, (size_t)p->value_dim * sizeof *w->o);
    w->way->row(w);
    att_store_row(out->data, out->dtype, att_tensor_at(out, w->seq.at, h, i, 0), out->stride[3],
                  p->value_dim, w->o);
}

static inline void att_mix_body(void *arg, int64_t slot, int thread)
{
    const att_mix_job *job = arg;
    const att_problem *p = job->p;
    const int64_t chunks = att_ceil_div(p->q_len, ATT_MIX_ROWS), group = p->heads_q / p->heads_kv;
    att_mix_work w = att_mix_work_of(job, slot);

    (void)thread;
    for (int64_t t = slot; t < job->tasks; t += job->slots) {
        const int64_t b = t / chunks / p->heads_q, h = t / chunks % p->heads_q;
        const int64_t first = t % chunks * ATT_MIX_ROWS;
        w.seq = att_seq_of(p, b);
        w.shared = job->shared + (b * p->heads_kv + h / group) * job->shared_floats;
        for (int64_t i = first; i < att_min(first + ATT_MIX_ROWS, w.seq.q_len); i++)
            att_mix_do_row(&w, h, i);
    }
}

static inline void att_mix_prepare(void *arg, int64_t at, int thread)
{
    const att_mix_job *job = arg;
    const int64_t heads = job->p->heads_kv;

    (void)thread;
    job->way->prepare(job->p, at / heads, at % heads, job->shared + at * job->shared_floats);
}

static inline att_status att_mix_plan(const att_problem *p, const att_mix_way *way, att_plan *out)
{
    att_mix_job job;
    if (!att_mix_layout(p, way, &job))
        return ATT_NO_MEMORY;
    out->scratch_bytes =
        (size_t)(job.slots * job.slot_floats + p->batch * p->heads_kv * job.shared_floats) *
        sizeof(float);
    return ATT_OK;
}

static inline att_status att_mix_run(const att_problem *p, const att_mix_way *way,
                                     const att_scratch *s)
{
    att_mix_job job;
    att_plan need;

    if (att_mix_plan(p, way, &need) || !att_mix_layout(p, way, &job) ||
        s->bytes < need.scratch_bytes)
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    job.room = s->data;
    job.shared = job.room + job.slots * job.slot_floats;
    if (way->prepare && job.tasks)
        s->host->parallel_for(s->host, p->batch * p->heads_kv, att_mix_prepare, &job);
    if (job.tasks)
        s->host->parallel_for(s->host, job.slots, att_mix_body, &job);
    return ATT_OK;
}

/* --------------------------------------------------------------- what such kernels accept */

static inline att_status att_mix_accept_section(const att_problem *p, att_reason *why)
{
    const att_mix *x = p->mix;
    const int64_t n = x->kind == ATT_MIX_NSA ? 3 : x->kind == ATT_MIX_GATED ? p->value_dim : 1;
    const bool gated = x->kind == ATT_MIX_GATED || x->kind == ATT_MIX_NSA ||
                       x->kind == ATT_MIX_MEMORY;
    const bool sparse = x->kind == ATT_MIX_NSA || x->kind == ATT_MIX_MEMORY;

    if (x->kind == ATT_MIX_DIFFERENTIAL && p->head_dim % 2)
        return att_refuse(why, ATT_INVALID, "head_dim is not two halves");
    if (x->kind == ATT_MIX_DIFFERENTIAL && (!x->lambda.data || x->lambda.dtype != ATT_F32 ||
                                            !att_broadcasts(&x->lambda, 1, 1, 1, p->heads_q)))
        return att_refuse(why, ATT_INVALID, "lambda must be f32 {1,1,1,Hq}");
    if (gated && (!att_is_float(x->gate.dtype, ATT_HALVES_AND_SINGLE) || !att_given(&x->gate) ||
                  !att_broadcasts(&x->gate, p->batch, p->heads_q, p->q_len, n)))
        return att_refuse(why, ATT_INVALID, "gate does not broadcast to (B,Hq,Sq,%d)", (int)n);
    if (x->kind == ATT_MIX_FORGETTING &&
        (!att_is_float(x->forget.dtype, ATT_HALVES_AND_SINGLE) || !att_given(&x->forget) ||
         !att_shaped(&x->forget, 1, p->batch, p->heads_q, p->kv_len)))
        return att_refuse(why, ATT_INVALID, "forget must be {1,B,Hq,Skv}");
    if (x->kind >= ATT_MIX_FORGETTING &&
        (p->causal != ATT_CAUSAL_BOTTOM_RIGHT || p->k_positions.data))
        return att_refuse(why, ATT_INVALID, "this mix is causal, bottom-right");
    if (sparse && (x->keep < 1 || x->window < 1 || (x->kind == ATT_MIX_NSA && x->block < 1)))
        return att_refuse(why, ATT_INVALID, "block, keep or window under 1");
    return ATT_OK;
}

static inline att_status att_mix_supports(const att_mix_way *way, att_op op, const att_problem *p,
                                          att_reason *why)
{
    const att_accept accept = {
        .ops = 1u << ATT_OP_MIX, .can = way->can, .dtypes = ATT_HALVES_AND_SINGLE};
    const att_status status = att_accept_check(&accept, op, p, why);

    if (status)
        return status;
    if (!p->mix)
        return att_refuse(why, ATT_INVALID, "mix without its section");
    if (p->mix->kind != way->kind)
        return att_refuse(why, ATT_UNSUPPORTED, "mix of another kind");
    if (p->lse.data)
        return att_refuse(why, ATT_INVALID, "a mix has no LSE");
    return att_mix_accept_section(p, why);
}

#endif
