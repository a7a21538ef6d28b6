/* SPDX-License-Identifier: Apache-2.0 */
/* ordinals: "the i-th X".  Two lists of eight run through the context; an ordinal's key resembles
 * that of the next one, the i-th Y the i-th X, so that a blurred attention answers with the
 * neighbour.  The notes are a confusion matrix: which ordinal was answered, for which. */
#include <math.h>

#include "evals/probes/task.h"

enum { MOST = 8, LISTS = 2 };

#define ALIKE 0.5 /* cosine of an ordinal to the next one's */

/* Words of a context: the lists, the ordinals, the answers of each list. */
static int64_t answer_of(const probe_circuit *c, int64_t g, int64_t list, int64_t i)
{
    return probe_drawn(c, g, LISTS + c->facts * (1 + list) + i);
}

/* Keys of one context: list and ordinal added, at norm 1. */
static void make_keys(const probe_circuit *c, int64_t g, float key[LISTS][MOST][PROBE_CODE])
{
    float ordinal[MOST][PROBE_CODE];

    for (int64_t i = 0; i < c->facts; i++) {
        const float *own = c->code + probe_drawn(c, g, LISTS + i) * PROBE_CODE;
        probe_near(i ? ordinal[i - 1] : own, own, i ? ALIKE : 1, ordinal[i]);
        for (int64_t list = 0; list < LISTS; list++) {
            const float *name = c->code + probe_drawn(c, g, list) * PROBE_CODE;
            double size = 0;
            for (int d = 0; d < PROBE_CODE; d++) {
                const double sum = (double)name[d] + (double)ordinal[i][d];
                key[list][i][d] = (float)sum;
                size += sum * sum;
            }
            for (int d = 0; d < PROBE_CODE; d++)
                key[list][i][d] = (float)((double)key[list][i][d] / sqrt(size));
        }
    }
}

/* A token's key, or a question's vector. */
static void copy(float *to, const float *from)
{
    for (int d = 0; d < PROBE_CODE; d++)
        to[d] = from[d];
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    float key[LISTS][MOST][PROBE_CODE];
    int64_t at[LISTS * MOST];
    const int64_t n = c->facts;

    make_keys(c, g, key);
    if (probe_interleave(rng, 0, c->len, LISTS, n, at) != ATT_OK)
        return ATT_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t list = 0; list < LISTS; list++) {
            const int64_t here = at[list * n + i];
            probe_put(c, g, here, 0, answer_of(c, g, list, i));
            copy(c->k + (g * c->len + here) * PROBE_CODE, key[list][i]);
        }
        probe_question a = probe_needle(c, g, i, at[i], answer_of(c, g, 0, i), i);
        a.rival = i + 1 < n ? PROBE_MARKS + i + 1 : PROBE_MARKS + i - 1;
        a.kind = i;
        if (!probe_ask(c, a, 0))
            return ATT_NO_MEMORY;
        copy(probe_query(c, &a, c->q), key[0][i]);
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t n = c->facts;

    if (n < 2 || n > MOST || LISTS * n > c->len) {
        att_why_set(why, "2 to %d ordinals of %d lists", MOST, LISTS);
        return ATT_UNSUPPORTED;
    }
    c->contexts = 3;
    c->heads = n;
    c->rows = 1;
    if (probe_circuit_open(c, n, rng) != ATT_OK ||
        probe_draw(c, rng, LISTS + (1 + LISTS) * n) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, PROBE_HAY);
    att_status status = ATT_OK;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* What question i was answered with: the ordinal of the list asked for, MOST + that of the other
 * list, -1 neither. */
static int64_t answered(const probe_circuit *c, int64_t i, const float *out, double *margin)
{
    const probe_question *a = &c->asked[i];
    const int64_t code = probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, a->answer, margin);

    for (int64_t list = 0; list < LISTS; list++)
        for (int64_t k = 0; k < c->facts; k++)
            if (code == answer_of(c, a->context, list, k))
                return list * MOST + k;
    return -1;
}

#define FOR(i)                                                                                     \
    {                                                                                              \
        "1 for " #i, "2 for " #i, "3 for " #i, "4 for " #i, "5 for " #i, "6 for " #i, "7 for " #i, \
            "8 for " #i                                                                            \
    }
static const char *const confused[MOST][MOST] = {FOR(1), FOR(2), FOR(3), FOR(4),
                                                 FOR(5), FOR(6), FOR(7), FOR(8)};

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const int64_t want = c->asked[i].kind;
    probe_outcome o = {0};
    const int64_t got = answered(c, i, out, &o.score);

    o.hit = got == want;
    if (!o.hit && got >= 0)
        o.note = got >= MOST ? "of the other list" : confused[want][got];
    return o;
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    int64_t next = 0, other = 0, named = 0, sum = 0;
    double margin;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const int64_t got = answered(c, i, out, &margin), off = got - c->asked[i].kind;
        other += got >= MOST;
        if (got < 0 || got >= MOST)
            continue;
        named++;
        sum += off;
        next += off == 1 || off == -1;
    }
    att_ctx_record(x, "off_by_one", (double)next / (double)c->n_asked);
    att_ctx_record(x, "other_list", (double)other / (double)c->n_asked);
    if (named)
        att_ctx_record(x, "offset_mean", (double)sum / (double)named);
}

const probe_task probe_task_ordinals = {.name = "ordinals",
                                        .exposes = "wrong antecedent: the i-th taken for its next",
                                        .spares = "top_one",
                                        .facts = MOST,
                                        .theory = true,
                                        .make = make,
                                        .judge = judge,
                                        .record = record};
