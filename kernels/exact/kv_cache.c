/* SPDX-License-Identifier: Apache-2.0 */
/* A flat KV cache as a session: token j of a sequence in slot j.
 *
 * Why: the plain case of att_session_ops, which every other cache must agree with.  Floats as they
 * were appended, or int8 with a scale a token and head.
 * Bound: as plain f32 attention on what is held.  Memory B capacity Hkv (Dk + Dv).
 * Source: Pope et al. 2022, "Efficiently scaling Transformer inference". */
#include "common/kv_steps.h"

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kv_way way = {0};
    (void)self, (void)s;
    return att_kv_open(&way, p, out);
}

static const att_session_ops session = ATT_KV_SESSION(open);

const att_kernel att_kernel_kv_cache = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kv_cache",
    .family = "exact",
    .summary = "KV cache with a slot for every token, as a session",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_kv_supports,
    .cost = att_kv_cost,
    .session = &session,
};
