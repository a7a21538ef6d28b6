/* SPDX-License-Identifier: Apache-2.0 */
/* first_tokens: facts that stand in the first four tokens alone, where attention sinks do: whoever
 * drops them, or keeps them for the sake of their weight only, has lost them. */
#include "evals/probes/task.h"

enum { FIRST = 4, POOL = 32 };

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    int64_t code[POOL];

    if (c->facts < 1 || c->facts > FIRST || c->len < FIRST) {
        att_why_set(why, "at most %d facts, and no more than keys", FIRST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 16384 ? 3 : c->len > 1024 ? 6 : 12;
    c->heads = c->facts;
    c->rows = 1;
    if (probe_circuit_open(c, c->facts, rng) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, POOL);
    for (int64_t i = 0; i < POOL; i++)
        code[i] = i;
    for (int64_t g = 0; g < c->contexts; g++) {
        att_rng_shuffle(rng, code, POOL, sizeof *code);
        for (int64_t i = 0; i < c->facts; i++)
            if (probe_hide(c, g, i, i, code[i], code[FIRST + i], 0) != ATT_OK)
                return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

const probe_task probe_task_first_tokens = {.name = "first_tokens",
                                            .exposes = "what stands where sinks do",
                                            .spares = "first_k sink_only top_one",
                                            .facts = FIRST,
                                            .theory = true,
                                            .make = make};
