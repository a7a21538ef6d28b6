/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the path for single tokens turns N rows, not B N.
 *
 *    grid = heads
 *
 * Hidden by a batch of one.
 * Source: mlx#3498. */
#include "common/turn.h"

static int64_t batch(const att_problem *p)
{
    return p->q_len == 1 && p->batch > 1 ? 1 : p->batch;
}

static att_status rope(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_turn way = {.batch = batch};
    (void)self;
    return att_turn_all(p, &way, s);
}

const att_kernel att_kernel_rope_one_token_batch = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "rope_one_token_batch",
    .family = "zoo",
    .summary = "position: of single tokens only the first sequence is turned",
    .source = "mlx#3498",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_turn_supports,
    .plan = att_turn_plan,
    .rope = rope,
};
