/* SPDX-License-Identifier: Apache-2.0 */
/* induction: a stream of tokens in which each knows the one before it (a previous-token head has
 * been there): key = the token before, value = the token.  Asked with a token that stood there
 * once, the answer is what came next.
 *
 * Source: Olsson et al. 2022, "In-context learning and induction heads". */
#include <string.h>

#include "evals/probes/facts.h"

/* Codes of a context: tokens asked with 0..7, what follows them 8..15. */
enum { FACTS = 8, NAMES = 2 * FACTS, TOKENS = 4 * FACTS };

/* The stream is what the hay has for keys, one token later: value j = key j + 1. */
static void make_stream(const facts *f)
{
    for (int64_t j = 0; j + 1 < f->c->len; j++)
        memcpy(facts_value(f, j), facts_key(f, j + 1), PROBE_CODE * sizeof(float));
}

/* Token `name` at `at`: its value, and the key of what comes after. */
static void put_token(const facts *f, int64_t at, int64_t name)
{
    memcpy(facts_value(f, at), facts_code(f, name), PROBE_CODE * sizeof(float));
    memcpy(facts_key(f, at + 1), facts_code(f, name), PROBE_CODE * sizeof(float));
}

static att_status lay_out(facts *f)
{
    int64_t at[FACTS];

    make_stream(f);
    probe_places(f->rng, 0, (f->c->len - 1) / 3, FACTS, at); /* room for both and one between */
    for (int64_t i = 0; i < FACTS; i++) {
        const fact_slip itself = {i, "the token itself"};
        const int64_t j = 3 * at[i];
        put_token(f, j, i);
        put_token(f, j + 1, FACTS + i);
        if (facts_ask(f, facts_question(f, i, j + 1, FACTS + i, i), facts_code(f, i), &itself, 1) !=
            ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = FACTS,
                                    .tokens = TOKENS,
                                    .heads = FACTS,
                                    .marks = FACTS,
                                    .names = NAMES,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

/* A miss by one token: what stands before the answer is the token itself, what stands after it is
 * looked up in V. */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const float *after = c->v + (a->context * c->len + a->evidence[0] + 1) * c->width;
    probe_outcome o = facts_judge(c, i, out);
    double margin;

    if (o.hit || o.note)
        return o;
    const int64_t said = probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, -1, &margin);
    if (said >= 0 && memcmp(after, c->code + said * PROBE_CODE, PROBE_CODE * sizeof *after) == 0)
        o.note = "one token late";
    return o;
}

const probe_task probe_task_induction = {.name = "induction",
                                         .exposes = "previous-token matching",
                                         .spares = "top_one",
                                         .facts = FACTS,
                                         .theory = true,
                                         .make = make,
                                         .judge = judge};
