/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: q.k is accumulated in f16, which ends at 65504, and scaled afterwards.
 *
 *
 *    s = scale * f16(sum f16(q_d k_d))
 *
 * Hidden by standard normal inputs.
 * Source: llama.cpp#17875. */
#include "common/plain.h"

static float score(const att_plain_row *w)
{
    const att_problem *p = w->rules->p;
    uint16_t sum = 0;

    if (p->q.dtype != ATT_F16)
        return att_plain_score(w);
    for (int64_t d = 0; d < p->head_dim; d++)
        sum = att_f32_to_f16(att_f16_to_f32(sum) + w->q[d] * w->k[d]);
    return att_f16_to_f32(sum) * w->rules->scale;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.score = score};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_qk_half_overflow = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "qk_half_overflow",
    .family = "zoo",
    .summary = "accumulation: the dot product overflows f16 before it is scaled",
    .source = "llama.cpp#17875",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
