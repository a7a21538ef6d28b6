/* SPDX-License-Identifier: Apache-2.0 */
/* Gated DeltaNet: the state fades first, and the delta reads what is left of it.
 *
 *   S' = exp(g) S    S = S' + beta k (v - S'^T k)^T    o = scale S^T q     q, k L2-normalised
 *   as pairs, with L(j,i) = exp(g_{j+1} + ... + g_i) and L(i) that from before the first token:
 *     w_i = beta_i (v_i - S^T L(i) k_i - sum_{j<i} (k_i . L(j,i) k_j) w_j)     a triangular system
 *     o_i = scale (S^T L(i) q_i + sum_{j<=i} (q_i . L(j,i) k_j) w_j)
 *
 * Why: gates forget all at once, the delta rule key by key; together they do both.  g is one a head
 * (with one a channel it is Kimi delta attention).
 * Bound: as DeltaNet's, the decay's roundings added.
 * O(T Dk Dv) recurrent or chunked, O(T^2 (Dk + Dv)) quadratic.  No KV cache: a state of Dk Dv
 * floats a head, whatever the length.
 * Source: Yang et al. 2024, "Gated delta networks: improving Mamba2 with delta rule". */
#include "common/linear.h"

/* W, column by column of the triangular matrix. */
static void solve(const att_whole *w)
{
    att_whole_be_young(w);
    for (int64_t i = 0; i < w->n; i++) {
        att_whole_grow_older(w, i);
        att_whole_from_aged_state(w, -1.0f, att_whole_key(w, i), att_whole_row(w, i));
    }
    for (int64_t j = 0; j < w->n; j++) {
        att_scale_row(w->beta[j], w->dv, att_whole_row(w, j));
        att_whole_be_young(w);
        for (int64_t i = j + 1; i < w->n; i++) {
            att_whole_grow_older(w, i);
            att_axpy(-att_whole_aged_dot(w, att_whole_key(w, i), att_whole_key(w, j)),
                     att_whole_row(w, j), w->dv, att_whole_row(w, i));
        }
    }
}

static void answer(const att_whole *w, int64_t i)
{
    att_whole_be_young(w);
    for (int64_t j = i; j >= 0; j--) {
        att_axpy(att_whole_aged_dot(w, w->q, att_whole_key(w, j)), att_whole_row(w, j), w->dv,
                 w->o);
        att_whole_grow_older(w, j);
    }
    att_whole_from_aged_state(w, 1.0f, w->q, w->o);
    att_scale_row(w->scale, w->dv, w->o);
}

static const att_linear RULE = {
    .rule = ATT_RULE_GATED_DELTA, .solve = solve, .answer = answer, .state = att_whole_age_state};

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

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return att_rule_cost(RULE.rule, p, params, out);
}

const att_kernel att_kernel_gated_delta = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gated_delta",
    .family = "linear",
    .summary = "gated DeltaNet: decay first, the delta reads what is left, f32 state",
    .source = "Yang et al. 2024, Gated delta networks: improving Mamba2 with delta rule",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = att_linear_plan,
    .cost = cost,
    .recur = recur,
};
