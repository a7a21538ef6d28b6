/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: every sum in order, one addend at a time, without fused multiply-add.
 *
 * What a plain loop in C does; the slowest growth of rounding errors that is still right. */
#include "common/plain.h"

static float score(const att_plain_row *w)
{
    float sum = 0.0f;

    for (int64_t d = 0; d < w->rules->p->head_dim; d++)
        sum += w->q[d] * w->k[d];
    return sum * w->rules->scale;
}

static void mix(const att_plain_row *w, float top, float *sum)
{
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        for (int64_t d = 0; d < w->rules->p->value_dim; d++)
            w->o[d] += weight * w->v[d];
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.score = score, .mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_dot_in_order = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "dot_in_order",
    .family = "different",
    .summary = "sums in order, no fused multiply-add",
    .source = "Higham 2002, Accuracy and Stability of Numerical Algorithms",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
