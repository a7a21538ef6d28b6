/* SPDX-License-Identifier: Apache-2.0 */
/* Performer: softmax attention by m positive random features of q and k (common/favor.h).
 *
 *   o_i = sum_j A_ij v_j / sum_j A_ij,   A_ij = 1/m sum_r phi_r(q_i) phi_r(k_j) ~ exp(s_ij)
 *
 * Why: attends to every key at the cost of a state of m (Dv + 2) numbers a head; what it gives up
 * is precision where logits are large.
 * Bound: the error's variance is that of the features, at most
 *   sum_jl p_j p_l (exp((x+y_j).(x+y_l)) - 1) (v_j - o)(v_l - o) / m   (independent features),
 * so it falls with the root of m.  O(S m (Dk + Dv)).
 * Source: Choromanski et al. 2020, "Rethinking attention with performers". */
#include "common/favor.h"

#define STREAM 1u

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_favor_plan_for(p, params, 1, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_favor_run(self, p, s, STREAM, STREAM);
}

const att_kernel att_kernel_performer = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "performer",
    .family = "linear",
    .summary = "softmax by positive random features (FAVOR+), f32 state",
    .source = "Choromanski et al. 2020, Rethinking attention with performers",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_FAVOR_PARAMS,
    .supports = att_favor_supports,
    .plan = plan,
    .cost = att_favor_cost,
    .attend = attend,
};
