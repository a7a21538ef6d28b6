/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: frequencies and pairs are those of the whole head, though only rotary_dim dimensions turn.
 *
 *    theta^(-2i/D), pair (i, i + D/2)
 *
 * Hidden by full rotation, position 0.
 * Source: pie#603. */
#include "common/turn.h"

static double width(const att_problem *p)
{
    return (double)p->head_dim;
}

static int64_t distance(const att_problem *p)
{
    return p->rope->pairing == ATT_ROPE_HALF ? p->head_dim / 2 : 1;
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.width = width, .distance = distance};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_partial_rope_width = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "partial_rope_width",
    .family = "zoo",
    .summary = "position: frequencies and pairing from head_dim, not rotary_dim",
    .source = "pie#603",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
