/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the pooling of an observation window's votes is shifted by one key.
 *
 *    pooled_j = votes_(j - pool/2 + 1) + .. + votes_(j + pool/2 + 1)
 *
 * A convolution padded on one side only.  Neighbours of a hit are kept that lie one too early;
 * output and reported keys agree.  Hidden by wide pools over smooth votes, and by budgets that keep
 * everything.
 * Source: SnapKV's pooling with the padding of an even kernel. */
#include "common/observe.h"

static const att_observe_way WAY = {.shift = 1};

static const att_param PARAMS[] = {ATT_OBSERVE_PARAMS("12", "4", "3"), {0}};

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_stream_plan(att_observe_stream(p, params, &WAY), out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_stream_run(self, ATT_OP_ATTEND, att_observe_stream(p, s->params, &WAY), s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_stream_run(self, ATT_OP_SELECT, att_observe_stream(p, s->params, &WAY), s, allowed);
}

const att_kernel att_kernel_snapkv_pool_shifted = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "snapkv_pool_shifted",
    .family = "zoo",
    .summary = "sparse_selection: votes are pooled one key off",
    .source = "SnapKV's pooling padded on one side",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_stream_supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
