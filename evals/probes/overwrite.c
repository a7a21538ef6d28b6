/* SPDX-License-Identifier: Apache-2.0 */
/* overwrite: half of the facts are stated again later on, with another value.  The last one holds.
 *
 * What is said again knows that it is (a layer before has seen the name): its key is turned towards
 * a mark, and the question is turned further, so that it meets the new statement best, the old one
 * of the same name next, all else by chance. */
#include "evals/probes/facts.h"

#define AGAIN 0.9 /* cosine of a key that is stated again to its first statement */
#define NOW   0.8 /* of the question to the first statement */

enum { FACTS = 8, UPDATED = 4, SAID = FACTS + UPDATED, MARK = FACTS + SAID, NAMES };

/* Statements in order: each fact once at a random time, then, for the updated ones, once more
 * after it.  who[s]: the fact; again[s]: is it its second statement? */
static void draw_statements(att_rng *rng, int64_t *who, bool *again)
{
    bool said[FACTS] = {false};

    for (int64_t s = 0; s < SAID; s++)
        who[s] = s % FACTS; /* facts 0 .. UPDATED - 1 twice */
    att_rng_shuffle(rng, who, SAID, sizeof *who);
    for (int64_t s = 0; s < SAID; s++) {
        again[s] = said[who[s]];
        said[who[s]] = true;
    }
}

/* Codes of a context: names 0..7, values 8..19 (one a statement), the mark of what is new. */
static att_status lay_out(facts *f)
{
    int64_t at[SAID], who[SAID], first[FACTS] = {0}, last[FACTS] = {0};
    bool again[SAID];

    draw_statements(f->rng, who, again);
    probe_places(f->rng, 0, f->c->len, SAID, at);
    for (int64_t s = 0; s < SAID; s++) {
        facts_put(f, at[s], who[s], FACTS + s);
        if (again[s])
            probe_near(facts_code(f, who[s]), facts_code(f, MARK), AGAIN, facts_key(f, at[s]));
        else
            first[who[s]] = s;
        last[who[s]] = s;
    }
    for (int64_t i = 0; i < FACTS; i++) {
        float asked[PROBE_CODE];
        const bool updated = first[i] != last[i];
        const fact_slip stale = {FACTS + first[i], "stale"};
        probe_question a = facts_question(f, i, at[last[i]], FACTS + last[i], i);
        a.kind = updated;
        if (updated) {
            a.rival = PROBE_MARKS + FACTS + i;
            probe_mark(f->c, f->context, at[first[i]], a.rival, 1);
        }
        probe_near(facts_code(f, i), facts_code(f, MARK), NOW, asked);
        if (facts_ask(f, a, asked, &stale, updated) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = FACTS,
                                    .tokens = SAID,
                                    .heads = FACTS,
                                    .marks = 2 * FACTS,
                                    .names = NAMES,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    facts_share(x, c, out, "updated_right", 1, NULL);
    facts_share(x, c, out, "untouched_right", 0, NULL);
    facts_share(x, c, out, "stale", 1, "stale");
}

const probe_task probe_task_overwrite = {.name = "overwrite",
                                         .exposes = "stale binding",
                                         .spares = "top_one",
                                         .facts = FACTS,
                                         .theory = true,
                                         .make = make,
                                         .judge = facts_judge,
                                         .record = record};
