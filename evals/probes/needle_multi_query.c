/* SPDX-License-Identifier: Apache-2.0 */
/* needle_multi_query: one question asks for two needles at once, with the sum of their keys; both
 * values are wanted.
 *
 * Source: Hsieh et al. 2024, "RULER" (multi-queries needle). */
#include "evals/probes/facts.h"

/* Codes of a context: keys 0..7, values 8..15. */
enum { FACTS = 8, WANTED = 2, NAMES = 2 * FACTS };

/* Two keys whose sum meets nothing else: they do not point apart (each is met at cosine sqrt(1/2)
 * or better), and no other code comes nearer to it. */
#define BESIDE 0.5 /* largest cosine of another code to the sum */

static bool make_a_pair(const facts *f, int64_t a, int64_t b)
{
    const int64_t pair[WANTED] = {a, b};
    float sum[PROBE_CODE];

    if (facts_cosine(facts_code(f, a), facts_code(f, b)) < 0)
        return false;
    facts_sum(f, pair, WANTED, sum);
    for (int64_t other = 0; other < PROBE_CODES; other++)
        if (other != a && other != b && facts_cosine(sum, facts_code(f, other)) > BESIDE)
            return false;
    return true;
}

/* The first from key i + step on that makes a pair with key i; i: none does. */
static int64_t partner(const facts *f, int64_t i, int64_t step)
{
    for (int64_t s = 0; s < FACTS - 1; s++) {
        const int64_t other = (i + 1 + (step - 1 + s) % (FACTS - 1)) % FACTS;
        if (make_a_pair(f, i, other))
            return other;
    }
    return i;
}

static bool suits(const facts *f)
{
    bool all = true;

    for (int64_t i = 0; i < FACTS && all; i++)
        all = partner(f, i, 1) != i;
    return all;
}

static att_status lay_out(facts *f)
{
    int64_t at[FACTS];

    probe_places(f->rng, 0, f->c->len, FACTS, at);
    att_rng_shuffle(f->rng, at, FACTS, sizeof *at);
    for (int64_t i = 0; i < FACTS; i++)
        facts_put(f, at[i], i, FACTS + i);
    for (int64_t i = 0; i < FACTS; i++) {
        const int64_t step = 1 + (int64_t)att_rng_below(f->rng, FACTS - 1);
        const int64_t pair[WANTED] = {i, partner(f, i, step)};
        float asked[PROBE_CODE];
        fact_slip wanted[FACTS] = {{FACTS + pair[0], ""}, {FACTS + pair[1], ""}};
        probe_question a = facts_question(f, i, at[i], FACTS + i, i);
        a.evidence[1] = at[pair[1]];
        a.n_evidence = WANTED;
        probe_mark(f->c, f->context, at[pair[1]], a.mark, 1);
        for (int64_t s = WANTED, other = 0; other < FACTS; other++)
            if (other != pair[0] && other != pair[1])
                wanted[s++] = (fact_slip){FACTS + other, ""};
        facts_sum(f, pair, WANTED, asked);
        if (facts_ask(f, a, asked, wanted, FACTS) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = FACTS,
                                    .tokens = FACTS,
                                    .heads = FACTS,
                                    .marks = FACTS,
                                    .names = NAMES,
                                    .apart = FACTS,
                                    .suits = suits,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

static double chance(const probe_circuit *c)
{
    (void)c;
    return 1.0 / 28; /* two of eight */
}

const probe_task probe_task_needle_multi_query = {.name = "needle_multi_query",
                                                  .exposes = "two needles asked for at once",
                                                  .facts = FACTS,
                                                  .theory = true,
                                                  .make = make,
                                                  .chance = chance,
                                                  .judge = facts_set_judge,
                                                  .record = facts_set_record};
