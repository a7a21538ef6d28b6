/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the precision of the value cache is written to the parameter of the key cache, so that keys
 * are dequantised as values are stored.
 *
 *    k = dequantise(k bytes, type and scales of V)
 *
 * Hidden where K and V are stored alike.
 * Source: openvino#34107. */
#include "common/quant_plain.h"

static bool stored_otherwise(const att_problem *p)
{
    return p->k.dtype != p->v.dtype || p->k_quant.axis != p->v_quant.axis ||
           p->k_quant.group != p->v_quant.group;
}

static void read_key(const att_plain_row *w, const att_tensor *t, const att_quant *quant, int64_t j,
                     float *to)
{
    const att_problem *p = w->rules->p;
    att_tensor as = *t;

    if (t == &p->k && stored_otherwise(p) && !att_block_bytes(t->dtype) && t->stride[2] >= 0) {
        as.dtype = p->v.dtype;
        quant = &p->v_quant;
    }
    att_quant_key(p, &as, quant, w->seq, w->kv_head, j, t->shape[3], to);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = att_quant_logit, .mix = att_quant_mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_kv_precision_swapped = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kv_precision_swapped",
    .family = "zoo",
    .summary = "quantisation: keys read in the precision of values",
    .source = "openvino#34107",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_quant_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
