/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention without a feature map: softmax left out, so that sums over keys come first.
 *
 *   S += k v^T    o = scale S^T q          as pairs:  O = scale (Q K^T . M) V,  M_ij = [j <= i]
 *
 * Why: the plain member of the family, which the others are when their gates stand open.
 * Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M in every form, M the recurrence on absolute
 * values.
 * O(T Dk Dv) recurrent or chunked, O(T^2 (Dk + Dv)) quadratic.  No KV cache: a state of Dk Dv
 * floats a head, whatever the length.
 * Source: Katharopoulos et al. 2020, "Transformers are RNNs"; Schlag et al. 2021. */
#include "common/linear.h"

static void answer(const att_whole *w, int64_t i)
{
    att_whole_from_state(w, 1.0f, w->q, w->o);
    for (int64_t j = 0; j <= i; j++)
        att_axpy(att_dot(w->q, att_whole_key(w, j), w->dk), att_whole_row(w, j), w->dv, w->o);
    att_scale_row(w->scale, w->dv, w->o);
}

static void state(const att_whole *w)
{
    for (int64_t j = 0; j < w->n; j++)
        att_whole_write(w, 1.0f, j);
}

static const att_linear RULE = {.rule = ATT_RULE_LINEAR, .answer = answer, .state = state};

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

const att_kernel att_kernel_linear = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "linear",
    .family = "linear",
    .summary = "linear attention without a feature map, f32 state",
    .source = "Katharopoulos et al. 2020, Transformers are RNNs",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = att_linear_plan,
    .cost = att_linear_cost,
    .recur = recur,
};
