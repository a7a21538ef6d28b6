/* SPDX-License-Identifier: Apache-2.0 */
/* constraint: rules of conduct that a conversation forgets.  Each of eight turns states three
 * constraints; the turns are spaced geometrically, so that their ages cover all scales, and every
 * turn that follows talks about each constraint once more (a key near its own, another value).  All
 * are asked for at the end: how many survive by distance, and at which distance half do. */
#include <math.h>

#include "base/stats.h"
#include "evals/probes/task.h"

enum { TURNS = 8, EACH = 3, ALL = TURNS * EACH, LAST = 8, SHORTEST = 256, MOST_CONTEXTS = 2 };

#define TALK 0.5 /* cosine of what is said about a constraint */

/* Turn t begins this far from the end: len, ..., LAST tokens. */
static int64_t distance_of(const probe_circuit *c, int64_t t)
{
    return (int64_t)lround((double)c->len *
                           pow((double)LAST / (double)c->len, (double)t / (double)TURNS));
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t value[ALL];

    for (int64_t i = 0; i < ALL; i++)
        value[i] = ALL + i;
    att_rng_shuffle(rng, value, ALL, sizeof *value);
    for (int64_t t = 0; t < TURNS; t++) {
        const int64_t from = c->len - distance_of(c, t), to = c->len - distance_of(c, t + 1);
        int64_t at[EACH];
        for (int64_t i = 0; i < EACH * t; i++) { /* talk; what is stated may take its place */
            int64_t j = from + (int64_t)att_rng_below(rng, (uint64_t)(to - from));
            probe_put_near(c, g, j, i, 2 * ALL + i, TALK, 3 * ALL + i);
        }
        probe_places(rng, from, to, EACH, at);
        for (int64_t e = 0; e < EACH; e++) {
            const int64_t i = t * EACH + e;
            if (probe_hide(c, g, i, at[e], i, value[i], t) != ATT_OK)
                return ATT_NO_MEMORY;
        }
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->len < SHORTEST || c->facts != ALL) {
        att_why_set(why, "%d constraints in %d turns, in at least %d tokens", ALL, TURNS, SHORTEST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = MOST_CONTEXTS;
    c->heads = ALL;
    c->rows = 1;
    att_status status = probe_circuit_open(c, ALL, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, 4 * ALL);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* Makes shares that fall with distance of those of turns, the farthest first: neighbours that rise
 * are pooled (Ayer et al. 1955). */
static void pool_rising(double *share)
{
    double mean[TURNS];
    int64_t size[TURNS], n = 0, at = TURNS;

    for (int64_t t = 0; t < TURNS; t++) { /* nearer turns must not survive less */
        mean[n] = share[t];
        size[n++] = 1;
        for (; n > 1 && mean[n - 2] > mean[n - 1]; n--) {
            const double both = (double)(size[n - 2] + size[n - 1]);
            mean[n - 2] = ((double)size[n - 2] * mean[n - 2] + (double)size[n - 1] * mean[n - 1]) /
                          both;
            size[n - 2] += size[n - 1];
        }
    }
    while (n-- > 0)
        for (int64_t i = 0; i < size[n]; i++)
            share[--at] = mean[n];
}

/* Distance at which the survival falls through one half, on a logarithmic scale between the means
 * of turns; beyond the farthest or below the nearest: that, with an open interval. */
static void record_half_life(att_ctx *x, const double *share, const double *distance)
{
    int64_t t = TURNS - 1;

    while (t >= 0 && share[t] >= 0.5)
        t--;
    if (t == TURNS - 1)
        att_ctx_record_n(x, "half_life", distance[t], 0, 0, distance[t]);
    else if (t < 0)
        att_ctx_record_n(x, "half_life", distance[0], 0, distance[0], INFINITY);
    else {
        const double part = (share[t + 1] - 0.5) / (share[t + 1] - share[t]);
        att_ctx_record_n(x, "half_life", distance[t + 1] * pow(distance[t] / distance[t + 1], part),
                         0, distance[t + 1], distance[t]);
    }
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    const double n = (double)(EACH * c->contexts);
    double share[TURNS], distance[TURNS] = {0}, margin;
    int64_t kept[MOST_CONTEXTS][TURNS] = {{0}}, right[TURNS] = {0}, whole = 0;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const bool hit =
            probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, a->answer, &margin) == a->answer;
        kept[a->context][a->kind] += hit;
        right[a->kind] += hit;
        distance[a->kind] += (double)(probe_position(c, a) - a->evidence[0]) / n;
    }
    for (int64_t t = 0; t < TURNS; t++)
        share[t] = (double)right[t] / n;
    for (int64_t g = 0; g < c->contexts; g++)
        for (int64_t t = 0; t < TURNS; t++)
            whole += kept[g][t] == EACH;
    probe_share(x, "turns_kept", whole, c->contexts * TURNS);
    att_ctx_record(x, "survival_far", share[0]);
    att_ctx_record(x, "survival_near", share[TURNS - 1]);
    pool_rising(share);
    record_half_life(x, share, distance);
}

const probe_task probe_task_constraint = {.name = "constraint",
                                          .exposes = "constraints lost over turns",
                                          .spares = "top_one",
                                          .facts = ALL,
                                          .theory = true,
                                          .make = make,
                                          .record = record};
