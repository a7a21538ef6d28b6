/* SPDX-License-Identifier: Apache-2.0 */
/* H2O: a cache of fixed size that keeps the recent keys and the heavy hitters, those on which past
 * queries have put the most attention.
 *
 *   before key t enters a full cache: evict  argmin of mass_j over held j <= t - recent
 *   mass_j += p_hj   for each query h of the group and each row that sees key j     (ties: oldest)
 *
 * Why: attention mass is concentrated on few keys, and stays there, so that a decoder can drop the
 * rest for good: memory and reads no longer grow with the context.  What is gone can't be asked for
 * again.  As `attend` the trace of a prefill is replayed row by row; keys before the first row's
 * have met no query and leave in order of age.
 * Bound: exact on the keys held (`select`); which they are is decided on sums of f32 weights.
 * Complexity: O(S budget (Dk + Dv)) a head; the KV cache holds `budget` keys and a mass each.
 * Source: Zhang et al. 2023, "H2O: heavy-hitter oracle for efficient generative inference". */
#include "common/evict.h"

static const att_param PARAMS[] = {ATT_EVICT_PARAMS("256", "128"), {0}};

static const att_evict_way WAY = {0};

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_stream_plan(att_evict_stream(p, params, &WAY), out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_stream_run(self, ATT_OP_ATTEND, att_evict_stream(p, s->params, &WAY), s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_stream_run(self, ATT_OP_SELECT, att_evict_stream(p, s->params, &WAY), s, allowed);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return att_stream_cost(p, params[ATT_EVICT_BUDGET].i, false, out);
}

const att_kernel att_kernel_h2o = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "h2o",
    .family = "memory",
    .summary = "a cache of fixed size: recent keys, and those of most past attention",
    .source = "Zhang et al. 2023, H2O",
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
