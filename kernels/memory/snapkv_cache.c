/* SPDX-License-Identifier: Apache-2.0 */
/* SnapKV as a session: the prompt is held whole until its first attend, then cut once to `capacity`
 * keys a sequence and KV head; what is generated joins.
 *
 *   first attend   rows answered on all keys; the last `window` of them vote
 *   cut            as snapkv.c for the prompt's last row: the last `window` keys stay, and of those
 *                  before them the capacity - window of most pooled votes
 *
 * Why: what snapkv.c chooses anew for every row, done as it is deployed: once, with the memory
 * given back; a question that follows finds only what the prompt's own end looked at.  A prompt
 * that is prefilled in chunks is cut after the first of them.
 * Bound: as plain f32 attention on the keys that `seen` reports.  Complexity: dense for the first
 * attend, then O((capacity + generated) (Dk + Dv)) a query and head.  KV cache: capacity +
 * generated tokens a sequence and KV head, the whole prompt before that. Source: Li et al. 2024,
 * "SnapKV: LLM knows what you are looking for before generation". */
#include "common/held.h"
#include "common/observe.h"

static int64_t victim(const att_held *c, const att_held_head *h, int64_t t)
{
    (void)c, (void)h, (void)t;
    return -1;
}

static bool votes(const att_held *c, const att_held_seq *s, int64_t i)
{
    return !s->settled && i >= c->rows - c->near;
}

/* The prompt's keys are held each at the place of its position. */
static void settle(const att_held *c, const att_held_seq *s, att_held_head *h, float *x)
{
    const int64_t width = att_round_up(c->p.kv_len, ATT_W), keys = att_max(0, h->n - c->near);
    float *mass = x, *sums = x + width, *pooled = sums + width, *score = pooled + width;
    int64_t *kept = (int64_t *)(void *)(score + width), next = 0;

    for (int64_t e = 0; e < keys; e++)
        mass[e] = (float)h->mass[e];
    att_observe_pool(mass, 1, width, keys, c->pool, 0, sums, pooled);
    const int64_t count = att_choose(pooled, keys, 0, c->budget - c->near, kept, score);
    for (int64_t e = 0; e < h->n; e++) {
        if (e < keys && (next == count || kept[next] != e)) {
            h->gone[h->n_gone++] = (att_gone){h->j[e], c->rows};
            continue;
        }
        const int64_t to = e < keys ? next++ : count + e - keys;
        h->j[to] = h->j[e];
        for (int side = 0; side < 2; side++)
            memmove(h->kv[side] + (size_t)to * att_held_bytes(c, side),
                    h->kv[side] + (size_t)e * att_held_bytes(c, side), att_held_bytes(c, side));
    }
    h->n = count + att_min(c->near, h->n);
    att_held_room(c, h, h->n + s->waiting);
}

static const att_held_way WAY = {.victim = victim, .votes = votes, .settle = settle};

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    (void)self;
    return att_held_open(&WAY, p, s->params[ATT_OBSERVE_BUDGET].i, s->params[ATT_OBSERVE_WINDOW].i,
                         s->params[ATT_OBSERVE_POOL].i, att_max(1, p->kv_len), out);
}

static const att_param PARAMS[] = {
    {.name = "capacity",
     .type = ATT_PARAM_INT,
     .unit = "keys",
     .fallback = "256",
     .domain = "1:1073741824",
     .levels = "1 8 256",
     .help = "of the prompt's keys, those kept when it is cut, the window's among them"},
    ATT_OBSERVE_VOTERS("16", "5"),
    {0}};

/* Of a prompt that was cut, before anything is generated. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const int64_t capacity = params[ATT_OBSERVE_BUDGET].i;
    const att_status status = att_stream_cost(p, capacity, false, out);

    (void)self;
    out->state_bytes = att_cache_bytes(p, att_min(p->kv_len, capacity));
    return status;
}

static const att_session_ops session = {.open = open,
                                        .append = att_held_append,
                                        .attend = att_held_attend,
                                        .rollback = att_held_rollback,
                                        .close = att_held_close,
                                        .seen = att_held_seen};

const att_kernel att_kernel_snapkv_cache = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "snapkv_cache",
    .family = "memory",
    .summary = "SnapKV as a session: a prompt cut once to what its last rows attend to",
    .source = "Li et al. 2024, SnapKV",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_held_supports,
    .cost = cost,
    .session = &session,
};
