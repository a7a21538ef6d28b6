/* SPDX-License-Identifier: Apache-2.0 */
/* mqar: multi-query associative recall.  N key-value pairs open the context, each key is asked for
 * once later on, at a gap i drawn without replacement with P(i) ~ i^(a - 1), a = 0.01.
 *
 * Source: Arora et al. 2023, "Zoology: Measuring and improving recall in efficient language
 * models". */
#include <math.h>
#include <stdlib.h>

#include "evals/probes/task.h"

#define ITEMS 64   /* about so many questions a case */
#define POWER 0.01 /* a */

/* n of the gaps [0, space), without replacement: the n largest of u^(1 / p) (Efraimidis and
 * Spirakis 2006), in the order in which a draw one by one would give them. */
static bool draw_gaps(att_rng *rng, int64_t space, int64_t n, int64_t *out)
{
    double *key = malloc((size_t)space * sizeof *key);

    if (!key)
        return false;
    for (int64_t i = 0; i < space; i++)
        key[i] = log(att_rng_unit(rng) + 0x1p-54) / pow((double)(i + 1), POWER - 1);
    for (int64_t k = 0; k < n; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < space; i++)
            if (key[i] > key[best])
                best = i;
        out[k] = best;
        key[best] = -(double)INFINITY;
    }
    free(key);
    return true;
}

/* One context: pair i's value stands at 2 i + 1, where its key is looked up.  Gaps are handed out
 * as drawn: early pairs, as in the source, tend to the small ones. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g, int64_t *code, int64_t *gap)
{
    const int64_t n = c->facts;

    for (int64_t i = 0; i < PROBE_CODES; i++)
        code[i] = i;
    att_rng_shuffle(rng, code, PROBE_CODES, sizeof *code);
    if (!draw_gaps(rng, (c->len - 2 * n) / 2, n, gap))
        return ATT_NO_MEMORY;
    probe_hay_of(c, rng, g, 2 * n, code); /* neither keys nor values of this context */
    for (int64_t i = 0; i < n; i++) {
        int64_t row = 2 * n + 2 * gap[i];
        probe_put(c, g, 2 * i + 1, code[i], code[n + i]);
        probe_question a = {.context = g,
                            .row = row,
                            .answer = code[n + i],
                            .mark = -1,
                            .rival = -1,
                            .evidence = {2 * i + 1},
                            .n_evidence = 1,
                            .kind = row - 2 * i - 1,
                            .at = (double)(row - 2 * i - 1) / (double)c->len};
        if (!probe_ask(c, a, code[i]))
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t n = c->facts;

    if (n < 1 || 4 * n > c->len || 2 * n >= PROBE_CODES) {
        att_why_set(why, "%lld pairs and as many questions need at least %lld tokens", (long long)n,
                    (long long)(4 * n));
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->contexts ? c->contexts : ITEMS / n > 2 ? ITEMS / n : 2;
    c->heads = 1;
    c->rows = c->len;
    int64_t *code = malloc((size_t)(PROBE_CODES + n) * sizeof *code);
    att_status status = code ? probe_circuit_open(c, 0, rng) : ATT_NO_MEMORY;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g, code, code + PROBE_CODES);
    free(code);
    return status;
}

const probe_task probe_task_mqar = {.name = "mqar",
                                    .exposes = "state capacity, window reach",
                                    .spares = "first_k top_one",
                                    .facts = 16,
                                    .haystack = "none",
                                    .longest = 2048,
                                    .theory = true,
                                    .make = make};
