/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: one key fewer than k is kept: the threshold is the k-th largest logit, compared with >.
 *
 *    kept: s_ij > k-th largest                          (contract: >=, k keys)
 *
 * Hidden by large k, where the last key weighs nothing, and by checks of what is kept alone.
 * Source: typical of a threshold taken from a sorted copy. */
#include "common/choose.h"
#include "common/scored.h"

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "k",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "8",
                                    .domain = "1:1073741824",
                                    .help = "keys kept a row"},
                                   {0}};

static void choose(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l)
{
    const att_value *v = arg;
    (void)row;
    l->n = att_choose(x, n, j0, n > v[0].i ? att_max(1, v[0].i - 1) : n, l->j, l->x);
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

const att_kernel att_kernel_topk_one_short = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "topk_one_short",
    .family = "zoo",
    .summary = "sparse_selection: k - 1 keys are kept where k were asked for",
    .source = "typical of a threshold taken from a sorted copy",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
