/* SPDX-License-Identifier: Apache-2.0 */
/* fuzzy: keys are three tokens long, and another key shares two of them; half of the questions are
 * asked with a key that is not quite right.
 *
 * Source: Poli et al. 2024, "Mechanistic design and scaling of hybrid architectures" (MAD: fuzzy
 * recall). */
#include "evals/probes/facts.h"

#define BLURRED 0.8 /* cosine of a question that is not quite right to its key */

/* Codes of a context: tokens of keys 0..23, the other key's third 24..31, what questions are turned
 * to 32..39, values 40..47, the other keys' 48..55. */
enum { FACTS = 8, LONG = 3, OTHER = FACTS * LONG, BLUR = OTHER + FACTS, VALUE = BLUR + FACTS };
enum { NAMES = VALUE + 2 * FACTS, ALL = 2 * FACTS };

static att_status lay_out(facts *f)
{
    int64_t at[ALL];

    probe_places(f->rng, 0, f->c->len, ALL, at);
    att_rng_shuffle(f->rng, at, ALL, sizeof *at);
    for (int64_t i = 0; i < FACTS; i++) {
        const int64_t j = at[i], twin = at[FACTS + i];
        const int64_t own[LONG] = {LONG * i, LONG * i + 1, LONG * i + 2};
        const int64_t alike[LONG] = {LONG * i, LONG * i + 1, OTHER + i};
        const fact_slip slip = {VALUE + FACTS + i, "two tokens of three"};
        float asked[PROBE_CODE];
        facts_put(f, j, own[0], VALUE + i);
        facts_put(f, twin, own[0], VALUE + FACTS + i);
        facts_sum(f, own, LONG, facts_key(f, j));
        facts_sum(f, alike, LONG, facts_key(f, twin));
        probe_question a = facts_question(f, i, j, VALUE + i, i);
        a.kind = i % 2;
        a.rival = PROBE_MARKS + FACTS + i;
        probe_mark(f->c, f->context, twin, a.rival, 1);
        probe_near(facts_key(f, j), facts_code(f, BLUR + i), a.kind ? BLURRED : 1, asked);
        if (facts_ask(f, a, asked, &slip, 1) != ATT_OK)
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
    facts_share(x, c, out, "exact_right", 0, NULL);
    facts_share(x, c, out, "blurred_right", 1, NULL);
}

const probe_task probe_task_fuzzy = {.name = "fuzzy",
                                     .exposes = "keys of several tokens, not quite met",
                                     .spares = "top_one",
                                     .facts = FACTS,
                                     .theory = true,
                                     .make = make,
                                     .judge = facts_judge,
                                     .record = record};
