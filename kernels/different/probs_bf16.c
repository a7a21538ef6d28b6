/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different, and declared: probabilities are rounded to bf16 when they meet V; the
 * denominator sums the unrounded ones. */
#include "common/plain.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        const float rounded = att_bf16_to_f32(att_f32_to_bf16(weight));
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        att_axpy(rounded, w->v, w->rules->p->value_dim, w->o);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_probs_bf16 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "probs_bf16",
    .family = "different",
    .summary = "bf16 probabilities, normalised by the unrounded sum",
    .source = "Dao et al. 2022, FlashAttention",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_BF16, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
