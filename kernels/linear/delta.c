/* SPDX-License-Identifier: Apache-2.0 */
/* DeltaNet: a key's old value is taken out before the new one is written.
 *
 *   S += beta k (v - S^T k)^T    o = scale S^T q            q and k L2-normalised by the caller
 *   as pairs:  O = scale (Q K^T . M) W,
 *              W = (I + tril(diag(beta) K K^T, -1))^-1 diag(beta) (V - K S),   M_ij = [j <= i]
 *
 * Why: a state of fixed size fills up; the delta rule overwrites instead of piling up, so that what
 * was written under a key is what is read there.  The triangular system is solved, not inverted.
 * Bound: as the recurrence's, a read of the state adding Dk + t + 6 roundings a token, carried by
 * (I - beta k k^T), whose norm is at most 1 for such k and 0 <= beta <= 2.
 * O(T Dk Dv) recurrent or chunked, O(T^2 (Dk + Dv)) quadratic.  No KV cache: a state of Dk Dv
 * floats a head, whatever the length.
 * Source: Schlag et al. 2021, "Linear transformers are secretly fast weight programmers"; Yang et
 * al. 2024, "Parallelizing linear transformers with the delta rule". */
#include "common/linear.h"

/* W, column by column of the triangular matrix. */
static void solve(const att_whole *w)
{
    for (int64_t i = 0; i < w->n; i++)
        att_whole_from_state(w, -1.0f, att_whole_key(w, i), att_whole_row(w, i));
    for (int64_t j = 0; j < w->n; j++) {
        att_scale_row(w->beta[j], w->dv, att_whole_row(w, j));
        for (int64_t i = j + 1; i < w->n; i++)
            att_axpy(-att_dot(att_whole_key(w, i), att_whole_key(w, j), w->dk), att_whole_row(w, j),
                     w->dv, att_whole_row(w, i));
    }
}

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

static const att_linear RULE = {
    .rule = ATT_RULE_DELTA, .solve = solve, .answer = answer, .state = state};

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

const att_kernel att_kernel_delta = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "delta",
    .family = "linear",
    .summary = "DeltaNet: a write takes out what the key held, f32 state",
    .source = "Schlag et al. 2021, Linear transformers are secretly fast weight programmers",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = att_linear_plan,
    .cost = cost,
    .recur = recur,
};
