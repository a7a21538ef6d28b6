/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a full cache evicts the key of least accumulated attention, be it a recent one.
 *
 *    evict argmin mass_j over all held j          (should be: over held j <= t - recent)
 *
 * A new key has had no time to gather mass, so it is the last ones that go, and the heavy hitters
 * of the beginning stay for ever.  Output and reported keys agree.  Hidden until the cache is full.
 * Source: heavy-hitter caches that forget the local window of H2O. */
#include "common/evict.h"

static int64_t victim(const att_evict *e, int64_t t)
{
    int64_t least = 0;

    (void)t;
    for (int64_t c = 1; c < e->n; c++)
        if (!(e->mass[c] >= e->mass[least]))
            least = c;
    return least;
}

static const att_evict_way WAY = {.victim = victim};
static const att_param PARAMS[] = {ATT_EVICT_PARAMS("12", "4"), {0}};

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

const att_kernel att_kernel_h2o_evicts_recent = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "h2o_evicts_recent",
    .family = "zoo",
    .summary = "sparse_selection: eviction spares no recent keys",
    .source = "heavy-hitter caches without the local window of H2O",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_stream_supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
