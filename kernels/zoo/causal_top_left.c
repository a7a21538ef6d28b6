/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the causal mask is anchored top-left where the contract says bottom-right.
 *
 *
 *    keep iff j <= i          (contract: j <= i + Skv - Sq)
 *
 * Hidden by square shapes, on which both agree.
 * Source: SageAttention#372, flash-attention v2.1 9e5e8bc9. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_problem p = *w->rules->p;
    att_rules rules = *w->rules;

    if (p.causal != ATT_CAUSAL_BOTTOM_RIGHT)
        return att_plain_allowed(w, j);
    p.causal = ATT_CAUSAL_TOP_LEFT;
    rules.p = &p;
    const att_row row = att_row_of(&rules, w->seq, w->row.h, w->row.i);
    return att_pair_allowed(&rules, w->seq, &row, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_causal_top_left = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "causal_top_left",
    .family = "zoo",
    .summary = "mask: anchored top-left although sq < sk",
    .source = "SageAttention#372, flash-attention v2.1 9e5e8bc9",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
