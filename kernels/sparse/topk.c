/* SPDX-License-Identifier: Apache-2.0 */
/* Top-k attention: exact logits of all allowed keys, then softmax over the k largest of each row.
 *
 *   kept(i, j):  s_ij is among the k largest of row i (ties: the lower key first)
 *
 * Why: the upper bound of every method that selects keys: it reads all K to choose, so its cost is
 * in V alone; |o - o_full| <= 2 (1 - kept mass) max|v|.  k >= n is dense attention.
 * Bound: exact on its own keys; which they are is decided on f32 logits.  O(S^2 Dk + S k Dv), and
 * O(S) a row to find the k-th logit by bisection on its bits.
 * Source: Gupta et al. 2021, "Memory-efficient transformers via top-k attention". */
#include "common/choose.h"
#include "common/scored.h"

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "k",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "64",
                                    .domain = "1:1073741824",
                                    .levels = "1 8 64",
                                    .help = "keys kept a row, those of the largest logits"},
                                   {0}};

static void choose(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l)
{
    (void)row;
    l->n = att_choose(x, n, j0, ((const att_value *)arg)->i, l->j, l->x);
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_check(&ACCEPT, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_scored_plan(p, out);
}

static att_status run(const att_kernel *self, att_op op, const att_problem *p, const att_scratch *s,
                      uint8_t *allowed)
{
    const att_scored way = {.choose = choose, .arg = s->params};
    const att_status status = supports(self, op, p, s->params, NULL);
    return status ? status : att_scored_run(p, &way, s, allowed);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return run(self, ATT_OP_ATTEND, p, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return run(self, ATT_OP_SELECT, p, s, allowed);
}

static int64_t kept(const void *arg, const att_row *row)
{
    return att_min(att_row_count(row), ((const att_value *)arg)->i);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return att_scored_cost(p, kept, params, out);
}

const att_kernel att_kernel_topk = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "topk",
    .family = "sparse",
    .summary = "softmax over the k keys of the largest logits",
    .source = "Gupta et al. 2021, Memory-efficient transformers via top-k attention",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
