/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: Q is scaled, in f32, before the dot product. */
#include "common/plain.h"

static float score(const att_plain_row *w)
{
    float sum = 0.0f;

    for (int64_t d = 0; d < w->rules->p->head_dim; d++)
        sum += w->q[d] * w->rules->scale * w->k[d];
    return sum;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.score = score};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_scale_first = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "scale_first",
    .family = "different",
    .summary = "Q scaled before the dot product",
    .source = "Higham 2002, Accuracy and Stability of Numerical Algorithms",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
