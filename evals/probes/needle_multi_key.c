/* SPDX-License-Identifier: Apache-2.0 */
/* needle_multi_key: every needle has three near-duplicates, keys much like its own with other
 * values.
 *
 * Source: Hsieh et al. 2024, "RULER" (multi-keys needles). */
#include "evals/probes/facts.h"

#define ALIKE 0.8 /* cosine of a near-duplicate's key */

/* Codes of a context: keys 0..7, values 8..15, what near-duplicates are turned to 16..39, their
 * values 40..63. */
enum { FACTS = 8, COPIES = 3, ALL = FACTS * (1 + COPIES), NAMES = 2 * ALL };

static att_status lay_out(facts *f)
{
    int64_t at[ALL];

    probe_places(f->rng, 0, f->c->len, ALL, at);
    att_rng_shuffle(f->rng, at, ALL, sizeof *at);
    for (int64_t i = 0; i < FACTS; i++) {
        fact_slip slips[COPIES];
        facts_put(f, at[i], i, FACTS + i);
        probe_question a = facts_question(f, i, at[i], FACTS + i, i);
        a.rival = PROBE_MARKS + FACTS + i;
        for (int64_t s = 0; s < COPIES; s++) {
            const int64_t copy = COPIES * i + s, j = at[FACTS + copy];
            const int64_t value = 2 * FACTS + FACTS * COPIES + copy;
            facts_put(f, j, i, value);
            probe_near(facts_code(f, i), facts_code(f, 2 * FACTS + copy), ALIKE, facts_key(f, j));
            probe_mark(f->c, f->context, j, a.rival, 1);
            slips[s] = (fact_slip){value, "near-duplicate"};
        }
        if (facts_ask(f, a, facts_code(f, i), slips, COPIES) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = FACTS,
                                    .tokens = ALL,
                                    .heads = FACTS,
                                    .marks = 2 * FACTS,
                                    .names = NAMES,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    facts_share(x, c, out, "duplicate_taken", -1, "near-duplicate");
}

const probe_task probe_task_needle_multi_key = {.name = "needle_multi_key",
                                                .exposes = "near-duplicate keys told apart",
                                                .spares = "top_one",
                                                .facts = FACTS,
                                                .theory = true,
                                                .make = make,
                                                .judge = facts_judge,
                                                .record = record};
