/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: cross attention inherits the window of self-attention, whose right side is 0.
 *
 *
 *    keep iff j <= i + Skv - Sq        (contract: every key)
 *
 * Hidden by self-attention.
 * Source: TransformerEngine#629. */
#include "common/plain.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem inherited = *p;

    (void)self;
    if (!p->causal && p->window_left < 0 && p->window_right < 0 && p->q_len != p->kv_len)
        inherited.window_right = 0;
    return att_plain_attend(&inherited, &way, s);
}

const att_kernel att_kernel_window_becomes_causal = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "window_becomes_causal",
    .family = "zoo",
    .summary = "window: cross attention inherits a right window of 0",
    .source = "TransformerEngine#629",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
