/* SPDX-License-Identifier: Apache-2.0 */
/* Retention (RetNet): linear attention whose state fades at a fixed pace, one a head.
 *
 *   S = gamma_h S + k v^T    o = scale S^T q       gamma_h = 1 - 2^(-5-h)
 *   as pairs:  O = scale (Q K^T . D) V,  D_ij = gamma^(i-j) where j <= i, else 0
 *
 * Why: a token's weight falls with its distance, so that the state keeps what is near; nothing has
 * to be learnt for it.
 * Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M in every form, M the recurrence on absolute
 * values.
 * O(T Dk Dv) recurrent or chunked, O(T^2 (Dk + Dv)) quadratic.  No KV cache: a state of Dk Dv
 * floats a head, whatever the length.
 * Source: Sun et al. 2023, "Retentive network: a successor to transformer". */
#include "common/linear.h"

/* gamma_h^n; in double, so that a long way does not blur it. */
static float fading(const att_whole *w, int64_t n)
{
    return (float)pow(1 - ldexp(1, (int)(-5 - w->h)), (double)n);
}

static void answer(const att_whole *w, int64_t i)
{
    att_whole_from_state(w, fading(w, i + 1), w->q, w->o);
    for (int64_t j = 0; j <= i; j++)
        att_axpy(fading(w, i - j) * att_dot(w->q, att_whole_key(w, j), w->dk), att_whole_row(w, j),
                 w->dv, w->o);
    att_scale_row(w->scale, w->dv, w->o);
}

static void state(const att_whole *w)
{
    att_scale_row(fading(w, w->n), w->dk * w->dv, w->s);
    for (int64_t j = 0; j < w->n; j++)
        att_whole_write(w, fading(w, w->n - 1 - j), j);
}

static const att_linear RULE = {.rule = ATT_RULE_RETENTION, .answer = answer, .state = state};

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

const att_kernel att_kernel_retention = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "retention",
    .family = "linear",
    .summary = "retention: a fixed decay a head, f32 state",
    .source = "Sun et al. 2023, Retentive network: a successor to transformer",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = att_linear_plan,
    .cost = att_linear_cost,
    .recur = recur,
};
