/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: keys are summed from the last to the first. */
#include "common/plain.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    for (int64_t j = w->seq->kv_len - 1; j >= 0; j--) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
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

const att_kernel att_kernel_reversed_keys = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "reversed_keys",
    .family = "different",
    .summary = "keys summed from the last to the first",
    .source = "Higham 2002, Accuracy and Stability of Numerical Algorithms",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
