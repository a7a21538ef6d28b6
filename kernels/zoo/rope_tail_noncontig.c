/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the dimensions that do not turn are read at the result's offsets.
 *
 *    dst[i] = src[i_dst]
 *
 * Hidden by full rotation, or source and result with equal strides.
 * Source: llama.cpp#14580. */
#include "common/turn.h"

static void read(const att_turn_row *w)
{
    const att_problem *p = w->p;
    const int64_t from = p->rope->rotary_dim;

    att_turn_read(w);
    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->out, w->b, w->h, w->i, from),
                 p->out.stride[3], p->head_dim - from, w->x + from);
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.read = read};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_rope_tail_noncontig = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "rope_tail_noncontig",
    .family = "zoo",
    .summary = "stride: unrotated dimensions copied from the source with the result's offsets",
    .source = "llama.cpp#14580",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
