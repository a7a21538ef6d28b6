/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that choose their keys by their own logits: all of them are scored, some are kept, and
 * softmax runs over those.
 *
 * Why: exact search (top-k, top-p, nearest neighbours) differs in the choice alone.  Scores are
 * made a block of rows and a tile of packed keys at a time.
 * Bound: f32 throughout, exact on the kept keys.  O(S^2 Dk + S kept Dv); scratch O(24 S) a slot. */
#ifndef ATT_COMMON_SCORED_H
#define ATT_COMMON_SCORED_H

#include "common/cost.h"
#include "common/rows.h"

#define ATT_SCORED_ROWS  24        /* rows that share one packing of K */
#define ATT_SCORED_BYTES (1 << 28) /* what all slots together aim to stay below */

typedef struct att_scored {
    /* Of x[0..n), logits of the keys from j0 on (-inf where not allowed, with room for n + ATT_W,
     * and used up), keeps some: ascending l->j, their logits l->x (both with room for n), l->n. */
    void (*choose)(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l);
    const void *arg;
} att_scored;

typedef struct att_scored_job {
    const att_problem *p;
    const att_scored *way;
    att_rules rules;
    int64_t fold, blocks, tasks, slots, width, slot_floats;
    float *room;
    uint8_t *allowed; /* of select; NULL: attend */
} att_scored_job;

/* A slot's room: logits [ROWS][width], panels of Q and K, the packing's row, and a list. */
static inline bool att_scored_layout(const att_problem *p, att_scored_job *w)
{
    int64_t bytes;
    *w = (att_scored_job){.p = p, .rules = att_rules_make(p, ATT_KEEP_ALL)};
    w->fold = att_max(1, p->heads_kv > 0 ? p->heads_q / p->heads_kv : 1);
    w->blocks = att_ceil_div(p->q_len * w->fold, ATT_SCORED_ROWS);
    w->tasks = p->batch * (p->heads_q / w->fold) * w->blocks;
    w->width = att_round_up(p->kv_len, ATT_TILE_KEYS) + ATT_W;
    const int64_t dims = (ATT_SCORED_ROWS + ATT_TILE_KEYS + 6) * p->head_dim + 2 * p->value_dim;
    if (__builtin_mul_overflow(w->width, ATT_SCORED_ROWS + 4, &w->slot_floats) ||
        __builtin_add_overflow(w->slot_floats, dims + ATT_TILE_ROWS * ATT_TILE_KEYS + 64,
                               &w->slot_floats) ||
        __builtin_mul_overflow(w->slot_floats, (int64_t)sizeof(float) * ATT_LIST_SLOTS, &bytes))
        return false;
    w->slot_floats = att_round_up(w->slot_floats, 16);
    const int64_t fit = att_max(2, ATT_SCORED_BYTES / (w->slot_floats * (int64_t)sizeof(float)));
    w->slots = att_min(att_min(fit, ATT_LIST_SLOTS), w->tasks);
    return true;
}

static inline void att_scored_row(const att_scored_job *w, att_list *l, const att_row *row,
                                  float *x, int64_t j0)
{
    const att_problem *p = w->p;
    const int64_t n = att_max(0, row->hi - j0);

    att_logits(&w->rules, l->seq, row, j0, n, x);
    w->way->choose(w->way->arg, row, j0, n, x, l);
    att_list_drop(l, row);
    if (!w->allowed) {
        att_list_finish(l, row);
        return;
    }
    uint8_t *to = w->allowed + ((l->seq->b * p->heads_q + row->h) * p->q_len + row->i) * p->kv_len;
    for (int64_t c = 0; c < l->n; c++)
        to[l->j[c]] = 1;
}

/* Scores of a block of rows against keys lo .. hi, into x[row][j - lo]. */
static inline void att_scored_scores(const att_scored_job *w, const att_list *l, const att_row *row,
                                     int64_t rows, att_reach reach, float *q, float *x)
{
    const att_problem *p = w->p;
    const int64_t dk = p->head_dim;
    float *k = q + ATT_SCORED_ROWS * dk, *tile = k + ATT_TILE_KEYS * dk;

    memset(q, 0, (size_t)(ATT_SCORED_ROWS * dk) * sizeof *q);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = att_tensor_at(&p->q, l->seq->at, row[r].h, l->seq->q_at + row[r].i, 0);
        const float *from = att_row_floats(&p->q, at, dk, l->row);
        for (int64_t d = 0; d < dk; d++)
            q[r / ATT_TILE_ROWS * ATT_TILE_ROWS * dk + d * ATT_TILE_ROWS + r % ATT_TILE_ROWS] =
                from[d];
    }
    for (int64_t j0 = reach.lo; j0 < reach.hi; j0 += ATT_TILE_KEYS) {
        const int64_t n = att_min(ATT_TILE_KEYS, reach.hi - j0);
        att_pack_keys(p, l->seq, l->kv_head, j0, n, l->row, k);
        for (int64_t g = 0; g < rows; g += ATT_TILE_ROWS) {
            const int64_t some = att_min(ATT_TILE_ROWS, rows - g);
            att_tile_scores((int)some, q + g * dk, k, n, dk, w->rules.scale, tile);
            for (int64_t r = 0; r < some; r++)
                memcpy(x + (g + r) * w->width + j0 - reach.lo, tile + r * ATT_TILE_KEYS,
                       (size_t)n * sizeof *x);
        }
    }
}

