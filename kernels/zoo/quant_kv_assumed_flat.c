/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the dequantiser takes quantised K and V for one flat array, whatever their strides say.
 *
 *    y[i] = dequantise(x, i) for i in [0, numel)
 *
 * Hidden where sequences and heads lie without gaps, one sequence above all.
 * Source: llama.cpp#14822. */
#include "common/quant_plain.h"

static void read_key(const att_plain_row *w, const att_tensor *t, const att_quant *quant, int64_t j,
                     float *to)
{
    att_tensor flat = *t;

    if (att_is_quantised(t, quant)) {
        const int64_t unit = att_block_bytes(t->dtype) ? ATT_BLOCK : 1;
        flat.stride[3] = 1;
        flat.stride[2] = att_ceil_div(t->shape[3], unit) * unit;
        flat.stride[1] = t->shape[2] * flat.stride[2];
        flat.stride[0] = t->shape[1] * flat.stride[1];
    }
    att_quant_key(w->rules->p, &flat, quant, w->seq, w->kv_head, j, t->shape[3], to);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = att_quant_logit, .mix = att_quant_mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_quant_kv_assumed_flat = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quant_kv_assumed_flat",
    .family = "zoo",
    .summary = "stride: quantised K and V read as one flat array",
    .source = "llama.cpp#14822",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_quant_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
