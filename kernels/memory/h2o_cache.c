/* SPDX-License-Identifier: Apache-2.0 */
/* H2O as a session: a KV cache that never holds more than `budget` keys a sequence and KV head, but
 * for the tokens of the step in work.
 *
 *   append  stores tokens; those whose queries can't come any more are admitted at once
 *   attend  row by row: the row's key is admitted, the row answered on what is held, its weights
 *           added to the masses
 *   admit   before a key enters a full cache: evict argmin of mass_j, j <= t - recent
 *           (ties: the oldest)
 *
 * Why: what h2o.c replays, with the memory really given back; what is evicted is overwritten.
 * Bound: as plain f32 attention on the keys that `seen` reports.  Complexity: O(budget (Dk + Dv)) a
 * query and head; KV cache: budget + q_len rows a sequence and KV head, and a mass each.
 * Source: Zhang et al. 2023, "H2O: heavy-hitter oracle for efficient generative inference". */
#include "common/evict.h"
#include "common/held.h"

/* Nothing goes while there is room. */
static int64_t victim(const att_held *c, const att_held_head *h, int64_t t)
{
    const att_evict e = {
        .n = h->n, .budget = c->budget, .recent = c->near, .j = h->j, .mass = h->mass};

    return h->n == c->budget ? att_evict_victim(&e, t) : -1;
}

static const att_held_way WAY = {.victim = victim};

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    const int64_t budget = att_min(s->params[ATT_EVICT_BUDGET].i, att_max(1, p->kv_len));

    (void)self;
    return att_held_open(&WAY, p, budget, s->params[ATT_EVICT_RECENT].i, 0,
                         budget + att_max(1, p->q_len), out);
}

static const att_param PARAMS[] = {ATT_EVICT_PARAMS("256", "128"), {0}};

/* Held: the budget, and the tokens of a step. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const int64_t budget = params[ATT_EVICT_BUDGET].i;
    const att_status status = att_stream_cost(p, budget, false, out);

    (void)self;
    out->state_bytes = att_cache_bytes(p, att_min(p->kv_len, budget) + att_max(1, p->q_len));
    return status;
}

static const att_session_ops session = {.open = open,
                                        .append = att_held_append,
                                        .attend = att_held_attend,
                                        .rollback = att_held_rollback,
                                        .close = att_held_close,
                                        .seen = att_held_seen};

const att_kernel att_kernel_h2o_cache = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "h2o_cache",
    .family = "memory",
    .summary = "H2O as a session: recent keys and heavy hitters, the rest evicted",
    .source = "Zhang et al. 2023, H2O",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_held_supports,
    .cost = cost,
    .session = &session,
};
