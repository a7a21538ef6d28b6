/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: slopes are computed as for a power of two, whatever the number of heads.
 *
 *
 *    m_h = 2^(-8 (h + 1) / H)
 *
 * Hidden by 2, 4, 8, 16 heads.
 * Source: mlx#3071. */
#include "common/plain.h"

static float logit(const att_plain_row *w, int64_t j, float score)
{
    const att_problem *p = w->rules->p;
    float slope = exp2f(-8.0f * (float)(w->row.h + 1) / (float)p->heads_q);
    att_rules rules = *w->rules;
    att_problem own = *p;
    att_plain_row row = *w;

    if (!p->alibi_slopes.data)
        return att_plain_logit(w, j, score);
    own.alibi_slopes = att_tensor_dense(&slope, ATT_F32, 1, 1, 1, 1);
    rules.p = &own;
    row.rules = &rules;
    return att_plain_logit(&row, j, score);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = logit};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_alibi_nonpow2 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "alibi_nonpow2",
    .family = "zoo",
    .summary = "position: geometric ALiBi slopes for any number of heads",
    .source = "mlx#3071",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
