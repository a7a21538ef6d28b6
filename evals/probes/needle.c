/* SPDX-License-Identifier: Apache-2.0 */
/* needle: facts hidden at known depths, asked for from the end. */
#include "evals/probes/task.h"

#define MOST 32

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t n = c->facts;

    if (n > MOST || n > c->len) {
        att_why_set(why, "at most %d needles, and no more than keys", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->contexts ? c->contexts : 3;
    return probe_needles(c, rng, 2 * n);
}

const probe_task probe_task_needle = {.name = "needle",
                                      .exposes = "recall lost by position",
                                      .spares = "top_one",
                                      .facts = 8,
                                      .theory = true,
                                      .make = make};
