/* SPDX-License-Identifier: Apache-2.0 */
/* The list engine: softmax attention of one row over a list of keys, ascending and distinct.
 *
 * Why: where each row picks its own keys (strides, top-k, random) there are no tiles to share; only
 * the listed K and V rows are read.  Listed keys that masks or bias forbid are taken off the list
 * first, so what is summed holds allowed keys only.
 * Bound: f32 throughout, as plain softmax.  O(n (Dk + Dv)) a row of n keys. */
#ifndef ATT_COMMON_ROWS_H
#define ATT_COMMON_ROWS_H

#include "common/accept.h"
#include "common/cost_rows.h"
#include "common/softmax.h"
#include "common/tile.h"

#define ATT_LIST_SLOTS 32
#define ATT_LIST_ROWS  16 /* rows a task */

/* One row in work. */
typedef struct att_list {
    const att_rules *rules;
    const att_seq *seq;
    int64_t kv_head, n;
    int64_t *j;             /* [n] keys */
    float *x, *q, *row, *o; /* [n + ATT_W] logits, then weights; [Dk]; [max(Dk, Dv)]; [Dv] */
} att_list;

static inline float att_dot(const float *a, const float *b, int64_t n)
{
    att_vf sum[2] = {{0}};
    float rest = 0.0f;
    int64_t d = 0;
    for (; d + 2 * ATT_W <= n; d += 2 * ATT_W) {
        sum[0] = att_vf_fma(att_vf_load(a + d), att_vf_load(b + d), sum[0]);
        sum[1] = att_vf_fma(att_vf_load(a + d + ATT_W), att_vf_load(b + d + ATT_W), sum[1]);
    }
    for (; d + ATT_W <= n; d += ATT_W)
        sum[0] = att_vf_fma(att_vf_load(a + d), att_vf_load(b + d), sum[0]);
    for (; d < n; d++)
        rest += a[d] * b[d];
    return att_vf_sum(sum[0] + sum[1]) + rest;
}

static inline void att_axpy(float w, const float *v, int64_t n, float *o)
{
    int64_t d = 0;
    for (; d + ATT_W <= n; d += ATT_W)
        att_vf_store(o + d, att_vf_fma(att_vf_set(w), att_vf_load(v + d), att_vf_load(o + d)));
    for (; d < n; d++)
        o[d] += w * v[d];
}

/* Scores of the listed keys, then their logits. */
static inline void att_list_scores(att_list *l, const att_row *row)
{
    const att_problem *p = l->rules->p;
    const int64_t dk = p->head_dim;
    const int64_t at = att_tensor_at(&p->q, l->seq->at, row->h, l->seq->q_at + row->i, 0);

    att_load_row(p->q.data, p->q.dtype, at, p->q.stride[3], dk, l->q);
    for (int64_t c = 0; c < l->n; c++) {
        const int64_t key = att_key_at(p, &p->k, l->seq, l->kv_head, l->j[c]);
        l->x[c] = att_dot(l->q, att_row_floats(&p->k, key, dk, l->row), dk) * l->rules->scale;
    }
    if (l->rules->cap > 0)
        att_logits_cap(l->rules, l->n, l->x);
    for (int64_t c = 0; c < l->n && l->rules->pairwise; c++)
        att_logits_rules(l->rules, l->seq, row, l->j[c], 1, l->x + c);
}

/* Takes off the list what is not allowed. */
static inline void att_list_drop(att_list *l, const att_row *row)
{
    int64_t kept = 0;
    for (int64_t c = 0; c < l->n; c++) {
        if (l->x[c] == -INFINITY && !att_pair_allowed(l->rules, l->seq, row, l->j[c]))
            continue;
        l->j[kept] = l->j[c];
        l->x[kept++] = l->x[c];
    }
    l->n = kept;
}

