/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a ring trimmed by its logical length.
 *
 *    keys = keys[0 : n]      (of the ring as it lies: once it has wrapped, not the first n tokens)
 *
 * Hidden by caches that never wrapped, and by sequences that never go back.
 * Source: mlx-vlm#1715. */
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

/* Slot i, as it lies, becomes that of the i-th token held. */
static bool trim(att_kv *c, int64_t b, int64_t length)
{
    const int64_t first = att_kv_oldest(c, b), heads = c->p.heads_kv;
    (void)length;

    for (int side = 0; side < 2; side++) {
        const size_t row = att_kv_bytes(c, side) / (size_t)c->slots;
        const size_t scales = c->scale[side] ? (size_t)heads * sizeof(float) : 0;
        unsigned char *old = malloc((size_t)c->slots * (row + scales) + 1);
        if (!old)
            return false;
        for (int64_t i = 0; i < c->slots; i++) {
            memcpy(old + (size_t)i * (row + scales), att_kv_row(c, side, b, i, 0), row);
            if (scales)
                memcpy(old + (size_t)i * (row + scales) + row, att_kv_scale(c, side, b, i, 0),
                       scales);
        }
        for (int64_t i = 0; i < c->slots; i++) {
            const int64_t to = (first + i) % c->slots;
            memcpy(att_kv_row(c, side, b, to, 0), old + (size_t)i * (row + scales), row);
            if (scales)
                memcpy(att_kv_scale(c, side, b, to, 0), old + (size_t)i * (row + scales) + row,
                       scales);
        }
        free(old);
    }
    return true;
}

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kv_way way = {.slots = slots, .trim = trim};
    (void)self, (void)s;
    return att_kv_open(&way, p, out);
}

static const att_session_ops session = ATT_KV_SESSION(open);

const att_kernel att_kernel_ring_sliced_logically = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "ring_sliced_logically",
    .family = "zoo",
    .summary = "KV cache: a rollback slices a wrapped ring as if it were in order",
    .source = "mlx-vlm#1715",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .session = &session,
};
