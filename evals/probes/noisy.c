/* SPDX-License-Identifier: Apache-2.0 */
/* noisy: every fact is said three times, each time with noise in its key and in its value; one of
 * them is enough.
 *
 * Source: Poli et al. 2024, "Mechanistic design and scaling of hybrid architectures" (MAD: noisy
 * recall). */
#include "evals/probes/facts.h"

#define CLEAR 0.8 /* cosine of what is said to what is meant */

/* Codes of a context: keys 0..7, values 8..15. */
enum { FACTS = 8, TIMES = 3, ALL = FACTS * TIMES, NAMES = 2 * FACTS };

static void blur(const facts *f, float *vector)
{
    float noise[PROBE_CODE];

    facts_noise(f, noise);
    probe_near(vector, noise, CLEAR, vector);
}

static att_status lay_out(facts *f)
{
    int64_t at[ALL];

    probe_places(f->rng, 0, f->c->len, ALL, at);
    att_rng_shuffle(f->rng, at, ALL, sizeof *at);
    for (int64_t i = 0; i < FACTS; i++) {
        probe_question a = facts_question(f, i, at[i * TIMES], FACTS + i, i);
        a.n_evidence = TIMES;
        a.any = true;
        for (int64_t s = 0; s < TIMES; s++) {
            const int64_t j = at[i * TIMES + s];
            facts_put(f, j, i, FACTS + i);
            blur(f, facts_key(f, j));
            blur(f, facts_value(f, j));
            probe_mark(f->c, f->context, j, a.mark, 1);
            a.evidence[s] = j;
            a.at = (double)j / (double)f->c->len > a.at ? (double)j / (double)f->c->len : a.at;
        }
        if (facts_ask(f, a, facts_code(f, i), NULL, 0) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = FACTS,
                                    .tokens = ALL,
                                    .heads = FACTS,
                                    .marks = FACTS,
                                    .names = NAMES,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

const probe_task probe_task_noisy = {.name = "noisy",
                                     .exposes = "facts seen through noise",
                                     .spares = "top_one",
                                     .facts = FACTS,
                                     .theory = true,
                                     .make = make,
                                     .judge = facts_judge};