/* The list's logits become weights e^(x - *top); returns their sum. */
static inline float att_list_softmax(att_list *l, float *top)
{
    const int64_t padded = att_ceil_div(l->n, ATT_W) * ATT_W;

    *top = -INFINITY;
    for (int64_t c = l->n; c < padded; c++)
        l->x[c] = -INFINITY;
    if (l->n == 0)
        return 0.0f;
    *top = att_softmax_top(*top, l->x, padded);
    return att_softmax_weights(*top, l->x, padded);
}

/* The list's weights times V, into the problem's outputs. */
static inline void att_list_output(att_list *l, const att_row *row, float top, float sum)
{
    const att_problem *p = l->rules->p;
    const int64_t dv = p->value_dim;

    memset(l->o, 0, (size_t)dv * sizeof *l->o);
    for (int64_t c = 0; c < l->n; c++) {
        const int64_t at = att_key_at(p, &p->v, l->seq, l->kv_head, l->j[c]);
        att_axpy(l->x[c], att_row_floats(&p->v, at, dv, l->row), dv, l->o);
    }
    att_softmax_finish(p, l->seq, row, l->n == 0, top, sum, l->o);
}

/* Softmax over the list's logits, times V, into the problem's outputs. */
static inline void att_list_finish(att_list *l, const att_row *row)
{
    float top;
    const float sum = att_list_softmax(l, &top);

    att_list_output(l, row, top, sum);
}

/* ---- a kernel whose rows list their keys without looking at scores ---- */

typedef struct att_lister {
    /* Fills j with keys in the row's range, ascending and distinct; returns how many. */
    int64_t (*fill)(const void *arg, const att_row *row, int64_t *j);
    const void *arg;
    int64_t most; /* at most this many keys a row */
} att_lister;

typedef struct att_list_job {
    const att_problem *p;
    const att_lister *lister;
    att_rules rules;
    int64_t tasks, slots, slot_floats;
    float *room;
} att_list_job;

static inline bool att_list_layout(const att_problem *p, const att_lister *lister,
                                   att_list_job *job)
{
    int64_t bytes;
    const int64_t chunks = att_ceil_div(p->q_len, ATT_LIST_ROWS);
    *job = (att_list_job){.p = p, .lister = lister, .rules = att_rules_make(p, ATT_KEEP_ALL)};
    job->tasks = p->batch * p->heads_q * chunks;
    job->slots = att_min(ATT_LIST_SLOTS, job->tasks);
    const int64_t vectors = 2 * p->head_dim + 2 * p->value_dim;
    if (__builtin_mul_overflow(lister->most + ATT_W, 3, &job->slot_floats) ||
        __builtin_add_overflow(job->slot_floats, vectors + 32, &job->slot_floats))
        return false;
    job->slot_floats = job->slot_floats / 16 * 16;
    return !__builtin_mul_overflow(job->slots * (int64_t)sizeof(float), job->slot_floats, &bytes);
}

static inline att_list att_list_of(const att_problem *p, int64_t most, float *room)
{
    att_list l = {.j = (int64_t *)(void *)room};
    l.x = (float *)(void *)(l.j + most);
    l.q = l.x + most + ATT_W;
    l.row = l.q + p->head_dim;
    l.o = l.row + att_max(p->head_dim, p->value_dim);
    return l;
}

static inline void att_list_body(void *arg, int64_t slot, int thread)
{
    const att_list_job *job = arg;
    const att_problem *p = job->p;
    const int64_t chunks = att_ceil_div(p->q_len, ATT_LIST_ROWS);
    att_list l = att_list_of(p, job->lister->most, job->room + slot * job->slot_floats);

    (void)thread;
    l.rules = &job->rules;
    for (int64_t t = slot; t < job->tasks; t += job->slots) {
        const att_seq seq = att_seq_of(p, t / chunks / p->heads_q);
        const int64_t h = t / chunks % p->heads_q, first = t % chunks * ATT_LIST_ROWS;
        l.seq = &seq;
        l.kv_head = h / (p->heads_q / p->heads_kv);
        for (int64_t i = first; i < att_min(first + ATT_LIST_ROWS, seq.q_len); i++) {
            const att_row row = att_row_of(&job->rules, &seq, h, i);
            l.n = job->lister->fill(job->lister->arg, &row, l.j);
            att_list_scores(&l, &row);
            att_list_drop(&l, &row);
            att_list_finish(&l, &row);
        }
    }
}

