/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: random features drawn once for the queries and once more for the keys.
 *
 *    phi_q = phi(q, draw W),  phi_k = phi(k, draw W)      (meant: one W for both)
 *
 * Features of different draws are independent: on average every key weighs the same.  Hidden from
 * tests of shapes and of causality.
 * Source: xformers#183. */
#include "common/favor.h"

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_favor_plan_for(p, params, 2, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_favor_run(self, p, s, 1, 2);
}

const att_kernel att_kernel_favor_two_projections = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "favor_two_projections",
    .family = "zoo",
    .summary = "approximation: random features of queries and keys are drawn apart",
    .source = "xformers#183",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_FAVOR_PARAMS,
    .supports = att_favor_supports,
    .plan = plan,
    .attend = attend,
};
