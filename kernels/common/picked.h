/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of rows that pick their keys by looking at queries and keys: a kernel may first
 * prepare what the rows of a head share, then names each row's keys; softmax runs over those that
 * the problem allows.
 *
 * Why: learned and dynamic sparsity (pages, blocks, clusters, columns) differs in how keys are
 * picked, and in nothing else; `select` reports the same picks that `attend` sums.  A kernel
 * defines `picker` and names the functions at the end in its descriptor.
 * Bound: f32 throughout, exact on the picked keys (common/rows.h). */
#ifndef ATT_COMMON_PICKED_H
#define ATT_COMMON_PICKED_H

#include "common/rows.h"

typedef struct att_picker {
    /* Fills `shared` for the sequence and head in l (kv_head, or q_head where by_head); l->row is
     * room for a row, `room` that of one pick.  NULL = nothing. */
    void (*prepare)(const void *arg, att_list *l, int64_t q_head, float *shared, float *room);
    /* The row's keys, ascending, distinct and in its range, into l->j and l->n; l->q holds the
     * query, `room` is this row's. */
    void (*pick)(const void *arg, att_list *l, const att_row *row, const float *shared,
                 float *room);
    const void *arg;
    int64_t shared, room; /* floats; negative: too many */
    bool by_head;         /* `shared` is a query head's, not a KV head's */
} att_picker;

/* The kernel's own.  params: in declared order; p: only sizes may be looked at. */
static att_picker picker(const att_problem *p, const att_value *params);

/* floats = a * b; -1: too many, or a is. */
static inline int64_t att_picked_floats(int64_t a, int64_t b)
{
    int64_t n;
    return a < 0 || __builtin_mul_overflow(a, b, &n) || n > INT64_MAX / 64 ? -1 : n;
}

typedef struct att_pick_job {
    const att_problem *p;
    const att_picker *picker;
    att_rules rules;
    int64_t heads, tasks, slots, slot_floats; /* heads: of `shared`, a sequence */
    float *shared, *room;
    uint8_t *allowed; /* of select; NULL: attend */
} att_pick_job;

static inline bool att_pick_layout(const att_problem *p, const att_picker *picker,
                                   att_pick_job *job, int64_t *floats)
{
    const int64_t chunks = att_ceil_div(p->q_len, ATT_LIST_ROWS);
    *job = (att_pick_job){.p = p, .picker = picker, .rules = att_rules_make(p, ATT_KEEP_ALL)};
    job->heads = picker->by_head ? p->heads_q : p->heads_kv;
    job->tasks = p->batch * p->heads_q * chunks;
    job->slots = att_min(ATT_LIST_SLOTS, job->tasks);
    const int64_t list = att_picked_floats(p->kv_len + ATT_W, 3);
    const int64_t all = att_picked_floats(att_picked_floats(p->batch, job->heads), picker->shared);
    if (list < 0 || all < 0 || picker->room < 0 || picker->shared < 0)
        return false;
    job->slot_floats = (list + 2 * p->head_dim + 2 * p->value_dim + picker->room + 64) / 16 * 16;
    const int64_t slots = att_picked_floats(job->slots, job->slot_floats);
    *floats = all / 16 * 16 + 16 + slots;
    return slots >= 0 && *floats <= INT64_MAX / 64;
}

static inline att_list att_pick_list(const att_pick_job *job, int64_t slot, float **room)
{
    const att_problem *p = job->p;
    float *at = job->room + slot * job->slot_floats;
    att_list l = att_list_of(p, p->kv_len, at);

    l.rules = &job->rules;
    *room = at + att_ceil_div(l.o + p->value_dim - at, 16) * 16; /* for integers too */
    return l;
}

static inline void att_pick_prepare(void *arg, int64_t slot, int thread)
{
    const att_pick_job *job = arg;
    const att_problem *p = job->p;
    const int64_t group = p->heads_q / p->heads_kv;
    float *room;
    att_list l = att_pick_list(job, slot, &room);

    (void)thread;
    for (int64_t t = slot; t < p->batch * job->heads; t += job->slots) {
        const att_seq seq = att_seq_of(p, t / job->heads);
        const int64_t h = t % job->heads;
        l.seq = &seq;
        l.kv_head = job->picker->by_head ? h / group : h;
        job->picker->prepare(job->picker->arg, &l, job->picker->by_head ? h : h * group,
                             job->shared + t * job->picker->shared, room);
    }
}

static inline void att_pick_row(const att_pick_job *job, att_list *l, const att_row *row,
                                float *room)
{
    const att_problem *p = job->p;
    const int64_t head = job->picker->by_head ? row->h : l->kv_head;
    const int64_t at = att_tensor_at(&p->q, l->seq->at, row->h, l->seq->q_at + row->i, 0);

    att_load_row(p->q.data, p->q.dtype, at, p->q.stride[3], p->head_dim, l->q);
    job->picker->pick(job->picker->arg, l, row,
                      job->shared + (l->seq->b * job->heads + head) * job->picker->shared, room);
    if (!job->allowed) {
        att_list_scores(l, row);
        att_list_drop(l, row);
        att_list_finish(l, row);
        return;
    }
    uint8_t *to = job->allowed +
                  ((l->seq->b * p->heads_q + row->h) * p->q_len + row->i) * p->kv_len;
    for (int64_t c = 0; c < l->n; c++)
        to[l->j[c]] = att_pair_allowed(&job->rules, l->seq, row, l->j[c]);
}

