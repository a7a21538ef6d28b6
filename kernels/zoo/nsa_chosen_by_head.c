/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: each query head chooses its own blocks, where the heads of a group should share them.
 *
 *    score_h = p_h     meant: the sum of p over the query heads of the group
 *
 * Hidden by one query head a kv head, and by a budget of all blocks.
 * Source: selection written for multi-head attention and run on grouped heads. */
#include "common/mixed.h"
#include "common/nsa.h"

static bool counts(const att_mix_work *w, int64_t other)
{
    return other == w->row.h;
}

static void row(att_mix_work *w)
{
    static const att_nsa_way way = {.counts = counts};
    att_nsa_row(w, &way);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_NSA,
                                  .row = row,
                                  .shared = att_nsa_shared,
                                  .prepare = att_nsa_pool,
                                  .own = att_nsa_own};

const att_kernel att_kernel_nsa_chosen_by_head = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "nsa_chosen_by_head",
    .family = "zoo",
    .summary = "selection: by each query head, not by the group",
    .source = "selection written for multi-head attention and run on grouped heads",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
