/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: heads and rows become dimensions of a launch, which fails above 65535; nobody asks.
 *
 *    launch(x = B H, y = Sq), x, y < 2^16        error dropped: out stays as it was
 *
 * Hidden by small counts.
 * Source: xformers 503a5d77, flash-linear-attention#1097. */
#include "common/plain.h"

#define MOST 65535

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    const bool launched = p->batch * p->heads_q <= MOST && p->q_len <= MOST;

    (void)self;
    return launched ? att_plain_attend(p, &way, s) : ATT_OK;
}

const att_kernel att_kernel_grid_65535 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "grid_65535",
    .family = "zoo",
    .summary = "int_overflow: a launch of more than 65535 rows or heads fails unseen",
    .source = "xformers 503a5d77, flash-linear-attention#1097",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
