/* SPDX-License-Identifier: Apache-2.0 */
/* SnapKV: the last queries of a prompt vote, by their attention, which of its keys are kept.
 *
 *   votes_j = sum over the last `window` rows and the group's heads of p_rj, pooled over `pool`
 *   neighbours;   kept = the last `window` keys and the budget - window of most votes before them
 *
 * Why: what a prompt's end looks at is what the answer will need, so the cache can be cut once, by
 * a choice that has seen all keys; pooling keeps the neighbours of a hit, which carry its context.
 * As `attend` each row is answered as if the prompt ended with it; rows before the call's first
 * have no vote.
 * Bound: exact on its own keys (`select`); which they are is decided on f32 votes.
 * Cost: all keys are scored, O(S^2 (Dk + window)) a head, V read for `budget` keys; a cache that is
 * cut holds `budget` keys, this form keeps them all to choose anew for every row.
 * Source: Li et al. 2024, "SnapKV: LLM knows what you are looking for before generation". */
#include "common/observe.h"

static const att_param PARAMS[] = {ATT_OBSERVE_PARAMS("256", "16", "5"), {0}};

static const att_observe_way WAY = {0};

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_stream_plan(att_observe_stream(p, params, &WAY), out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_stream_run(self, ATT_OP_ATTEND, att_observe_stream(p, s->params, &WAY), s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_stream_run(self, ATT_OP_SELECT, att_observe_stream(p, s->params, &WAY), s, allowed);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return att_stream_cost(p, params[ATT_OBSERVE_BUDGET].i, true, out);
}

const att_kernel att_kernel_snapkv = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "snapkv",
    .family = "memory",
    .summary = "the last keys, and those that the last rows attend to most",
    .source = "Li et al. 2024, SnapKV",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_stream_supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
