/* SPDX-License-Identifier: Apache-2.0 */
/* What the tile engine (common/flash.h) reads and multiplies for a problem, counted by its own
 * rules.
 *
 *   flops = 2 pairs (Dk + Dv)
 * Why: quality is shown against keys really read.  Executed work counts the engine's 6-row,
 * 2-vector steps.  A pattern of blocks, or given query positions, are followed tile by tile; else
 * a block of rows reads one run of keys (and the first ones), found in O(rows). */
#ifndef ATT_COMMON_COST_H
#define ATT_COMMON_COST_H

#include "common/cost_rows.h"
#include "common/flash.h"

/* Sums over blocks of rows. */
typedef struct att_flash_tally {
    double pairs, keys, steps, read, rows; /* rows: touched */
} att_flash_tally;

/* Keys of a reach, its spans rounded up to `step`. */
static inline int64_t att_reach_count(const att_reach *reach, int64_t step)
{
    if (reach->lo >= reach->hi)
        return 0;
    if (reach->head >= reach->band)
        return att_round_up(reach->hi - reach->lo, step);
    return att_round_up(reach->head - reach->lo, step) +
           att_round_up(reach->hi - reach->band, step);
}

static inline double att_flash_step(int64_t rows, int64_t keys)
{
    return (double)(rows == 5 ? 6 : rows) * (double)att_round_up(keys, ATT_TILE_COLS);
}

/* A span as att_flash_span goes through it. */
static inline void att_flash_tally_span(const att_flash_block *b, int64_t from, int64_t to,
                                        int32_t *marks, att_flash_tally *t)
{
    const bool blocks = b->job->rules.keep.block != NULL;
    int64_t end;

    for (int64_t j0 = from; j0 < to; j0 = end) {
        bool read = false;
        end = blocks ? (j0 / ATT_TILE_KEYS + 1) * ATT_TILE_KEYS : j0 + ATT_TILE_KEYS;
        end = att_min(end, to);
        for (int64_t g = 0; g < b->rows; g += ATT_TILE_ROWS) {
            const int64_t rows = att_min(ATT_TILE_ROWS, b->rows - g);
            if (!att_flash_sees(b, b->row + g, rows, j0, end - j0))
                continue;
            const int64_t hi = att_flash_reach(b->row + g, rows).hi;
            t->steps += att_flash_step(rows, att_min(end, hi) - j0);
            read = true;
        }
        if (!read)
            continue;
        t->read += (double)(end - j0);
        att_mark(marks, j0, end);
        for (int64_t r = 0; r < b->rows; r++) {
            const att_row *row = b->row + r;
            if (att_flash_row_sees(b, row, j0, end - j0))
                t->keys += (double)(att_min(end, row->hi) - att_max(j0, row->lo));
        }
    }
}

/* One block of rows over all keys, its rows of K and V marked. */
static inline void att_flash_tally_block(const att_flash_block *b, int32_t *marks,
                                         att_flash_tally *t)
{
    const att_flash_job *job = b->job;
    const att_reach all = att_flash_reach(b->row, b->rows);
    const int64_t band = att_max(all.band, all.head);

    for (int64_t r = 0; r < b->rows; r++)
        t->pairs += (double)att_row_pairs(&job->rules, &b->seq, b->row + r);
    if (job->rules.keep.block || job->p->q_positions.data) {
        for (int64_t first = 0; first < job->parts * job->part_keys; first += job->part_keys) {
            const int64_t last = first + job->part_keys;
            att_flash_tally_span(b, att_max(all.lo, first), att_min(all.head, last), marks, t);
            att_flash_tally_span(b, att_max(band, first), att_min(all.hi, last), marks, t);
        }
        return;
    }
    for (int64_t g = 0; g < b->rows; g += ATT_TILE_ROWS) {
        const int64_t rows = att_min(ATT_TILE_ROWS, b->rows - g);
        const att_reach reach = att_flash_reach(b->row + g, rows);
        t->steps += att_flash_step(rows, att_reach_count(&reach, ATT_TILE_COLS));
    }
    for (int64_t r = 0; r < b->rows; r++)
        t->keys += (double)att_row_count(b->row + r);
    t->read += (double)att_reach_count(&all, 1);
    att_mark(marks, all.lo, att_min(all.head, all.hi));
    att_mark(marks, band, all.hi);
}

/* All sequences and heads.  Without by_head the KV heads are alike, and one stands for all. */
static inline att_flash_tally att_flash_count(const att_flash_job *job, bool by_head,
                                              int32_t *marks)
{
    const att_problem *p = job->p;
    const int64_t heads = job->fold ? p->heads_q / job->fold : 0; /* blocks of rows a sequence */
    const int64_t kv = by_head ? p->heads_kv : att_min(p->heads_kv, 1);
    const int64_t each = by_head && p->heads_kv ? heads / p->heads_kv : 1;
    att_flash_tally t = {0};
    att_row row[ATT_BLOCK_ROWS];
    att_flash_block block = {.job = job, .row = row};

    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < kv; h++) {
            for (int64_t n = h * each; n < (h + 1) * each; n++)
                for (int64_t i = 0; i < job->blocks; i++) {
                    att_flash_open(&block, (b * heads + n) * job->blocks + i);
                    att_flash_tally_block(&block, marks, &t);
                }
            t.rows += (double)att_marked(marks, p->kv_len);
        }
    const double alike = by_head ? 1 : (double)p->heads_kv;
    return (att_flash_tally){t.pairs * alike, t.keys * alike, t.steps * alike, t.read * alike,
                             t.rows * alike};
}

/* NO_MEMORY. */
static inline att_status att_flash_cost(const att_problem *p, const att_flash *how, att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const double d = 2.0 * (double)(p->head_dim + p->value_dim);
    att_flash_job job;
    int32_t *marks = att_marks(p);

    if (!marks || !att_flash_layout(&open, how, &job)) {
        free(marks);
        return ATT_NO_MEMORY;
    }
    const att_flash_tally t = att_flash_count(&job, how->by_head, marks);
    free(marks);
    *out = (att_cost){.keys_read = t.keys,
                      .flops_useful = t.pairs * d,
                      .flops_executed = t.steps * d,
                      .kv_bytes_read = t.read * att_row_bytes(p),
                      .state_bytes = att_cache_bytes(p, att_tokens_kept(p, &how->keep)),
                      .k_rows = t.rows,
                      .v_rows = t.rows,
                      .v_run = p->block_mask.data ? ATT_TILE_KEYS : 0};
    return ATT_OK;
}

#endif
