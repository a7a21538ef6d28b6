/* SPDX-License-Identifier: Apache-2.0 */
/* Control: every allowed key weighs the same; o is the mean of the allowed values.
 *
 *   o_i = mean of v_j over allowed j        LSE = ln n
 *
 * Why: a task that this solves does not need to find anything.
 * Bound: that of common/flash.h with all logits 0. */
#include "common/cost.h"

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND,
                                  .can = ATT_CAN_PACKED | ATT_CAN_PAGED | ATT_CAN_MASK,
                                  .dtypes = ATT_HALVES_AND_SINGLE};
static const att_flash HOW = {.keep = {.left = -1}};

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
    return att_flash_plan(p, &HOW, out);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)params;
    return att_flash_cost(p, &HOW, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_problem flat = *p;
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    flat.scale = 0.0;
    return status ? status : att_flash_attend(&flat, &HOW, s);
}

const att_kernel att_kernel_uniform = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "uniform",
    .family = "control",
    .summary = "crippled: all allowed keys weigh the same",
    .source = "control",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
};
