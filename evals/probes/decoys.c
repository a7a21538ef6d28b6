/* SPDX-License-Identifier: Apache-2.0 */
/* decoys: bait inside a document.  Eight documents stand side by side; in each the fact is one of
 * four whose keys are near, the three decoys before it, behind it or on both sides.  Whether bait
 * is taken should not depend on where it lies. */
#include <math.h>

#include "base/stats.h"
#include "evals/probes/task.h"

enum { PLACES = 4, MOST = 8, MOST_CONTEXTS = 6 };

#define NEAR 0.75 /* cosine of a decoy's key and the fact's */

/* Document i: the fact is number `rank` of its four; codes of keys, of where decoys' keys turn to,
 * of values, the fact's the first of the four of `word`. */
static att_status ask(probe_circuit *c, att_rng *rng, int64_t g, int64_t i, int64_t rank,
                      int64_t word)
{
    const int64_t n = c->facts, ways = n + i * PLACES, values = n * (1 + PLACES) + word * PLACES;
    int64_t at[PLACES];

    probe_places(rng, c->len * i / n, c->len * (i + 1) / n, PLACES, at);
    for (int64_t p = 0, decoy = 1; p < PLACES; p++)
        if (p == rank) {
            probe_put(c, g, at[p], i, values);
        } else {
            probe_put_near(c, g, at[p], i, ways + decoy, NEAR, values + decoy);
            probe_mark(c, g, at[p], PROBE_MARKS + n + i, 1);
            decoy++;
        }
    probe_question a = probe_needle(c, g, i, at[rank], values, i);
    a.rival = PROBE_MARKS + n + i;
    a.kind = rank;
    return probe_ask(c, a, i) ? ATT_OK : ATT_NO_MEMORY;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    int64_t word[MOST];

    if (c->facts < 1 || c->facts > MOST || c->facts * PLACES > c->len) {
        att_why_set(why, "at most %d documents of at least %d tokens", MOST, PLACES);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 1024 ? 3 : MOST_CONTEXTS;
    c->heads = c->facts;
    c->rows = 1;
    att_status status = probe_circuit_open(c, 2 * c->facts, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, c->facts * (1 + 2 * PLACES));
    for (int64_t i = 0; i < c->facts; i++)
        word[i] = i;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++) {
        att_rng_shuffle(rng, word, (size_t)c->facts, sizeof *word);
        const int64_t turn = (int64_t)att_rng_below(rng, PLACES);
        for (int64_t i = 0; i < c->facts && status == ATT_OK; i++)
            status = ask(c, rng, g, i, (i + turn) % PLACES, word[i]);
    }
    return status;
}

/* Whoever finds the document guesses among its values. */
static double chance(const probe_circuit *c)
{
    (void)c;
    return 1.0 / PLACES;
}

/* 1: the fact's value; 0: a decoy's; -1: another. */
static int reply(const probe_circuit *c, const probe_question *a, const float *out, double *margin)
{
    const int64_t found = probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, a->answer, margin);

    return found == a->answer ? 1 : found > a->answer && found < a->answer + PLACES ? 0 : -1;
}

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    static const char *const notes[PLACES] = {"decoy, the fact first", "decoy, the fact second",
                                              "decoy, the fact third", "decoy, the fact last"};
    const probe_question *a = &c->asked[i];
    probe_outcome o = {0};
    const int said = reply(c, a, out, &o.score);

    o.hit = said == 1;
    o.note = said == 0 ? notes[a->kind] : NULL;
    return o;
}

/* bait_order: accuracy where the fact is last less that where it is first, the contexts as
 * clusters. */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    int64_t taken = 0, n[MOST_CONTEXTS][PLACES] = {{0}}, right[MOST_CONTEXTS][PLACES] = {{0}};
    double margin, differ[MOST_CONTEXTS], sum = 0;
    size_t clusters = 0;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const int said = reply(c, a, out, &margin);
        taken += said == 0;
        n[a->context][a->kind]++;
        right[a->context][a->kind] += said == 1;
    }
    for (int64_t g = 0; g < c->contexts; g++)
        if (n[g][0] && n[g][PLACES - 1]) {
            differ[clusters] = (double)right[g][PLACES - 1] / (double)n[g][PLACES - 1] -
                               (double)right[g][0] / (double)n[g][0];
            sum += differ[clusters++];
        }
    probe_share(x, "bait_taken", taken, c->n_asked);
    if (!clusters)
        return;
    const att_interval ci = att_mean_interval(differ, clusters, 0.95);
    att_ctx_record_n(x, "bait_order", sum / (double)clusters, (int64_t)clusters, ci.lo, ci.hi);
}

const probe_task probe_task_decoys = {.name = "decoys",
                                      .exposes = "bait inside a document",
                                      .spares = "top_one",
                                      .facts = MOST,
                                      .theory = true,
                                      .make = make,
                                      .chance = chance,
                                      .judge = judge,
                                      .record = record};
