/* SPDX-License-Identifier: Apache-2.0 */
/* compositional: a grid of four first keys by four second ones, a value a cell; a key is the sum of
 * two, and half of it is met in six other cells. */
#include "evals/probes/facts.h"

/* Codes of a context: first keys 0..3, second 4..7, values 8..23. */
enum { SIDE = 4, CELLS = SIDE * SIDE, ASKED = 8, NAMES = 2 * SIDE + CELLS, MATES = SIDE - 1 };

static att_status ask(facts *f, int64_t head, int64_t cell, const int64_t *at)
{
    const int64_t row = cell / SIDE, column = cell % SIDE;
    fact_slip slips[2 * MATES];
    probe_question a = facts_question(f, head, at[cell], 2 * SIDE + cell, head);
    int64_t n = 0;

    a.rival = PROBE_MARKS + ASKED + head;
    for (int64_t i = 0; i < SIDE; i++) {
        const int64_t first = row * SIDE + i, second = i * SIDE + column;
        if (i != column) {
            slips[n++] = (fact_slip){2 * SIDE + first, "first key only"};
            probe_mark(f->c, f->context, at[first], a.rival, 1);
        }
        if (i != row)
            slips[n++] = (fact_slip){2 * SIDE + second, "second key only"};
    }
    return facts_ask(f, a, facts_key(f, at[cell]), slips, n);
}

static att_status lay_out(facts *f)
{
    int64_t at[CELLS], cell[ASKED];

    probe_places(f->rng, 0, f->c->len, CELLS, at);
    att_rng_shuffle(f->rng, at, CELLS, sizeof *at);
    for (int64_t i = 0; i < CELLS; i++) {
        const int64_t keys[2] = {i / SIDE, SIDE + i % SIDE};
        facts_put(f, at[i], 0, 2 * SIDE + i);
        facts_sum(f, keys, 2, facts_key(f, at[i]));
    }
    probe_places(f->rng, 0, CELLS, ASKED, cell);
    for (int64_t h = 0; h < ASKED; h++)
        if (ask(f, h, cell[h], at) != ATT_OK)
            return ATT_NO_MEMORY;
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    static const facts_plan plan = {.facts = CELLS,
                                    .tokens = CELLS,
                                    .heads = ASKED,
                                    .marks = 2 * ASKED,
                                    .names = NAMES,
                                    .lay_out = lay_out};

    return facts_make(c, rng, &plan, why);
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    facts_share(x, c, out, "first_key_only", -1, "first key only");
    facts_share(x, c, out, "second_key_only", -1, "second key only");
}

const probe_task probe_task_compositional = {.name = "compositional",
                                             .exposes = "binding collapse",
                                             .spares = "top_one",
                                             .facts = CELLS,
                                             .theory = true,
                                             .make = make,
                                             .judge = facts_judge,
                                             .record = record};
