/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the causal flag is merged into a mask that the user gives; without one, nothing is causal.
 *
 *
 *    if (mask) mask &= causal         (and nowhere else)
 *
 * Hidden by tests that always pass a mask.
 * Source: xformers#104. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_problem p = *w->rules->p;
    att_rules rules = *w->rules;

    if (p.mask.data || p.bias.data || p.causal == ATT_CAUSAL_POSITIONS)
        return att_plain_allowed(w, j);
    p.causal = ATT_CAUSAL_NONE;
    rules.p = &p;
    att_row row = att_row_of(&rules, w->seq, w->row.h, w->row.i);
    return att_pair_allowed(&rules, w->seq, &row, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_causal_needs_mask = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "causal_needs_mask",
    .family = "zoo",
    .summary = "mask: no causality unless a mask is given",
    .source = "xformers#104",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
