/* SPDX-License-Identifier: Apache-2.0 */
/* Quantisation and back: int8 with one scale (and zero) a token, channel or group, Q8_0, Q4_0, and
 * fp8 with or without scales.
 *
 *   without zeros: scale = max |x| / 127 (or the largest of fp8)
 *   with zeros:    scale = (hi - lo) / 255, zero = -128 - lo / scale
 *
 * Why: what a KV cache of fewer bits loses should be no more than its levels do, whatever the
 * numbers are: a group of zeros, a constant channel (hi = lo: scale 1, zero -lo, exact),
 * subnormals, NaN (common/quantise.h).
 * Bound: half a step of the group's range, and the rounding of its scale.  O(B H S D).
 * Source: Jacob et al. 2018, "Quantization and Training of Neural Networks". */
#include "common/quantise.h"

static att_scaling choose(const att_range *r, bool zeros, float last)
{
    const float step = r->hi / 255.0f - r->lo / 255.0f; /* hi - lo may overflow */

    if (!zeros)
        return (att_scaling){fmaxf(-r->lo, r->hi) / last, 0.0f};
    if (!(step > 0.0f))
        return (att_scaling){1.0f, -r->lo};
    return (att_scaling){step, -128.0f - r->lo / step};
}

static att_status quantise(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = self->supports(self, ATT_OP_QUANTISE, p, s->params, NULL);

    if (status == ATT_OK)
        att_quantise(p, choose);
    return status;
}

static att_status dequantise(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t *n = p->k.shape;
    float *row = s->data;
    const att_status status = self->supports(self, ATT_OP_DEQUANTISE, p, s->params, NULL);

    if (status || s->bytes < (size_t)n[3] * sizeof *row)
        return status ? status : ATT_NO_MEMORY;
    for (int64_t r = 0; r < n[0] * n[1] * n[2]; r++) {
        const int64_t b = r / n[2] / n[1], h = r / n[2] % n[1], i = r % n[2];
        att_quant_row(&p->k, &p->k_quant, b, h, i, n[3], row);
        att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, 0),
                      p->out.stride[3], n[3], row);
    }
    return ATT_OK;
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_quantise(op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    out->scratch_bytes = (size_t)p->k.shape[3] * sizeof(float);
    return ATT_OK;
}

const att_kernel att_kernel_quant_groups = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quant_groups",
    .family = "exact",
    .summary = "quantises to int8, blocks and fp8, and back",
    .source = "Jacob et al. 2018; ggml's block formats; OCP fp8",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .quantise = quantise,
    .dequantise = dequantise,
};
