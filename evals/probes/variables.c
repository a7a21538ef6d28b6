/* SPDX-License-Identifier: Apache-2.0 */
/* variables: variable tracking.  A value is assigned to a name, that name to another, and so on;
 * asked for the value, all names of its chain are wanted.  Each hop asks with the name that the one
 * before gave out.  With one chain every name in the context would be an answer.
 *
 * Source: Hsieh et al. 2024, "RULER: What's the real context size of your long-context language
 * models?" (8 chains of 4 hops). */
#include <math.h>

#include "evals/probes/task.h"

#define MOST  16 /* chains */
#define NAMES 5  /* of a chain: the first holds the value, 4 hops follow */

/* Words of a context: the values 0 to n - 1, then the names of the first chain, of the second, ...
 */
static int64_t name_of(const probe_circuit *c, int64_t g, int64_t chain, int64_t k)
{
    return probe_drawn(c, g, c->facts + chain * NAMES + k);
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t at[MOST * NAMES];

    if (probe_interleave(rng, 0, c->len, c->facts, NAMES, at) != ATT_OK)
        return ATT_NO_MEMORY;
    for (int64_t chain = 0; chain < c->facts; chain++) {
        const int64_t *mine = at + chain * NAMES;
        probe_question a = {.context = g,
                            .head = chain,
                            .answer = name_of(c, g, chain, NAMES - 1),
                            .mark = -1,
                            .rival = -1,
                            .n_evidence = NAMES,
                            .kind = chain,
                            .at = (double)mine[0] / (double)c->len};
        for (int64_t k = 0; k < NAMES; k++) {
            probe_put(c, g, mine[k], k ? name_of(c, g, chain, k - 1) : probe_drawn(c, g, chain),
                      name_of(c, g, chain, k));
            a.evidence[k] = mine[k];
        }
        if (!probe_ask(c, a, probe_drawn(c, g, chain)))
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t n = c->facts;

    if (n < 2 || n > MOST || n * NAMES > c->len) {
        att_why_set(why, "2 to %d chains of %d names: with one, every name is an answer", MOST,
                    NAMES);
        return ATT_UNSUPPORTED;
    }
    c->contexts = 3;
    c->heads = n;
    c->rows = 1;
    if (probe_circuit_open(c, 0, rng) != ATT_OK || probe_draw(c, rng, n * (1 + NAMES)) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, PROBE_HAY);
    att_status status = ATT_OK;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* The names that a question's hops gave out; how many are different and of its chain, how many are
 * different at all, the first hop that lost the chain (NAMES: none) and the smallest margin. */
typedef struct found {
    int64_t right, all, lost;
    double margin;
} found;

static bool in_chain(const probe_circuit *c, const probe_question *a, int64_t name)
{
    bool in = false;

    for (int64_t k = 0; k < NAMES; k++)
        in |= name == name_of(c, a->context, a->kind, k);
    return in;
}

static found look(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    int64_t name[NAMES];
    found f = {.lost = NAMES, .margin = (double)INFINITY};

    for (int64_t k = 0; k < NAMES; k++) {
        const int64_t want = name_of(c, a->context, a->kind, k);
        bool again = false;
        double margin;
        name[k] =
            probe_nearest(c, probe_row(c, a, probe_hop(c, out, k)), 0, PROBE_CODES, want, &margin);
        if (name[k] != want && f.lost == NAMES)
            f.lost = k;
        f.margin = margin < f.margin || isnan(margin) ? margin : f.margin;
        for (int64_t j = 0; j < k; j++)
            again |= name[j] == name[k];
        if (again || name[k] < 0)
            continue;
        f.all++;
        f.right += in_chain(c, a, name[k]);
    }
    return f;
}

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    static const char *const lost[NAMES + 1] = {"lost at the value", "lost at hop 1",
                                                "lost at hop 2",     "lost at hop 3",
                                                "lost at hop 4",     NULL};
    const found f = look(c, i, out);

    return (probe_outcome){.hit = f.lost == NAMES, .score = f.margin, .note = lost[f.lost]};
}

/* F1 of the names found against the chain's: 2 right / (found + wanted). */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    double f1 = 0, followed = 0;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const found f = look(c, i, out);
        f1 += 2 * (double)f.right / (double)(f.all + NAMES);
        followed += (double)f.lost;
    }
    att_ctx_record(x, "set_f1", f1 / (double)c->n_asked);
    att_ctx_record(x, "hops_followed", followed / (double)c->n_asked);
}

const probe_task probe_task_variables = {.name = "variables",
                                         .exposes = "multi-hop binding lost",
                                         .spares = "top_one",
                                         .facts = 8,
                                         .theory = true,
                                         .make = make,
                                         .hops = NAMES,
                                         .judge = judge,
                                         .record = record};
