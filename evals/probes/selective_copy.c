/* SPDX-License-Identifier: Apache-2.0 */
/* selective_copy: sixteen data tokens lie scattered among noise; asked by its place in their order,
 * each is to be given back.  Places that follow each other have keys that are alike.
 *
 * Source: Gu and Dao 2023, "Mamba" (selective copying); Poli et al. 2024, "MAD". */
#include "evals/probes/facts.h"

#define NEXT 0.75 /* cosine of the keys of places that follow each other */

/* Codes of a context: what the keys are turned to 0..15, values 16..31. */
enum { DATA = 16, NAMES = 2 * DATA };

static att_status lay_out(facts *f)
{
    int64_t at[DATA];

    probe_places(f->rng, 0, f->c->len, DATA, at);
    for (int64_t i = 0; i < DATA; i++) {
        facts_put(f, at[i], i, DATA + i);
        if (i)
            probe_near(facts_key(f, at[i - 1]), facts_code(f, i), NEXT, facts_key(f, at[i]));
    }
    for (int64_t i = 0; i < DATA; i++) {
        fact_slip beside[2];
        int64_t n = 0;
        for (int64_t other = i - 1; other <= i + 1; other += 2)
            if (other >= 0 && other < DATA)
                beside[n++] = (fact_slip){DATA + other, "off by one"};
        if (facts_ask(f, facts_question(f, i, at[i], DATA + i, i), facts_key(f, at[i]), beside,
                      n) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = DATA,
                                    .tokens = DATA,
                                    .heads = DATA,
                                    .marks = DATA,
                                    .names = NAMES,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    facts_share(x, c, out, "off_by_one", -1, "off by one");
}

const probe_task probe_task_selective_copy = {.name = "selective_copy",
                                              .exposes = "noise let in, order lost",
                                              .spares = "top_one",
                                              .facts = DATA,
                                              .theory = true,
                                              .make = make,
                                              .judge = facts_judge,
                                              .record = record};
