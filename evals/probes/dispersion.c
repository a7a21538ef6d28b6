/* SPDX-License-Identifier: Apache-2.0 */
/* dispersion: one logit m among n keys of logit 0.  Softmax gives it e^m / (e^m + n - 1), so that a
 * bounded logit spreads out as contexts grow.  Eight logits are asked, each on an axis of its own
 * that no other key touches.
 *
 * Source: Velickovic et al. 2024, "Softmax is not enough (for sharp size generalisation)". */
#include <math.h>
#include <string.h>

#include "evals/probes/task.h"

enum { LOGITS = 8 };

static const double logit[LOGITS] = {8, 10, 12, 14, 16, 18, 21, 24};
#define TOP 24.0 /* of a query that meets its own key */

/* A key at this cosine from axis i: its own direction goes the rest of the way. */
static void turn(float *key, int64_t i, double cosine)
{
    double size = 0;

    for (int64_t d = LOGITS; d < PROBE_CODE; d++)
        size += (double)key[d] * (double)key[d];
    for (int64_t d = 0; d < PROBE_CODE; d++)
        key[d] = d >= LOGITS ? (float)(sqrt((1 - cosine * cosine) / size) * (double)key[d])
                 : d == i    ? (float)cosine
                             : 0;
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t at[LOGITS], kind[LOGITS], value[LOGITS];

    probe_places(rng, 0, c->len, LOGITS, at);
    for (int64_t i = 0; i < LOGITS; i++)
        kind[i] = value[i] = i;
    att_rng_shuffle(rng, kind, LOGITS, sizeof *kind);
    att_rng_shuffle(rng, value, LOGITS, sizeof *value);
    for (int64_t j = 0; j < c->len; j++)
        turn(c->k + (g * c->len + j) * PROBE_CODE, 0, 0);
    for (int64_t i = 0; i < LOGITS; i++) {
        float *k = c->k + (g * c->len + at[i]) * PROBE_CODE;
        probe_put(c, g, at[i], LOGITS + i, value[i]);
        turn(k, i, logit[kind[i]] / TOP);
        probe_question a = probe_needle(c, g, i, at[i], value[i], i);
        a.kind = kind[i];
        if (!probe_ask(c, a, 0))
            return ATT_NO_MEMORY;
        float *q = probe_query(c, &a, c->q);
        memset(q, 0, PROBE_CODE * sizeof *q);
        q[i] = 1;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts != LOGITS || c->len < LOGITS) {
        att_why_set(why, "%d logits need as many tokens", LOGITS);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 1024 ? 3 : 6;
    c->heads = LOGITS;
    c->rows = 1;
    att_status status = probe_circuit_open(c, LOGITS, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, 2 * LOGITS);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* ln of the weight's odds by softmax over all keys. */
static double odds_by_softmax(const probe_circuit *c, const probe_question *a)
{
    return logit[a->kind] - log((double)(c->len - 1));
}

static double odds_of(const probe_question *a, const float *row)
{
    const double w = (double)row[a->mark];

    return log(w / (1 - w));
}

/* Right: the value is decoded.  The score: how much sharper than softmax over all keys. */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, out);
    double margin;

    return (probe_outcome){.hit = probe_nearest(c, row, 0, PROBE_CODES, a->answer, &margin) ==
                                  a->answer,
                           .score = odds_of(a, row) - odds_by_softmax(c, a)};
}

/* Weights on each logit, and the smallest logit from which on all have most of the weight. */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    double weight[LOGITS] = {0}, error = 0;
    int64_t sharp = LOGITS, predicted = LOGITS;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const double w = (double)probe_row(c, a, out)[a->mark];
        const double want = 1 / (1 + exp(-odds_by_softmax(c, a)));
        weight[a->kind] += w / (double)c->contexts;
        error = isfinite(w) ? fmax(error, fabs(w / want - 1)) : INFINITY;
    }
    while (sharp > 0 && weight[sharp - 1] > 0.5)
        sharp--;
    while (predicted > 0 && logit[predicted - 1] > log((double)(c->len - 1)))
        predicted--;
    att_ctx_record(x, "max_weight", weight[2]);
    att_ctx_record(x, "max_weight_predicted", 1 / (1 + (double)(c->len - 1) * exp(-logit[2])));
    att_ctx_record(x, "max_weight_error", error);
    att_ctx_record(x, "majority_logit", sharp < LOGITS ? logit[sharp] : INFINITY);
    att_ctx_record(x, "majority_logit_predicted", predicted < LOGITS ? logit[predicted] : INFINITY);
}

const probe_task probe_task_dispersion = {.name = "dispersion",
                                          .exposes = "weights that spread as contexts grow",
                                          .spares = "top_one",
                                          .facts = LOGITS,
                                          .theory = true,
                                          .diffuse = true,
                                          .make = make,
                                          .judge = judge,
                                          .record = record};
