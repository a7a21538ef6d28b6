/* SPDX-License-Identifier: Apache-2.0 */
/* capacity: nothing but N = len pairs, asked for afterwards: how many can a state tell apart?
 *
 * Keys are distinct codes, values too, in orders drawn apart; the last position asks. */
#include <stdlib.h>

#include "evals/probes/task.h"

#define ITEMS 64 /* about so many questions a case */
#define HEADS 16 /* at most so many a context */

/* One context; order: room for the codes, twice. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g, int64_t *order)
{
    int64_t *key = order, *value = order + PROBE_CODES, at[HEADS];

    for (int64_t i = 0; i < PROBE_CODES; i++)
        key[i] = value[i] = i;
    att_rng_shuffle(rng, key, PROBE_CODES, sizeof *key);
    att_rng_shuffle(rng, value, PROBE_CODES, sizeof *value);
    for (int64_t j = 0; j < c->len; j++)
        probe_put(c, g, j, key[j], value[j]);
    probe_places(rng, 0, c->len, c->heads, at);
    for (int64_t i = 0; i < c->heads; i++) {
        const probe_question a = probe_needle(c, g, i, at[i], value[at[i]], i);
        if (!probe_ask(c, a, key[at[i]]))
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts && c->facts != c->len) {
        att_why_set(why, "every key is a fact: len says how many");
        return ATT_UNSUPPORTED;
    }
    c->facts = c->len;
    c->heads = c->len < HEADS ? c->len : HEADS;
    c->contexts = c->contexts ? c->contexts : ITEMS / c->heads;
    c->rows = 1;
    int64_t *order = malloc(2 * PROBE_CODES * sizeof *order);
    att_status status = order ? probe_circuit_open(c, c->heads, rng) : ATT_NO_MEMORY;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g, order);
    free(order);
    return status;
}

const probe_task probe_task_capacity = {.name = "capacity",
                                        .exposes = "how many pairs a state tells apart",
                                        .spares = "top_one",
                                        .longest = PROBE_CODES,
                                        .theory = true,
                                        .make = make};
