/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels whose rows depend on the rows before them: a stream of queries over keys that arrive in
 * order, one task a sequence and KV head.
 *
 * Why: eviction and observation windows have a history.  A row sees the keys before its place
 * (`hi`), which moves on with the rows; masks, windows and given positions are refused, for a key
 * hidden from one row would reach it through the history of another.
 * The query heads of a group share what is kept, so that the cache really shrinks. */
#ifndef ATT_COMMON_STREAM_H
#define ATT_COMMON_STREAM_H

#include "common/cost.h"
#include "common/rows.h"

typedef struct att_stream att_stream;
struct att_stream {
    const att_problem *p;
    const att_value *params;
    const void *way; /* the kernel's own */
    /* All rows of a sequence for the query heads of a KV head; l: a list with room for all keys;
     * room: `floats` floats. */
    void (*rows)(const att_stream *w, att_list *l, float *room);
    int64_t floats;
    att_rules rules;
    int64_t tasks, slots, slot_floats;
    float *room;
    uint8_t *allowed; /* of select; NULL: attend */
};

static inline att_status att_stream_supports(const att_kernel *self, att_op op,
                                             const att_problem *p, const att_value *params,
                                             att_reason *why)
{
    static const att_accept accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                      .can = ATT_CAN_PACKED | ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS |
                                             ATT_CAN_PAGED,
                                      .dtypes = ATT_HALVES_AND_SINGLE};
    const att_status status = att_accept_check(&accept, op, p, why);

    (void)self, (void)params;
    if (status == ATT_OK && p->bias.data)
        return att_refuse(why, ATT_UNSUPPORTED, "a bias: it may hide keys from single rows");
    return status;
}

/* w: p, params, rows and floats set. */
static inline bool att_stream_layout(att_stream *w)
{
    const att_problem *p = w->p;
    int64_t bytes, most;

    w->rules = att_rules_make(p, ATT_KEEP_ALL);
    w->tasks = p->heads_q ? p->batch * p->heads_kv : 0;
    w->slots = att_min(ATT_LIST_SLOTS, w->tasks);
    if (__builtin_mul_overflow(p->kv_len + ATT_W, 3, &most) ||
        __builtin_add_overflow(most, 2 * (p->head_dim + p->value_dim) + 64, &most) ||
        __builtin_add_overflow(most, w->floats, &w->slot_floats))
        return false;
    w->slot_floats = w->slot_floats / 16 * 16;
    return !__builtin_mul_overflow(w->slots * (int64_t)sizeof(float), w->slot_floats, &bytes);
}

static inline att_status att_stream_plan(att_stream w, att_plan *out)
{
    if (!att_stream_layout(&w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(w.slots * w.slot_floats) * sizeof(float);
    return ATT_OK;
}

static inline void att_stream_body(void *arg, int64_t slot, int thread)
{
    const att_stream *w = arg;
    const att_problem *p = w->p;

    (void)thread;
    for (int64_t t = slot; t < w->tasks; t += w->slots) {
        const att_seq seq = att_seq_of(p, t / p->heads_kv);
        float *room = w->room + slot * w->slot_floats;
        att_list l = att_list_of(p, p->kv_len, room);
        const int64_t behind = (l.o + p->value_dim - room + 15) / 16 * 16;
        l.rules = &w->rules;
        l.seq = &seq;
        l.kv_head = t % p->heads_kv;
        w->rows(w, &l, room + behind);
    }
}

static inline att_status att_stream_run(const att_kernel *self, att_op op, att_stream w,
                                        const att_scratch *s, uint8_t *allowed)
{
    const att_problem *p = w.p;
    const int64_t bytes = p->batch * p->heads_q * p->q_len * p->kv_len;
    const att_status status = att_stream_supports(self, op, p, s->params, NULL);

    if (status != ATT_OK)
        return status;
    if (!att_stream_layout(&w) || s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.room = s->data;
    w.allowed = allowed;
    if (allowed && bytes > 0)
        memset(allowed, 0, (size_t)bytes);
    if (w.tasks)
        s->host->parallel_for(s->host, w.slots, att_stream_body, &w);
    return ATT_OK;
}

/* Query heads of the list's KV head: *first and how many. */
static inline int64_t att_stream_heads(const att_stream *w, const att_list *l, int64_t *first)
{
    const int64_t group = w->p->heads_q / w->p->heads_kv;

    *first = l->kv_head * group;
    return group;
}

/* The row's answer on the list, whose weights and their sum stand; or its report. */
static inline void att_stream_answer(const att_stream *w, att_list *l, const att_row *row,
                                     float top, float sum)
{
    const att_problem *p = w->p;

    if (!w->allowed) {
        att_list_output(l, row, top, sum);
        return;
    }
    uint8_t *to = w->allowed + ((l->seq->b * p->heads_q + row->h) * p->q_len + row->i) * p->kv_len;
    for (int64_t c = 0; c < l->n; c++)
        to[l->j[c]] = 1;
}

/* Cost of rows that keep at most `budget` keys each, the same for a group's heads, having scored
 * all that they see or only those.  NO_MEMORY. */
static inline att_status att_stream_cost(const att_problem *p, int64_t budget, bool scores_all,
                                         att_cost *out)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const double hq = (double)p->heads_q, kv = (double)p->heads_kv;
    const double dk = (double)p->head_dim, dv = (double)p->value_dim;
    double all = 0, kept = 0, seen = 0, used = 0;
    int32_t *marks = att_marks(p);

    for (int64_t b = 0; marks && b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        const double before = kept;
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            all += (double)att_row_count(&row);
            kept += (double)att_min(att_row_count(&row), budget);
            att_mark(marks, row.lo, row.hi);
        }
        const double touched = (double)att_marked(marks, p->kv_len);
        seen += touched;
        used += fmin(touched, kept - before);
    }
    if (!marks)
        return ATT_NO_MEMORY;
    free(marks);
    att_list_cost(p, kept * hq, out);
    out->k_rows = (scores_all ? seen : used) * kv;
    out->v_rows = used * kv;
    if (scores_all) {
        out->keys_read = all * hq;
        out->flops_executed = 2 * hq * (all * dk + kept * (dk + dv));
        out->kv_bytes_read += all * hq * dk * (double)att_dtype_size(p->k.dtype);
    } else {
        out->state_bytes = att_cache_bytes(p, att_min(budget, p->kv_len));
    }
    return ATT_OK;
}

#endif
