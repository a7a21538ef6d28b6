/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a channel whose numbers are all equal gets a range of 0.001 in place of 0, and the inverse
 * of its scale, 255 / 0.001, is computed in f16, which ends at 65504.
 *
 *    range = hi - lo or 0.001;  inverse = f16(255 / range);  zero = -128 - lo * inverse
 *
 * Hidden by random numbers, of which no channel is constant.
 * Source: openvino#37095. */
#include "common/quantise.h"

static att_scaling choose(const att_range *r, bool zeros, float last)
{
    const float step = r->hi / 255.0f - r->lo / 255.0f;
    const float inverse = att_f16_to_f32(att_f32_to_f16(255.0f / 0.001f));

    if (!zeros)
        return (att_scaling){fmaxf(-r->lo, r->hi) / last, 0.0f};
    if (step > 0.0f)
        return (att_scaling){step, -128.0f - r->lo / step};
    return (att_scaling){1.0f / inverse, -128.0f - r->lo * inverse};
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return op == ATT_OP_QUANTISE ? att_accept_quantise(op, p, why) : ATT_UNSUPPORTED;
}

static att_status quantise(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    att_quantise(p, choose);
    return ATT_OK;
}

const att_kernel att_kernel_constant_channel_scale = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "constant_channel_scale",
    .family = "zoo",
    .summary = "quantisation: the scale of a constant channel overflows f16",
    .source = "openvino#37095",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .quantise = quantise,
};
