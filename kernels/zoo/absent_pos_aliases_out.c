/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: where no positions are given their place is taken by the output: its garbage, times a slope
 * of 0, is added to the logits.
 *
 *
 *    s + 0 * out[j]                    (0 * NaN = NaN)
 *
 * Hidden by a zeroed output.
 * Source: llama.cpp#5574. */
#include "common/plain.h"

static float logit(const att_plain_row *w, int64_t j, float score)
{
    const att_problem *p = w->rules->p;
    const int64_t at =
        att_tensor_at(&p->out, w->seq->at, w->row.h, w->seq->q_at + w->row.i, j % p->value_dim);
    const float x = att_plain_logit(w, j, score);

    return p->alibi_slopes.data ? x : x + 0.0f * att_load(p->out.data, p->out.dtype, at);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = logit};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_absent_pos_aliases_out = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "absent_pos_aliases_out",
    .family = "zoo",
    .summary = "nan_inf: absent positions alias the output",
    .source = "llama.cpp#5574",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
