/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the caller's positions are ignored: those behind the cache are used.
 *
 *    pos_i = kv_len - Sq + i
 *
 * Hidden by the default offset.
 * Source: flashinfer#847. */
#include "common/turn.h"

static int64_t position(const att_turn_row *w)
{
    return w->p->kv_len - w->p->q_len + w->i;
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.position = position};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_rope_offset_ignored = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "rope_offset_ignored",
    .family = "zoo",
    .summary = "position: given positions ignored, kv_len - Sq used",
    .source = "flashinfer#847",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