static inline void att_scored_block(const att_scored_job *w, int64_t t, float *room)
{
    const att_problem *p = w->p;
    const int64_t heads = p->heads_q / w->fold;
    const int64_t first = (w->blocks - 1 - t % w->blocks) * ATT_SCORED_ROWS;
    const int64_t h0 = t / w->blocks % heads * w->fold;
    const att_seq seq = att_seq_of(p, t / w->blocks / heads);
    const int64_t rows = att_max(0, att_min(ATT_SCORED_ROWS, seq.q_len * w->fold - first));
    att_list l = {.rules = &w->rules, .seq = &seq, .kv_head = h0 / (p->heads_q / p->heads_kv)};
    att_row row[ATT_SCORED_ROWS];

    float *x = room, *q = x + ATT_SCORED_ROWS * w->width;
    float *tile = q + (ATT_SCORED_ROWS + ATT_TILE_KEYS) * p->head_dim;
    l.j = (int64_t *)(void *)(tile + ATT_TILE_ROWS * ATT_TILE_KEYS);
    l.x = (float *)(void *)(l.j + w->width);
    l.row = l.x + w->width;
    l.o = l.row + att_max(4 * p->head_dim, p->value_dim);
    for (int64_t r = 0; r < rows; r++)
        row[r] = att_row_of(&w->rules, &seq, h0 + (first + r) % w->fold, (first + r) / w->fold);
    const att_reach all = att_flash_reach(row, rows);
    if (all.lo < all.hi)
        att_scored_scores(w, &l, row, rows, all, q, x);
    for (int64_t r = 0; r < rows; r++)
        att_scored_row(w, &l, row + r, x + r * w->width, all.lo < all.hi ? all.lo : row[r].hi);
}

static inline void att_scored_body(void *arg, int64_t slot, int thread)
{
    const att_scored_job *w = arg;
    (void)thread;
    for (int64_t t = slot; t < w->tasks; t += w->slots)
        att_scored_block(w, t, w->room + slot * w->slot_floats);
}

static inline att_status att_scored_plan(const att_problem *p, att_plan *out)
{
    att_scored_job w;
    if (!att_scored_layout(p, &w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(w.slots * w.slot_floats) * sizeof(float);
    return ATT_OK;
}

/* Attends, or where `allowed` is given selects, on a problem that the kernel supports. */
static inline att_status att_scored_run(const att_problem *p, const att_scored *way,
                                        const att_scratch *s, uint8_t *allowed)
{
    const int64_t bytes = p->batch * p->heads_q * p->q_len * p->kv_len;
    att_scored_job w;

    if (!att_scored_layout(p, &w) || s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.way = way;
    w.room = s->data;
    w.allowed = allowed;
    if (allowed && bytes > 0)
        memset(allowed, 0, (size_t)bytes);
    if (w.tasks)
        s->host->parallel_for(s->host, w.slots, att_scored_body, &w);
    return ATT_OK;
}

/* K is read for every key in range, once a block of rows; V for those kept, at most
 * kept(arg, row) a row.  NO_MEMORY. */
static inline att_status att_scored_cost(const att_problem *p,
                                         int64_t (*kept)(const void *arg, const att_row *row),
                                         const void *arg, att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const double dk = (double)p->head_dim, dv = (double)p->value_dim, kv = (double)p->heads_kv;
    double all = 0, some = 0, read = 0, k_rows = 0, v_rows = 0;
    int32_t *marks = att_marks(p);
    att_scored_job w;

    if (!marks || !att_scored_layout(&open, &w)) {
        free(marks);
        return ATT_NO_MEMORY;
    }
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        const double before = some;
        for (int64_t first = 0; first < seq.q_len * w.fold; first += ATT_SCORED_ROWS) {
            att_row row[ATT_SCORED_ROWS];
            const int64_t rows = att_min(ATT_SCORED_ROWS, seq.q_len * w.fold - first);
            for (int64_t r = 0; r < rows; r++) {
                row[r] = att_row_of(&w.rules, &seq, 0, (first + r) / w.fold);
                all += (double)att_row_count(row + r);
                some += (double)kept(arg, row + r);
            }
            const att_reach reach = att_flash_reach(row, rows);
            read += (double)att_reach_count(&reach, 1);
            att_mark(marks, reach.lo, reach.hi);
        }
        const double touched = (double)att_marked(marks, p->kv_len);
        k_rows += touched;
        v_rows += fmin(touched, some - before);
    }
    free(marks);
    *out = (att_cost){.keys_read = all * kv, /* the rows of a whole group stand in a block */
                      .flops_useful = 2 * some * kv * (dk + dv),
                      .flops_executed = 2 * (all * dk + some * dv) * kv,
                      .kv_bytes_read = (read * dk * (double)att_dtype_size(p->k.dtype) +
                                        some * dv * (double)att_dtype_size(p->v.dtype)) *
                                       kv,
                      .state_bytes = att_cache_bytes(p, p->kv_len),
                      .k_rows = k_rows * kv,
                      .v_rows = v_rows * kv,
                      .v_run = 1};
    return ATT_OK;
}

#endif
