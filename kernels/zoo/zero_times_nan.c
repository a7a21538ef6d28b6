/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: keys that are not allowed get weight 0 and are multiplied all the same.
 *
 *
 *    o = sum_all p_j v_j      with p_j = 0, v_j = NaN: NaN
 *
 * Hidden by a cache full of zeros.
 * Source: vllm#936, flashinfer#942, flash-attention#1745. */
#include "common/plain.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        const float weight = w->x[j] == -INFINITY ? 0.0f : expf(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        att_axpy(weight, w->v, w->rules->p->value_dim, w->o);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_zero_times_nan = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "zero_times_nan",
    .family = "zoo",
    .summary = "nan_inf: weight 0 times what lies in unused slots",
    .source = "vllm#936, flashinfer#942, flash-attention#1745",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
