/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the bias is cast to half precision, where -3.4e38 is -inf: rows that hold nothing else are
 * NaN.
 *
 *
 *    s + half(bias)
 *
 * Hidden by biases of -1e4.
 * Source: OLMo#323. */
#include "common/plain.h"

static float logit(const att_plain_row *w, int64_t j, float score)
{
    const float x = att_plain_logit(w, j, score);

    return w->rules->p->bias.data && x < -3.39e38f ? -INFINITY : x;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = logit};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_mask_cast_to_inf = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mask_cast_to_inf",
    .family = "zoo",
    .summary = "dtype_conversion: the lowest f32 bias becomes -inf in half precision",
    .source = "OLMo#323",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