static inline void att_pick_body(void *arg, int64_t slot, int thread)
{
    const att_pick_job *job = arg;
    const att_problem *p = job->p;
    const int64_t chunks = att_ceil_div(p->q_len, ATT_LIST_ROWS);
    float *room;
    att_list l = att_pick_list(job, slot, &room);

    (void)thread;
    for (int64_t t = slot; t < job->tasks; t += job->slots) {
        const att_seq seq = att_seq_of(p, t / chunks / p->heads_q);
        const int64_t h = t / chunks % p->heads_q, first = t % chunks * ATT_LIST_ROWS;
        l.seq = &seq;
        l.kv_head = h / (p->heads_q / p->heads_kv);
        for (int64_t i = first; i < att_min(first + ATT_LIST_ROWS, seq.q_len); i++) {
            const att_row row = att_row_of(&job->rules, &seq, h, i);
            att_pick_row(job, &l, &row, room);
        }
    }
}

/* Attends, or where `allowed` is given selects, on a problem that the kernel supports. */
static inline att_status att_picked_run(const att_problem *p, const att_picker *picker,
                                        const att_scratch *s, uint8_t *allowed)
{
    const int64_t pairs = p->batch * p->heads_q * p->q_len * p->kv_len;
    att_pick_job job;
    int64_t floats;

    if (!att_pick_layout(p, picker, &job, &floats) || s->bytes < (size_t)floats * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    job.room = s->data;
    job.shared = job.room + job.slots * job.slot_floats;
    job.allowed = allowed;
    if (allowed && pairs > 0)
        memset(allowed, 0, (size_t)pairs);
    if (!job.tasks)
        return ATT_OK;
    if (picker->prepare)
        s->host->parallel_for(s->host, job.slots, att_pick_prepare, &job);
    s->host->parallel_for(s->host, job.slots, att_pick_body, &job);
    return ATT_OK;
}

static inline att_status att_picked_supports(const att_kernel *self, att_op op,
                                             const att_problem *p, const att_value *params,
                                             att_reason *why)
{
    static const att_accept accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                      .can = ATT_CAN_ALL,
                                      .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self, (void)params;
    if (p->k_positions.data)
        return att_refuse(why, ATT_UNSUPPORTED, "given key positions: what is picked counts keys");
    return att_accept_check(&accept, op, p, why);
}

static inline att_status att_picked_plan(const att_kernel *self, att_op op, const att_problem *p,
                                         const att_value *params, att_plan *out)
{
    const att_picker own = picker(p, params);
    att_pick_job job;
    int64_t floats;

    (void)self, (void)op;
    if (!att_pick_layout(p, &own, &job, &floats))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

static inline att_status att_picked_attend(const att_kernel *self, const att_problem *p,
                                           const att_scratch *s)
{
    const att_picker own = picker(p, s->params);
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_picked_run(p, &own, s, NULL);
}

static inline att_status att_picked_select(const att_kernel *self, const att_problem *p,
                                           const att_scratch *s, uint8_t *allowed)
{
    const att_picker own = picker(p, s->params);
    const att_status status = self->supports(self, ATT_OP_SELECT, p, s->params, NULL);
    return status ? status : att_picked_run(p, &own, s, allowed);
}

/* A row attends to at most so many keys; a call reads all of K besides, for what it prepares.
 * NO_MEMORY. */
static inline att_status att_picked_cost(const att_problem *p, int64_t most, att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const att_rules rules = att_rules_make(&open, ATT_KEEP_ALL);
    const double kv = (double)p->heads_kv, group = kv > 0 ? (double)p->heads_q / kv : 0;
    double kept = 0, made = 0, v_rows = 0;
    int32_t *marks = att_marks(p);

    for (int64_t b = 0; marks && b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        const double before = kept;
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            kept += (double)att_min(row.hi - row.lo, most);
            att_mark_row(marks, &rules, &seq, &row);
        }
        v_rows += fmin((double)att_marked(marks, p->kv_len), (kept - before) * group);
        made += p->q_len > 0 ? (double)seq.kv_len * kv : 0;
    }
    *out = (att_cost){0};
    if (!marks)
        return ATT_NO_MEMORY;
    free(marks);
    att_list_cost(p, kept * (double)p->heads_q, out);
    out->kv_bytes_read += made * (double)p->head_dim * (double)att_dtype_size(p->k.dtype);
    out->k_rows = made;
    out->v_rows = v_rows * kv;
    return ATT_OK;
}

#endif
