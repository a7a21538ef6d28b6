/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary embedding, half-split and interleaved, partial, in place or not; plain, or scaled to
 * longer contexts by YaRN or as in Llama 3 (attn.h).
 *
 * Why: the step before attention that libraries get wrong as often as attention itself: offsets,
 * partial widths, strides.
 * Bound: 3 2^-24 (|c x1| + |s x2|), and half an ulp of the output type.
 * Source: Su et al. 2021, "RoFormer"; Peng et al. 2023, "YaRN"; Meta 2024, Llama 3.1. */
#include "common/turn.h"

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {0};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_rope_f32 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "rope_f32",
    .family = "exact",
    .summary = "rotary embedding, angles in f64, products in f32",
    .source = "Su et al. 2021, RoFormer; Peng et al. 2023, YaRN",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
