/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: where a ring begins, taken for granted.
 *
 *    start = past mod W      (right once the ring is full; before that it begins at slot 0)
 *
 * A short prefill is read from slots that nothing was stored in.  Hidden by prefills that fill the
 * window.
 * Source: transformers#47708. */
#include "common/kv_steps.h"

static int64_t slots(const att_problem *p)
{
    return att_min(p->kv_len, p->window_left + 2 * att_max(1, p->q_len));
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    att_status status = att_kv_supports(self, op, p, params, why);

    if (status == ATT_OK && p->window_left < 0)
        return att_refuse(why, ATT_UNSUPPORTED, "a ring needs a window");
    return status;
}

static int64_t slot(const att_kv *c, int64_t b, int64_t i)
{
    return (c->length[b] + i) % c->slots;
}

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kv_way way = {.slots = slots, .slot = slot};
    (void)self, (void)s;
    return att_kv_open(&way, p, out);
}

static const att_session_ops session = ATT_KV_SESSION(open);

const att_kernel att_kernel_ring_start_wrong = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "ring_start_wrong",
    .family = "zoo",
    .summary = "KV cache: a ring is read from past mod W before it is full",
    .source = "transformers#47708",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .session = &session,
};
