/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache for sliding windows as a session: a ring, token j of a sequence in slot j mod R.
 *
 *    R = L + 2 q     L keys before a query, q of which a step moves: a rollback may give back q
 *                    tokens, and the first of q queries then still sees its L keys
 *
 * Why: memory that does not grow with the context.  Where a window ends is still the mask's word:
 * slots hold more than one query sees.
 * Bound: as plain f32 attention on the window.  Memory B R Hkv (Dk + Dv).
 * Source: Jiang et al. 2023, "Mistral 7B" (rolling buffer cache). */
#include "common/kv_steps.h"

static int64_t slots(const att_problem *p)
{
    return att_min(p->kv_len, p->window_left + 2 * att_max(1, p->q_len));
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    att_status status = att_kv_supports(self, op, p, params, why);

    if (status == ATT_OK &&
        (p->window_left < 0 || p->window_left > INT32_MAX / 4 || p->q_len > INT32_MAX / 4))
        return att_refuse(why, ATT_UNSUPPORTED, "a ring needs a window");
    return status;
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_status status = att_kv_cost(self, p, params, out);
    if (p->window_left >= 0)
        out->state_bytes = att_cache_bytes(p, slots(p));
    return status;
}

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kv_way way = {.slots = slots};
    (void)self, (void)s;
    return att_kv_open(&way, p, out);
}

static const att_session_ops session = ATT_KV_SESSION(open);

const att_kernel att_kernel_kv_ring = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kv_ring",
    .family = "sparse",
    .summary = "KV cache that keeps a window's keys in a ring, as a session",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .cost = cost,
    .session = &session,
};
