/* SPDX-License-Identifier: Apache-2.0 */
/* State space duality (Mamba-2): one decay a head from the input, and no scale.
 *
 *   S = exp(g) S + k v^T    o = S^T q               (in the paper's names C = q, B = k, X = v)
 *   as pairs:  O = (L . C B^T) X,   L_ij = exp(g_{j+1} + ... + g_i) where j <= i, else 0
 *
 * Why: L is 1-semiseparable, so that a state space model with a scalar transition is masked linear
 * attention, and runs as matrix products.  Decays a channel are gla's.
 * Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M in every form, M the recurrence on absolute
 * values.
 * O(T Dk Dv) recurrent or chunked, O(T^2 (Dk + Dv)) quadratic.  No KV cache: a state of Dk Dv
 * floats a head, whatever the length.
 * Source: Dao and Gu 2024, "Transformers are SSMs". */
#include "common/linear.h"

/* The head's gate of token j. */
static float gate(const att_whole *w, int64_t j)
{
    return w->g[j * w->dk];
}

static void answer(const att_whole *w, int64_t i)
{
    float logs = 0.0f; /* of L_ij */

    for (int64_t j = i; j >= 0; j--) {
        att_axpy(att_exp(logs) * att_dot(w->q, att_whole_key(w, j), w->dk), att_whole_row(w, j),
                 w->dv, w->o);
        logs += gate(w, j);
    }
    att_whole_from_state(w, att_exp(logs), w->q, w->o);
    att_scale_row(w->scale, w->dv, w->o);
}

static void state(const att_whole *w)
{
    float logs = 0.0f;

    for (int64_t j = 0; j < w->n; j++)
        logs += gate(w, j);
    att_scale_row(att_exp(logs), w->dk * w->dv, w->s);
    logs = 0.0f;
    for (int64_t j = w->n - 1; j >= 0; j--) {
        att_whole_write(w, att_exp(logs), j);
        logs += gate(w, j);
    }
}

static const att_linear RULE = {
    .rule = ATT_RULE_SSD, .answer = answer, .state = state, .one_gate = true};

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

const att_kernel att_kernel_ssd = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "ssd",
    .family = "linear",
    .summary = "Mamba-2: a scalar decay a head from the input, no scale, f32 state",
    .source = "Dao and Gu 2024, Transformers are SSMs",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = att_linear_plan,
    .cost = att_linear_cost,
    .recur = recur,
};
