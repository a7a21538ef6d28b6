/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of the block mask, and of buffers filled in segments (see parity_readings.c). */
#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

static bool shared_by_heads(const parity_trial *t)
{
    return t->p.block_mask.shape[1] == 1 && t->p.heads_q > 1;
}

/* ---------------------------------------------------------------------------- block mask */

static void open_own_block(const parity_trial *t, int64_t b, int64_t i, uint8_t *row)
{
    int64_t at = parity_position(t->in, b, i);

    parity_close_from(t, row, at < 0 ? 0 : (at / t->p.block_k + 1) * t->p.block_k);
}

bool parity_read_block_causal(parity_trial *t)
{
    const att_problem *p = &t->in->plain;

    return p->block_mask.data && !p->k_positions.data && p->causal != ATT_CAUSAL_NONE &&
           parity_redraw(t, true, open_own_block);
}

bool parity_read_block_window(parity_trial *t)
{
    const bool windowed = t->p.window_right >= 0;

    t->p.window_right = -1;
    return windowed && parity_read_block_causal(t);
}

static bool without_blocks(parity_trial *t)
{
    t->p.block_mask = (att_tensor){0};
    return true;
}

bool parity_read_shared_blocks_off(parity_trial *t)
{
    return t->p.block_mask.data && shared_by_heads(t) && without_blocks(t);
}

bool parity_read_blocks_off(parity_trial *t)
{
    return t->p.block_mask.data && !shared_by_heads(t) && without_blocks(t);
}

/* -------------------------------------------------------------------------------- slopes */

static float slope_or_none(const parity_trial *t, int64_t h)
{
    int64_t segment = 1;

    while (2 * segment <= t->p.heads_q)
        segment *= 2;
    return h < segment ? ((const float *)t->in->plain.alibi_slopes.data)[h] : 0.0f;
}

/* The two segments of slopes are 2^n heads and the rest. */
bool parity_read_slopes_cut(parity_trial *t)
{
    return t->p.alibi_slopes.data && parity_heads_as(t, slope_or_none, &t->p.alibi_slopes);
}
