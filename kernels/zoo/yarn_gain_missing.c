/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: YaRN's frequencies without its attention factor.
 *
 *    cos, sin    (right: times 0.1 ln s + 1)
 *
 * Logits are flatter by its square; nothing is out of place.  Hidden at factor 1.
 * Source: Peng et al. 2023, section 3.4: what an implementation of 3.2 alone lacks. */
#include "common/turn.h"

static double gain(const att_rope *r)
{
    (void)r;
    return 1;
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.gain = gain};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_yarn_gain_missing = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "yarn_gain_missing",
    .family = "zoo",
    .summary = "position: YaRN without its attention factor",
    .source = "Peng et al. 2023, section 3.4",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
