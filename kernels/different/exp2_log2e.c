/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: e^x as 2^(x log2 e), the maximum taken off first.
 *
 *   p_j = 2^((x_j - m) log2(e))
 * What GPU kernels do, since the hardware has exp2.  (They often multiply first, which makes f32's
 * lowest finite bias -inf and a row of it NaN: that is no longer right.) */
#include "common/plain.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    const float log2e = 0x1.715476p0f;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = exp2f((w->x[j] - top) * log2e);
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

const att_kernel att_kernel_exp2_log2e = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "exp2_log2e",
    .family = "different",
    .summary = "e^x as exp2 with log2(e)",
    .source = "Dao et al. 2022, FlashAttention",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
