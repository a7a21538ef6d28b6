/* SPDX-License-Identifier: Apache-2.0 */
/* grounding: no answer without evidence.  A question's needle is there, was deleted, or has another
 * key near the one that is asked for.  A null token at position 0 (a sink without a value) meets
 * every query at the abstain threshold, half way between the logit of a key that is met and that of
 * a mutated one: where its weight is larger than that of any value, the answer is a refusal.  So a
 * window that has lost the first token can't abstain, and one that has lost the needle refuses. */
#include <math.h>
#include <string.h>

#include "evals/probes/task.h"

enum { PRESENT, DELETED, MUTATED, MOST = 16, NULL_MARK = PROBE_MARKS };

#define MUTANT    0.5                /* cosine of a mutated key and the one asked for */
#define THRESHOLD (1 + MUTANT) / 2.0 /* logit of the null token over that of a match */

/* A key without the last dimension, which is the null token's. */
static void flatten(float *key)
{
    double size = 0;

    for (int d = 0; d < PROBE_CODE - 1; d++)
        size += (double)key[d] * (double)key[d];
    for (int d = 0; d < PROBE_CODE - 1; d++)
        key[d] = (float)((double)key[d] / sqrt(size));
    key[PROBE_CODE - 1] = 0;
}

static void put_null(const probe_circuit *c, int64_t g)
{
    float *k = c->k + g * c->len * PROBE_CODE, *v = c->v + g * c->len * c->width;

    memset(k, 0, PROBE_CODE * sizeof *k);
    memset(v, 0, PROBE_CODE * sizeof *v);
    k[PROBE_CODE - 1] = 1;
    probe_mark(c, g, 0, NULL_MARK, 1);
}

/* Question i of a context; its needle, if there is one, stands at `at` and says `value`. */
static att_status ask(probe_circuit *c, int64_t g, int64_t i, int64_t kind, int64_t at,
                      int64_t value)
{
    const int64_t n = c->facts;
    const bool present = kind == PRESENT;
    probe_question a = {.context = g,
                        .head = i,
                        .answer = value,
                        .mark = present ? NULL_MARK + 1 + i : NULL_MARK,
                        .rival = present           ? NULL_MARK
                                 : kind == MUTATED ? NULL_MARK + 1 + i
                                                   : -1,
                        .evidence = {present ? at : 0},
                        .n_evidence = 1,
                        .kind = kind,
                        .at = (double)at / (double)c->len};

    if (!probe_ask(c, a, i))
        return ATT_NO_MEMORY;
    float *q = probe_query(c, &a, c->q), *k = c->k + (g * c->len + at) * PROBE_CODE;
    flatten(q);
    if (kind != DELETED) {
        probe_put(c, g, at, i, value);
        flatten(k);
        probe_mark(c, g, at, NULL_MARK + 1 + i, 1);
    }
    if (kind == MUTATED) { /* turned towards whatever the haystack begins with */
        float other[PROBE_CODE];
        memcpy(other, c->code + (2 * n + i) * PROBE_CODE, sizeof other);
        flatten(other);
        probe_near(q, other, MUTANT, k);
    }
    q[PROBE_CODE - 1] = (float)THRESHOLD;
    return ATT_OK;
}

/* Half of the questions have their needle, a quarter none, a quarter a mutated one. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    const int64_t n = c->facts;
    int64_t at[MOST], kind[MOST], value[MOST];
    att_status status = ATT_OK;

    probe_places(rng, 1, c->len, n, at);
    for (int64_t i = 0; i < n; i++) {
        kind[i] = i < n / 2 ? PRESENT : i % 2 ? MUTATED : DELETED;
        value[i] = n + i;
    }
    att_rng_shuffle(rng, kind, (size_t)n, sizeof *kind);
    att_rng_shuffle(rng, value, (size_t)n, sizeof *value);
    for (int64_t j = 0; j < c->len; j++)
        flatten(c->k + (g * c->len + j) * PROBE_CODE);
    put_null(c, g);
    for (int64_t i = 0; i < n && status == ATT_OK; i++)
        status = ask(c, g, i, kind[i], at[i], value[i]);
    return status;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts % 4 || c->facts > MOST || c->facts >= c->len) {
        att_why_set(why, "at most %d questions, a multiple of four, and fewer than keys", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 1024 ? 3 : 6;
    c->heads = c->facts;
    c->rows = 1;
    att_status status = probe_circuit_open(c, 1 + c->facts, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, 3 * c->facts);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* What a row says. */
typedef struct reply {
    int64_t found;         /* the value that has most weight; -1: not finite */
    double margin, weight; /* the answer's over the other values', the found one's */
    bool refused;
} reply;

static reply read_reply(const probe_circuit *c, const probe_question *a, const float *row)
{
    reply r = {.weight = NAN};

    r.found = probe_nearest(c, row, 0, PROBE_CODES, a->answer, &r.margin);
    if (r.found < 0)
        return r;
    r.weight = 0;
    for (int d = 0; d < PROBE_CODE; d++)
        r.weight += (double)row[d] * (double)c->code[r.found * PROBE_CODE + d];
    r.refused = (double)row[NULL_MARK] >= r.weight;
    return r;
}

/* The answer's weight over the null token's, or the null token's over that of any value. */
static double margin_of(const probe_question *a, const float *row, const reply *r)
{
    const double null = (double)row[NULL_MARK];

    if (a->kind != PRESENT)
        return null - r->weight;
    return (r->found == a->answer ? r->weight : r->weight + r->margin) - null;
}

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, out);
    const reply r = read_reply(c, a, row);
    probe_outcome o = {.score = margin_of(a, row, &r)};

    if (a->kind == PRESENT) {
        o.score = fmin(o.score, r.margin);
        o.hit = !r.refused && r.found == a->answer;
        o.note = r.refused ? "refused" : NULL;
    } else {
        o.hit = r.refused;
        o.note = r.refused                                    ? NULL
                 : a->kind == MUTATED && r.found == a->answer ? "mutated key answered"
                                                              : "answered without evidence";
    }
    return o;
}

/* Whoever always refuses is right where there is nothing to answer. */
static double chance(const probe_circuit *c)
{
    (void)c;
    return 0.5;
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    int64_t n[3] = {0}, refused[3] = {0}, fooled = 0;
    double margin[3] = {0};

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const float *row = probe_row(c, a, out);
        const reply r = read_reply(c, a, row);
        n[a->kind]++;
        refused[a->kind] += r.refused;
        fooled += a->kind == MUTATED && !r.refused && r.found == a->answer;
        margin[a->kind] += margin_of(a, row, &r);
    }
    const int64_t empty = n[DELETED] + n[MUTATED];
    probe_share(x, "true_refusal", refused[DELETED] + refused[MUTATED], empty);
    probe_share(x, "over_refusal", refused[PRESENT], n[PRESENT]);
    probe_share(x, "mutant_answered", fooled, n[MUTATED]);
    att_ctx_record(x, "answer_margin", margin[PRESENT] / (double)n[PRESENT]);
    att_ctx_record(x, "abstain_margin", (margin[DELETED] + margin[MUTATED]) / (double)empty);
}

const probe_task probe_task_grounding = {.name = "grounding",
                                         .exposes = "answers without evidence",
                                         .spares = "top_one",
                                         .facts = 8,
                                         .theory = true,
                                         .make = make,
                                         .chance = chance,
                                         .judge = judge,
                                         .record = record};
