/* SPDX-License-Identifier: Apache-2.0 */
/* Control: each row copies the value of one key, that of its largest logit, and reads no other.
 *
 *   o_i = v_j, j = argmax of s_ij over allowed j (ties: the lower key)        LSE = s_ij
 *
 * Why: a task that this solves needs the needle's own row alone: nothing is gathered from several.
 * Bound: exact on its own key (that of common/rows.h). */
#include "common/scored.h"

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static void choose(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l)
{
    int64_t best = -1;

    (void)arg, (void)row;
    for (int64_t j = 0; j < n; j++)
        if (x[j] > (best < 0 ? -INFINITY : x[best]))
            best = j;
    l->n = best >= 0;
    if (best >= 0) {
        l->j[0] = j0 + best;
        l->x[0] = x[best];
    }
}

static const att_scored WAY = {.choose = choose};

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

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_scored_run(p, &WAY, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    const att_status status = supports(self, ATT_OP_SELECT, p, s->params, NULL);
    return status ? status : att_scored_run(p, &WAY, s, allowed);
}

static int64_t kept(const void *arg, const att_row *row)
{
    (void)arg;
    return att_min(att_row_count(row), 1);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)params;
    return att_scored_cost(p, kept, NULL, out);
}

const att_kernel att_kernel_top_one = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "top_one",
    .family = "control",
    .summary = "crippled: reads the row of the largest logit only",
    .source = "control",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
