/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: for one query and one key/value head the heads are folded into rows, but the stride of the
 * bias stays that of its rows.
 *
 *
 *    bias + h * row stride            (contract: h * head stride)
 *
 * Hidden by decoding without a bias, and where both strides are one.
 * Source: xformers#952, pytorch#116301. */
#include "common/plain.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem folded = *p;

    (void)self;
    if (p->q_len == 1 && p->heads_kv == 1 && p->bias.data)
        folded.bias.stride[1] = p->bias.stride[2];
    return att_plain_attend(&folded, &way, s);
}

const att_kernel att_kernel_mqa_fold_bias_stride = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mqa_fold_bias_stride",
    .family = "zoo",
    .summary = "stride: heads folded into rows read the bias by its row stride",
    .source = "xformers#952, pytorch#116301",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
