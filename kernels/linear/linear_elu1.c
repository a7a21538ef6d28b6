/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention with the feature map phi(x) = elu(x) + 1.
 *
 *   S += phi(k) v^T    z += phi(k)    o = S^T phi(q) / (z . phi(q))      S [Dk,Dv], z [Dk] in f32
 *   as pairs:  o_i = sum_j w_ij v_j / sum_j w_ij,   w_ij = phi(q_i) . phi(k_j) > 0
 *
 * Why: a state of constant size instead of a KV cache; a function of its own, not an approximation
 * of softmax.  `recur` carries the state in and out (any chunking); `attend` starts from nothing
 * (common/featured.h), by pairs where form=quadratic, else by the state.
 * Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M, M the recurrence on absolute values.
 * O(S Dk Dv (1 + Hq/Hkv)) a kv head.  No KV cache: Dk (Dv + 1) floats a head.
 * Source: Katharopoulos et al. 2020, "Transformers are RNNs". */
#include "common/featured.h"
#include "common/linear.h"

static void answer(const att_whole *w, int64_t i)
{
    float norm = att_dot(w->q, w->z, w->dk);

    att_whole_from_state(w, 1.0f, w->q, w->o);
    for (int64_t j = 0; j <= i; j++) {
        const float weight = att_dot(w->q, att_whole_key(w, j), w->dk);
        norm += weight;
        att_axpy(weight, att_whole_row(w, j), w->dv, w->o);
    }
    for (int64_t d = 0; d < w->dv; d++)
        w->o[d] /= norm;
}

static void state(const att_whole *w)
{
    for (int64_t j = 0; j < w->n; j++) {
        att_whole_write(w, 1.0f, j);
        att_axpy(1.0f, att_whole_key(w, j), w->dk, w->z);
    }
}

static const att_linear RULE = {.rule = ATT_RULE_LINEAR_ELU1, .answer = answer, .state = state};

static bool by_pairs(const att_value *params)
{
    return *params[ATT_LINEAR_FORM].s == 'q';
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    if (op == ATT_OP_ATTEND)
        return att_featured_supports(p, why);
    if (op != ATT_OP_RECUR)
        return att_refuse(why, ATT_UNSUPPORTED, "an operator other than attend and recur");
    return att_linear_supports(&RULE, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    if (op == ATT_OP_ATTEND)
        return att_featured_plan(p, RULE.rule, by_pairs(params), out);
    return att_linear_plan(self, op, p, params, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self;
    return att_featured_run(p, RULE.rule, by_pairs(s->params), s);
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
    return p->recur ? att_rule_cost(RULE.rule, p, params, out)
                    : att_featured_cost(p, RULE.rule, by_pairs(params), out);
}

const att_kernel att_kernel_linear_elu1 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "linear_elu1",
    .family = "linear",
    .summary = "linear attention, feature map elu + 1, f32 state",
    .source = "Katharopoulos et al. 2020, Transformers are RNNs",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = ATT_LINEAR_PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .recur = recur,
};
