/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the indexer of sparse attention sums its heads' scores without relu.
 *
 *    I_ts = sum_j w_tj (q_tj . k_s)          (should be: w_tj relu(q_tj . k_s))
 *
 * One head's dislike then takes away what another likes.  Output and reported keys agree, so that
 * only the choice itself shows it.  Hidden by one head of positive weight, and by budgets that
 * keep everything.
 * Source: ports of DeepSeek-V3.2's indexer that fold the heads into one product. */
#include "common/indexed.h"

static float none(float dot)
{
    return dot;
}

static const att_indexed WAY = {.gate = none};

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_indexed_plan(p, params[0].i, params[1].i, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_indexed_run(self, ATT_OP_ATTEND, p, &WAY, s->params[0].i, s->params[1].i, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_indexed_run(self, ATT_OP_SELECT, p, &WAY, s->params[0].i, s->params[1].i, s,
                           allowed);
}

static const att_param PARAMS[] = {ATT_INDEXED_PARAMS("16"), {0}};

const att_kernel att_kernel_dsa_relu_missing = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "dsa_relu_missing",
    .family = "zoo",
    .summary = "sparse_selection: index scores summed over heads without relu",
    .source = "ports of DeepSeek-V3.2's indexer",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_INDEXED,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_indexed_supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