static inline att_status att_list_plan(const att_problem *p, const att_lister *lister,
                                       att_plan *out)
{
    att_list_job job;
    if (!att_list_layout(p, lister, &job))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(job.slots * job.slot_floats) * sizeof(float);
    return ATT_OK;
}

static inline att_status att_list_attend(const att_problem *p, const att_lister *lister,
                                         const att_scratch *s)
{
    att_list_job job;
    if (!att_list_layout(p, lister, &job) ||
        s->bytes < (size_t)(job.slots * job.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    job.room = s->data;
    if (job.tasks)
        s->host->parallel_for(s->host, job.slots, att_list_body, &job);
    return ATT_OK;
}

/* The listed pairs that the problem allows.  Needs the scratch of att_list_plan. */
static inline att_status att_list_select(const att_problem *p, const att_lister *lister,
                                         const att_scratch *s, uint8_t *allowed)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    att_plan need;
    if (att_list_plan(p, lister, &need) || s->bytes < need.scratch_bytes)
        return ATT_NO_MEMORY;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++, allowed += p->kv_len) {
                int64_t *j = s->data, n = 0;
                for (int64_t c = 0; c < p->kv_len; c++)
                    allowed[c] = 0;
                if (i >= seq.q_len)
                    continue;
                const att_row row = att_row_of(&rules, &seq, h, i);
                n = lister->fill(lister->arg, &row, j);
                for (int64_t c = 0; c < n; c++)
                    allowed[j[c]] = att_pair_allowed(&rules, &seq, &row, j[c]);
            }
    }
    return ATT_OK;
}

/* Cost of `keys` listed keys, all rows and heads together, each list read for itself; which rows of
 * K and V they are, only contents know. */
static inline void att_list_cost(const att_problem *p, double keys, att_cost *out)
{
    const double d = (double)(p->head_dim + p->value_dim);
    const double rows = (double)p->batch * (double)p->heads_kv * (double)p->kv_len;
    *out = (att_cost){.keys_read = keys,
                      .flops_useful = 2 * keys * d,
                      .flops_executed = 2 * keys * d,
                      .kv_bytes_read = keys * att_row_bytes(p),
                      .state_bytes = att_cache_bytes(p, p->kv_len),
                      .k_rows = rows < keys ? rows : keys,
                      .v_rows = rows < keys ? rows : keys,
                      .v_run = 1};
}

/* Cost of what a lister lists.  NO_MEMORY. */
static inline att_status att_lister_cost(const att_problem *p, const att_lister *lister,
                                         att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const att_rules rules = att_rules_make(&open, ATT_KEEP_ALL);
    const int64_t group = p->heads_kv ? p->heads_q / p->heads_kv : 0;
    int32_t *marks = att_marks(p);
    int64_t *j = malloc((size_t)(lister->most + 1) * sizeof *j), keys = 0, rows = 0;
    const bool held = marks && j;

    for (int64_t b = 0; held && b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        for (int64_t h = 0; h < p->heads_q; h++) {
            for (int64_t i = 0; i < seq.q_len; i++) {
                const att_row row = att_row_of(&rules, &seq, h, i);
                const int64_t n = lister->fill(lister->arg, &row, j);
                for (int64_t c = 0; c < n; c++)
                    att_mark(marks, j[c], j[c] + 1);
                keys += n;
            }
            if ((h + 1) % group == 0)
                rows += att_marked(marks, p->kv_len);
        }
    }
    free(marks);
    free(j);
    if (!held)
        return ATT_NO_MEMORY;
    att_list_cost(p, (double)keys, out);
    out->k_rows = out->v_rows = (double)rows;
    out->v_run = att_hides(p) || p->k_positions.data ? 1 : 0;
    return ATT_OK;
}

#endif
