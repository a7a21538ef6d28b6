/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: under a block mask causality is kept by blocks; the query's own block is seen in full.
 *
 *    keep iff j / block_k <= p / block_k          (contract: and j <= p)
 *
 * Hidden by comparing layers with a correlation: early layers keep 0.99.
 * Source: tt-metal#48700. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    att_plain_row block = *w;

    if (!p->block_mask.data || !p->causal || p->k_positions.data || w->row.position < 0)
        return att_plain_allowed(w, j);
    block.row.hi = att_min(w->seq->kv_len, (w->row.position / p->block_k + 1) * p->block_k);
    block.row.lo = att_min(w->row.lo, block.row.hi);
    block.row.head = block.row.band = block.row.lo;
    return att_plain_allowed(&block, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_block_level_causal = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "block_level_causal",
    .family = "zoo",
    .summary = "sparse_selection: causality by blocks, the own block in full",
    .source = "tt-metal#48700",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
