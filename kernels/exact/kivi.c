/* SPDX-License-Identifier: Apache-2.0 */
/* KIVI: a KV cache of 2 or 4 bits as a session; keys are quantised per channel over groups of
 * tokens, values per token over groups of channels, recent tokens stay in f32 (common/kivi.h).
 *
 *   x = lo + step code     step = (hi - lo) / (2^bits - 1)
 *
 * Why: a few channels of keys are large for every token, so tokens may share a scale there and
 * channels may not; values have no such channels.  What a query needs most, the last tokens, costs
 * little to keep exact.
 * Bound: exact on what `held` says is in it; half a step beside what was appended.
 * Complexity: O(length Hkv (Dk + Dv)) a step.  Cache: Hkv (Dk + Dv) (bits / 8 + 8 / group) b a
 * token, and 4 Hkv (Dk + Dv) residual at most.
 * Source: Liu et al. 2024, "KIVI". */
#include "common/kivi_steps.h"

static const att_param PARAMS[] = {
    ATT_KIVI_BITS, ATT_KIVI_GROUP("32"), ATT_KIVI_RESIDUAL("128"), {0}};

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kivi_way way = {0};
    (void)self;
    return att_kivi_open(&way, p, s->params, out);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const double d = (double)(p->head_dim + p->value_dim), n = (double)p->kv_len;
    const double bits = (double)params[0].i, group = (double)params[1].i;
    const double recent = fmin(n, (double)params[2].i);
    const att_status status = att_plain_cost(self, p, params, out);

    out->state_bytes = (double)(p->batch * p->heads_kv) * d *
                       ((n - recent) * (bits / 8 + 8 / group) + recent * sizeof(float));
    out->kv_bytes_read = out->state_bytes;
    return status;
}

static const att_session_ops session = ATT_KIVI_SESSION(open);

const att_kernel att_kernel_kivi = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kivi",
    .family = "exact",
    .summary = "KV cache of 2 or 4 bits with recent tokens in f32, as a session",
    .source = "Liu et al. 2024, KIVI",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_kivi_supports,
    .cost = cost,
    .session = &session,
};
