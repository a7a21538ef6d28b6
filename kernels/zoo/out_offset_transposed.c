/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: with several queries the vector kernel computes the output offset the wrong way round.
 *
 *
 *    out + (i H + h) Dv        (contract: (h S + i) Dv)
 *
 * Hidden by Sq = 1, one head.
 * Source: mlx#2152. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    att_rules rules = *w->rules;
    att_problem p = *rules.p;
    att_plain_row own = *w;
    const bool dense = p.out.stride[2] == p.value_dim && p.out.stride[1] == p.q_len * p.value_dim;

    if (dense && p.q_len > 1 && p.q_len <= 8) {
        p.out.stride[1] = p.value_dim;
        p.out.stride[2] = p.heads_q * p.value_dim;
    }
    rules.p = &p;
    own.rules = &rules;
    att_plain_finish(&own, empty, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_out_offset_transposed = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "out_offset_transposed",
    .family = "zoo",
    .summary = "stride: output rows at i * H + h instead of h * S + i",
    .source = "mlx#2152",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
