/* SPDX-License-Identifier: Apache-2.0 */
/* clusters: one of several near-synonyms.  Eight clusters of eight keys at a cosine of 3/4 from one
 * another stand scattered over the context, each key with a value of its own; one of each cluster
 * is asked for.  Whoever finds the cluster and blurs its members takes another's value. */
#include <math.h>

#include "evals/probes/task.h"

enum { SIZE = 8, MOST = 8 };

#define NEAR 0.75 /* cosine of two members */

/* The codes of member s of cluster i: its own way from the centre, and its value. */
static int64_t way(const probe_circuit *c, int64_t i, int64_t s)
{
    return c->facts + i * SIZE + s;
}

static int64_t value(const probe_circuit *c, int64_t i, int64_t s)
{
    return c->facts * (1 + SIZE) + i * SIZE + s;
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    const int64_t n = c->facts;
    int64_t at[MOST * SIZE];

    probe_places(rng, 0, c->len, n * SIZE, at);
    att_rng_shuffle(rng, at, (size_t)(n * SIZE), sizeof *at);
    for (int64_t i = 0; i < n; i++) {
        const int64_t asked = (int64_t)att_rng_below(rng, SIZE);
        for (int64_t s = 0; s < SIZE; s++) {
            probe_put_near(c, g, at[i * SIZE + s], i, way(c, i, s), sqrt(NEAR), value(c, i, s));
            probe_mark(c, g, at[i * SIZE + s], PROBE_MARKS + i + (s == asked ? 0 : n), 1);
        }
        const int64_t j = at[i * SIZE + asked];
        probe_question a = probe_needle(c, g, i, j, value(c, i, asked), i);
        a.rival = PROBE_MARKS + n + i;
        a.kind = i;
        if (!probe_ask(c, a, i))
            return ATT_NO_MEMORY;
        probe_near(c->code + i * PROBE_CODE, c->code + way(c, i, asked) * PROBE_CODE, sqrt(NEAR),
                   probe_query(c, &a, c->q));
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts < 1 || c->facts > MOST || c->facts * SIZE > c->len) {
        att_why_set(why, "at most %d clusters of %d keys, and no more than there are tokens", MOST,
                    SIZE);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 1024 ? 3 : 6;
    c->heads = c->facts;
    c->rows = 1;
    att_status status = probe_circuit_open(c, 2 * c->facts, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, c->facts * (1 + 2 * SIZE));
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* Whoever finds the cluster guesses among its values. */
static double chance(const probe_circuit *c)
{
    (void)c;
    return 1.0 / SIZE;
}

/* 1: the value asked for; 0: another of its cluster; -1: none of them. */
static int reply(const probe_circuit *c, const probe_question *a, const float *out, double *margin)
{
    const int64_t found = probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, a->answer, margin);
    const int64_t first = value(c, a->kind, 0);

    return found == a->answer ? 1 : found >= first && found < first + SIZE ? 0 : -1;
}

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    probe_outcome o = {0};
    const int said = reply(c, &c->asked[i], out, &o.score);

    o.hit = said == 1;
    o.note = said == 0 ? "synonym" : NULL;
    return o;
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    int64_t taken = 0;
    double margin;

    for (int64_t i = 0; i < c->n_asked; i++)
        taken += reply(c, &c->asked[i], out, &margin) == 0;
    probe_share(x, "bait_taken", taken, c->n_asked);
}

const probe_task probe_task_clusters = {.name = "clusters",
                                        .exposes = "near-synonyms blurred",
                                        .spares = "top_one",
                                        .facts = MOST,
                                        .theory = true,
                                        .make = make,
                                        .chance = chance,
                                        .judge = judge,
                                        .record = record};
