/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: one side's "off" is the other's width: 0 keys to the left is read as no window.
 *
 *
 *    if (left > 0) apply      (contract: left >= 0)
 *
 * Hidden by windows of one key and more.
 * Source: unsloth#8253. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_problem p = *w->rules->p;
    att_rules rules = *w->rules;

    p.window_left = p.window_left == 0 ? -1 : p.window_left;
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

const att_kernel att_kernel_zero_window = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "zero_window",
    .family = "zoo",
    .summary = "window: a left window of 0 means unlimited",
    .source = "unsloth#8253",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
