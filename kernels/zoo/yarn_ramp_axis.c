/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: YaRN's ramp runs over the number of turns, not over the pairs.
 *
 *    g = (fast - L f / 2 pi) / (fast - slow)
 *
 * As in the paper's text and in Llama 3; models are trained with the released code's ramp over
 * pairs.  Hidden at the ends of the ramp, where both are 0 or 1, and at position 0.
 * Source: jquesnelle/yarn's code against Peng et al. 2023, section 3.2. */
#include "common/turn.h"

static double ramp(const att_rope *r, int64_t pair)
{
    return att_turn_ramp_turns(r, pair);
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.ramp = ramp};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_yarn_ramp_axis = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "yarn_ramp_axis",
    .family = "zoo",
    .summary = "position: YaRN's ramp over turns, not over pairs",
    .source = "jquesnelle/yarn against Peng et al. 2023",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
