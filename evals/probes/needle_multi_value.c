/* SPDX-License-Identifier: Apache-2.0 */
/* needle_multi_value: one key stands in three places with three values; all are wanted.
 *
 * Source: Hsieh et al. 2024, "RULER" (multi-values needle). */
#include "evals/probes/facts.h"

/* Codes of a context: keys 0..3, values 4..15. */
enum { KEYS = 4, VALUES = 3, ALL = KEYS * VALUES, NAMES = KEYS + ALL };

static att_status lay_out(facts *f)
{
    int64_t at[ALL];

    probe_places(f->rng, 0, f->c->len, ALL, at);
    att_rng_shuffle(f->rng, at, ALL, sizeof *at);
    for (int64_t i = 0; i < KEYS; i++) {
        fact_slip wanted[ALL];
        probe_question a = facts_question(f, i, at[i * VALUES], KEYS + i * VALUES, i);
        a.n_evidence = VALUES;
        for (int64_t s = 0; s < ALL; s++) /* its own first */
            wanted[s] = (fact_slip){KEYS + (i * VALUES + s) % ALL, ""};
        for (int64_t s = 0; s < VALUES; s++) {
            const int64_t j = at[i * VALUES + s];
            facts_put(f, j, i, KEYS + i * VALUES + s);
            probe_mark(f->c, f->context, j, a.mark, 1);
            a.evidence[s] = j;
        }
        if (facts_ask(f, a, facts_code(f, i), wanted, ALL) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = ALL,
                                    .tokens = ALL,
                                    .heads = KEYS,
                                    .marks = KEYS,
                                    .names = NAMES,
                                    .apart = ALL,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

static double chance(const probe_circuit *c)
{
    (void)c;
    return 1.0 / 220; /* three of twelve */
}

const probe_task probe_task_needle_multi_value = {.name = "needle_multi_value",
                                                  .exposes = "all values of a key, not one",
                                                  .facts = ALL,
                                                  .theory = true,
                                                  .make = make,
                                                  .chance = chance,
                                                  .judge = facts_set_judge,
                                                  .record = facts_set_record};
