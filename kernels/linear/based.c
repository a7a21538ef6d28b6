/* SPDX-License-Identifier: Apache-2.0 */
/* Based: softmax's exponential cut off after its square.
 *
 *   o_i = sum_j w_ij v_j / sum_j w_ij,   w_ij = 1 + x + x^2 / 2 ~ exp(x),   x = scale q_i . k_j
 *   by a state:  w_ij = phi(scale q_i) . phi(k_j),  phi(y) = (1, y, y y^T / sqrt(2)),
 *                S += phi(k) v^T    z += phi(k)    o = S^T phi / (z . phi)   F = 1 + Dk + Dk^2 rows
 *
 * Why: near exp for small x, yet a sum of products, so that a state of constant size holds all
 * keys; w = (1 + (1 + x)^2) / 2 is never below 1/2, so the normaliser never vanishes.  Meant for
 * small Dk (16 in the paper).  `attend` starts from nothing, by pairs where form=quadratic (the
 * default: the state costs Dk times as much until the context is long), else by the state; `recur`
 * carries it.
 * Bound: to its own weights n + F + 12 roundings of sum (1 + |x|)^2 |v| / sum w; to exp, in weight,
 * |x|^3 / 6 exp(max(x, 0)).
 * By a state O(S F Dv), by pairs O(Sq Skv (Dk + Dv)).  No KV cache: F (Dv + 1) floats a head.
 * Source: Arora et al. 2024, "Simple linear attention language models balance the recall-throughput
 * tradeoff". */
#include "common/featured.h"
#include "common/linear.h"

#define MOST_DIM 128 /* by a state: F beyond is no saving */

static const att_param PARAMS[] = {
    {"form", ATT_PARAM_WORD, 0, "", "quadratic", "quadratic|recurrent|chunked",
     "quadratic recurrent chunked", "by pairs of tokens, or by the state"},
    {"chunk", ATT_PARAM_INT, 0, "tokens", "64", "1:4096", "64 1 16", "tokens of a chunk (recur)"},
    {0}};

/* recur: w->q and the keys are features, but the weight needs only their middle: x itself. */
static void answer(const att_whole *w, int64_t i)
{
    const int64_t dk = w->p->head_dim;
    float norm = att_dot(w->q, w->z, w->dk);

    att_whole_from_state(w, 1.0f, w->q, w->o);
    for (int64_t j = 0; j <= i; j++) {
        const float x = att_dot(w->q + 1, att_whole_key(w, j) + 1, dk);
        const float weight = 1.0f + x + 0.5f * x * x;
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

static const att_linear RULE = {.rule = ATT_RULE_BASED, .answer = answer, .state = state};

static bool by_pairs(const att_value *params)
{
    return *params[ATT_LINEAR_FORM].s == 'q';
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self;
    if (op != ATT_OP_ATTEND && op != ATT_OP_RECUR)
        return att_refuse(why, ATT_UNSUPPORTED, "an operator other than attend and recur");
    if ((op == ATT_OP_RECUR || !by_pairs(params)) && p->head_dim > MOST_DIM)
        return att_refuse(why, ATT_UNSUPPORTED, "a state of Dk^2 rows beyond head_dim 128");
    return op == ATT_OP_ATTEND ? att_featured_supports(p, why) : att_linear_supports(&RULE, p, why);
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
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_featured_run(p, RULE.rule, by_pairs(s->params), s);
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_linear_run(&RULE, p, s);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return p->recur ? att_rule_cost(RULE.rule, p, params, out)
                    : att_featured_cost(p, RULE.rule, by_pairs(params), out);
}

const att_kernel att_kernel_based = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "based",
    .family = "linear",
    .summary = "softmax's exponential as 1 + x + x^2/2, by pairs or by a state",
    .source = "Arora et al. 2024, Simple linear attention language models balance the "
              "recall-throughput tradeoff",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .recur = recur,
};
