/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: two halves of the keys are merged by their maxima without a guard for -inf.
 *
 *
 *    o = sum e^(m_s - m) o_s   with m_s = m = -inf: NaN
 *
 * Hidden where every row sees a key.
 * Source: flash-attention 31920dda, 26d7d92f. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const float weight = expf(top - top); /* meant: top == -INFINITY ? 0 : top */

    for (int64_t d = 0; d < w->rules->p->value_dim; d++)
        w->o[d] *= weight;
    att_plain_finish(w, empty && weight == 0.0f, empty ? 0.0f : top, sum * weight);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_empty_split_typo = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "empty_split_typo",
    .family = "zoo",
    .summary = "softmax_stability: a row whose splits are all empty merges to NaN",
    .source = "flash-attention 31920dda, 26d7d92f",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
