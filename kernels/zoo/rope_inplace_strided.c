/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: rows with gaps between them are turned in memory: in place, one half of a pair is
 * overwritten before the other has read it.
 *
 *    q[i] = c q[i] - s q[i + d/2];  q[i + d/2] = s q[i] + c q[i + d/2]
 *
 * Hidden by results apart from their source, and by contiguous rows, which are staged.
 * Source: llama.cpp#20274. */
#include "common/turn.h"

static void pair(const att_turn_row *w, int64_t one, int64_t two, float c, float s)
{
    const att_tensor *q = &w->p->q, *out = &w->p->out;
    const bool staged = q->stride[3] == 1 && q->stride[2] == w->p->head_dim;
    const int64_t at = att_tensor_at(q, w->b, w->h, w->i, one);

    att_turn_pair(w, one, two, c, s);
    if (staged || out->data != q->data)
        return;
    att_store(out->data, out->dtype, at, w->y[one]);
    w->y[two] = s * att_load(q->data, q->dtype, at) + c * w->x[two];
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.pair = pair};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_rope_inplace_strided = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "rope_inplace_strided",
    .family = "zoo",
    .summary = "aliasing: in place on rows with gaps, half of a pair is overwritten unread",
    .source = "llama.cpp#20274",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
