/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a full cache writes the new key over the one after the victim's.
 *
 *    slot[victim + 1] = new               (should be: slot[victim])
 *
 * The books say that the victim is gone and its neighbour is held; the memory holds it the other
 * way round.  Reported keys are the right ones.  Hidden until the cache is full.
 * Source: caches of fixed size whose slots are compacted between choice and write. */
#include "common/evict.h"

/* The first gap among the positions is where a victim stood: its key is read for the next one. */
static int64_t read(const att_evict *e, int64_t c)
{
    for (int64_t d = 0; d < c; d++)
        if (e->j[d] != d)
            return e->j[c];
    return e->j[c] == c ? c : e->j[c] - 1;
}

static const att_evict_way WAY = {.read = read};
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

const att_kernel att_kernel_evict_slot_neighbour = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "evict_slot_neighbour",
    .family = "zoo",
    .summary = "sparse_selection: a new key takes the slot next to the evicted one",
    .source = "caches of fixed size, compacted between choice and write",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_stream_supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
