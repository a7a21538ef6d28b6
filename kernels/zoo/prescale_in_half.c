/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the scale is rounded to the storage type and multiplied into Q before the dot product.
 *
 *
 *    q := half(q * half(scale log2 e))
 *
 * Hidden by thresholds on the mean square (measured 8e-6).
 * Source: mlx#3119. */
#include "common/plain.h"

static float in_half(float x, int32_t dtype)
{
    return dtype == ATT_F16 ? att_f16_to_f32(att_f32_to_f16(x))
                            : att_bf16_to_f32(att_f32_to_bf16(x));
}

static float score(const att_plain_row *w)
{
    const att_problem *p = w->rules->p;
    const float log2e = 0x1.715476p0f, scale = in_half(w->rules->scale * log2e, p->q.dtype);

    if (p->q.dtype == ATT_F32)
        return att_plain_score(w);
    for (int64_t d = 0; d < p->head_dim; d++)
        w->k[d] *= in_half(w->q[d] * scale, p->q.dtype);
    float sum = 0.0f;
    for (int64_t d = 0; d < p->head_dim; d++)
        sum += w->k[d];
    return sum / log2e;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.score = score};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_prescale_in_half = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "prescale_in_half",
    .family = "zoo",
    .summary = "accumulation: the scale is rounded to half and multiplied into half Q",
    .source = "mlx#3119",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
