/* SPDX-License-Identifier: Apache-2.0 */
/* adherence: a document against the prior.  The context says one thing, what the model has learnt
 * says another: its value is added to the attention's output, as a residual stream does, with
 * weight 1/4, 1/2 or 3/4.  The context is followed where it got more weight than that. */
#include "evals/probes/task.h"

enum { MOST = 24, STRENGTHS = 3 };

static const double strength[STRENGTHS] = {0.25, 0.5, 0.75}; /* of the prior, by kind */

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t n = c->facts;

    if (n < 1 || n > MOST || n > c->len) {
        att_why_set(why, "at most %d facts, and no more than keys", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 1024 ? 3 : 6;
    att_status status = probe_needles(c, rng, 3 * n);
    for (int64_t i = 0; i < c->n_asked; i++)
        c->asked[i].kind = (c->asked[i].context + c->asked[i].head) % STRENGTHS;
    return status;
}

/* The value that prior knowledge has in place of the answer. */
static int64_t prior_of(const probe_circuit *c, const probe_question *a)
{
    return a->answer + c->facts;
}

/* What attention and prior say together. */
static int64_t answer(const probe_circuit *c, const probe_question *a, const float *out,
                      double *margin)
{
    const float *row = probe_row(c, a, out), *prior = c->code + prior_of(c, a) * PROBE_CODE;
    float sum[PROBE_CODE];

    for (int d = 0; d < PROBE_CODE; d++)
        sum[d] = row[d] + (float)strength[a->kind] * prior[d];
    return probe_nearest(c, sum, 0, PROBE_CODES, a->answer, margin);
}

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    probe_outcome o = {0};
    const int64_t found = answer(c, a, out, &o.score);

    o.hit = found == a->answer;
    o.note = found == prior_of(c, a) ? "prior" : NULL;
    return o;
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    int64_t n[STRENGTHS] = {0}, followed[STRENGTHS] = {0}, prior = 0;
    double margin;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const int64_t found = answer(c, a, out, &margin);
        n[a->kind]++;
        followed[a->kind] += found == a->answer;
        prior += found == prior_of(c, a);
    }
    probe_share(x, "adherence_weak", followed[0], n[0]);
    probe_share(x, "adherence_even", followed[1], n[1]);
    probe_share(x, "adherence_strong", followed[2], n[2]);
    probe_share(x, "prior_taken", prior, c->n_asked);
}

const probe_task probe_task_adherence = {.name = "adherence",
                                         .exposes = "prior knowledge against the context",
                                         .spares = "top_one",
                                         .facts = 8,
                                         .theory = true,
                                         .make = make,
                                         .judge = judge,
                                         .record = record};
