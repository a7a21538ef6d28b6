/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a problem without keys divides by a sum of zero.
 *
 *
 *    o = 0 / 0                (contract: 0)
 *
 * Hidden by positive sizes.
 * Source: flash-attention#2515, #2470. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const bool none = w->rules->p->kv_len == 0;

    att_plain_finish(w, empty && !none, none ? 0.0f : top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_divide_by_zero_empty = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "divide_by_zero_empty",
    .family = "zoo",
    .summary = "zero_size: no keys: divides by zero",
    .source = "flash-attention#2515, #2470",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
