/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a block mask without a dimension of heads becomes one that opens everything.
 *
 *    heads given: blocks of the mask;  shared by all heads: every block
 *
 * Hidden by a mask made for each head.
 * Source: pytorch#163314 (decoding; the cause is the reporter's). */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_rules rules = *w->rules;
    att_problem p = *rules.p;

    if (p.block_mask.data && p.block_mask.shape[1] == 1 && p.heads_q > 1)
        p.block_mask.data = NULL;
    rules.p = &p;
    return att_pair_allowed(&rules, w->seq, &w->row, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_block_mask_head_broadcast = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "block_mask_head_broadcast",
    .family = "zoo",
    .summary = "sparse_selection: a block mask shared by heads opens everything",
    .source = "pytorch#163314",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
