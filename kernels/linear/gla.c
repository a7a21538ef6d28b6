/* SPDX-License-Identifier: Apache-2.0 */
/* Gated linear attention: the input says how fast each channel of the state fades.
 *
 *   S = diag(exp g) S + k v^T    o = scale S^T q             g [Dk] (or one a head), g <= 0
 *   as pairs:  o_i = scale sum_{j<=i} (q_i . (exp(G_i - G_j) k_j)) v_j,   G_i = sum_{s<=i} g_s
 *
 * Why: what is kept is chosen by content, a channel at a time.  G_i - G_j is summed from i
 * downwards, never taken as a difference nor split into exp(G_i) exp(-G_j): it neither cancels nor
 * overflows, however strong the gates.
 * Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M in every form, M the recurrence on absolute
 * values.
 * O(T Dk Dv) recurrent or chunked, O(T^2 (Dk + Dv)) quadratic.  No KV cache: a state of Dk Dv
 * floats a head, whatever the length.
 * Source: Yang et al. 2023, "Gated linear attention transformers with hardware-efficient
 * training". */
#include "common/linear.h"

static void answer(const att_whole *w, int64_t i)
{
    att_whole_be_young(w);
    for (int64_t j = i; j >= 0; j--) {
        const float score = att_whole_aged_dot(w, w->q, att_whole_key(w, j));
        att_axpy(score, att_whole_row(w, j), w->dv, w->o);
        att_whole_grow_older(w, j);
    }
    att_whole_from_aged_state(w, 1.0f, w->q, w->o);
    att_scale_row(w->scale, w->dv, w->o);
}

static const att_linear RULE = {
    .rule = ATT_RULE_GLA, .answer = answer, .state = att_whole_age_state};

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    if (op != ATT_OP_RECUR)
        return att_refuse(why, ATT_UNSUPPORTED, "an operator other than recur");
    return att_linear_supports(&RULE, p, why);
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self;
    return att_linear_run(&RULE, p, s);
}

const att_kernel att_kernel_gla = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gla",
    .family = "linear",
    .summary = "gated linear attention: a decay a channel from the input, f32 state",
    .source = "Yang et al. 2023, Gated linear attention transformers",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = att_linear_plan,
    .cost = att_linear_cost,
    .recur = recur,
};
