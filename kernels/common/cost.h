/* SPDX-License-Identifier: Apache-2.0 */
/* What the tile engine (common/flash.h) reads and multiplies for a problem, counted by its own
 * rules.
 *
 *   flops = 2 pairs (Dk + Dv)
 * Why: quality is shown against keys really read.  Useful work counts the pairs that lengths,
 * causality, windows and the kernel's pattern leave; what only contents know (bias, masks) counts
 * as kept.  Executed work counts the engine's 6-row, 2-vector steps. */
#ifndef ATT_COMMON_COST_H
#define ATT_COMMON_COST_H

#include "common/flash.h"

/* Keys of a row by ranges alone. */
static inline int64_t att_row_count(const att_row *row)
{
    const int64_t gap = att_max(0, row->band - row->head);
    return att_max(0, row->hi - row->lo - gap);
}

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

/* Tokens of kv_len that a decode step may still need. */
static inline int64_t att_tokens_kept(const att_problem *p, const att_keep *keep)
{
    const int64_t kept = att_keep_tokens(p, keep);
    return p->causal && p->window_left >= 0 ? att_min(kept, att_add_clamped(p->window_left, 1))
                                            : kept;
}

/* share: the part of the ranged pairs that the kernel's pattern (keep.block, keep.pair) leaves. */
static inline void att_flash_cost(const att_problem *p, const att_flash *how, double share,
                                  att_cost *out)
{
    const int64_t group = p->heads_kv > 0 ? p->heads_q / p->heads_kv : 1;
    const int64_t fold = how->by_head ? 1 : att_max(1, group);
    const double bytes = (double)att_dtype_size(p->k.dtype) * (double)(p->head_dim + p->value_dim);
    const att_rules rules = att_rules_make(p, how->keep);
    double pairs = 0, steps = 0, rows_read = 0;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        att_row row[ATT_BLOCK_ROWS];
        for (int64_t first = 0; first < seq.q_len * fold; first += ATT_BLOCK_ROWS) {
            const int64_t rows = att_min(ATT_BLOCK_ROWS, seq.q_len * fold - first);
            for (int64_t r = 0; r < rows; r++) {
                row[r] = att_row_of(&rules, &seq, 0, (first + r) / fold);
                pairs += (double)att_row_count(row + r);
            }
            for (int64_t g = 0; g < rows; g += ATT_TILE_ROWS) {
                const int64_t some = att_min(ATT_TILE_ROWS, rows - g);
                const att_reach reach = att_flash_reach(row + g, some);
                steps += (double)(some == 5 ? 6 : some) *
                         (double)att_reach_count(&reach, ATT_TILE_COLS);
            }
            const att_reach reach = att_flash_reach(row, rows);
            rows_read += (double)att_reach_count(&reach, 1);
        }
    }
    const double blocks = (double)p->heads_q / (double)fold * share; /* head groups */
    const double d = 2.0 * (double)(p->head_dim + p->value_dim);
    *out = (att_cost){.keys_read = pairs * blocks,
                      .flops_useful = pairs * blocks * d,
                      .flops_executed = steps * blocks * d,
                      .kv_bytes_read = rows_read * blocks * bytes,
                      .state_bytes = (double)p->batch * (double)p->heads_kv * bytes *
                                     (double)att_tokens_kept(p, &how->keep)};
}

#endif
