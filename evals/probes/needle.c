/* SPDX-License-Identifier: Apache-2.0 */
/* needle: facts hidden at known depths, asked for from the end. */
#include "evals/probes/task.h"

#define MOST 32

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    int64_t at[MOST], value[MOST], n = c->facts;

    if (n > MOST || n > c->len) {
        att_why_set(why, "at most %d needles, and no more than keys", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->contexts ? c->contexts : 3;
    c->heads = n;
    c->rows = 1;
    if (probe_circuit_open(c, n, rng) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, 2 * n);
    for (int64_t g = 0; g < c->contexts; g++) {
        probe_places(rng, 0, c->len, n, at);
        for (int64_t i = 0; i < n; i++)
            value[i] = n + i;
        att_rng_shuffle(rng, value, (size_t)n, sizeof *value);
        for (int64_t i = 0; i < n; i++) {
            probe_put(c, g, at[i], i, value[i]);
            probe_mark(c, g, at[i], PROBE_MARKS + i, 1);
            probe_question a = {.context = g,
                                .head = i,
                                .answer = value[i],
                                .mark = PROBE_MARKS + i,
                                .rival = -1,
                                .evidence = {at[i]},
                                .n_evidence = 1,
                                .at = (double)at[i] / (double)c->len};
            if (!probe_ask(c, a, i))
                return ATT_NO_MEMORY;
        }
    }
    return ATT_OK;
}

const probe_task probe_task_needle = {.name = "needle",
                                      .exposes = "recall lost by position",
                                      .spares = "top_one",
                                      .facts = 8,
                                      .theory = true,
                                      .make = make};
