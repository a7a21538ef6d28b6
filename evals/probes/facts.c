/* SPDX-License-Identifier: Apache-2.0 */
/* Facts in a haystack: contexts, questions, named slips. */
#include "evals/probes/facts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

enum { SHORT = 4096 };

/* Brings codes to order[from] .. order[from + n - 1] whose cosines are all below FACTS_APART, from
 * anywhere behind; false: there are not so many. */
static bool set_apart(facts *f, int64_t from, int64_t n)
{
    int64_t found = 0;

    for (int64_t i = from; i < PROBE_CODES && found < n; i++) {
        bool apart = true;
        for (int64_t j = from; j < from + found && apart; j++)
            apart = fabs(facts_cosine(facts_code(f, i), facts_code(f, j))) < FACTS_APART;
        if (apart) {
            const int64_t code = f->order[i];
            f->order[i] = f->order[from + found];
            f->order[from + found++] = code;
        }
    }
    return found == n;
}

static att_status start(facts *f, const facts_plan *plan)
{
    for (int64_t i = 0; i < PROBE_CODES; i++)
        f->order[i] = i;
    do
        att_rng_shuffle(f->rng, f->order, PROBE_CODES, sizeof *f->order);
    while (!set_apart(f, plan->names - plan->apart, plan->apart) ||
           (plan->suits && !plan->suits(f)));
    probe_hay_of(f->c, f->rng, f->context, plan->names, f->order);
    return plan->lay_out(f);
}

att_status facts_make(probe_circuit *c, att_rng *rng, const facts_plan *plan, att_why *why)
{
    if (c->facts != plan->facts || c->len < plan->tokens) {
        att_why_set(why, "%lld facts, and at least %lld tokens", (long long)plan->facts,
                    (long long)plan->tokens);
        return ATT_UNSUPPORTED;
    }
    facts *f = malloc(sizeof *f);
    att_status status = f ? ATT_OK : ATT_NO_MEMORY;
    c->contexts = c->contexts ? c->contexts : c->len > SHORT ? 3 : 6;
    c->heads = plan->heads;
    c->rows = 1;
    c->own = calloc((size_t)(c->contexts * c->heads * FACTS_SLIPS), sizeof(fact_slip));
    if (status == ATT_OK)
        status = c->own ? probe_circuit_open(c, plan->marks, rng) : ATT_NO_MEMORY;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++) {
        *f = (facts){.c = c, .rng = rng, .context = g};
        status = start(f, plan);
    }
    free(f);
    return status;
}

float *facts_key(const facts *f, int64_t at)
{
    return f->c->k + (f->context * f->c->len + at) * PROBE_CODE;
}

float *facts_value(const facts *f, int64_t at)
{
    return f->c->v + (f->context * f->c->len + at) * f->c->width;
}

const float *facts_code(const facts *f, int64_t name)
{
    return f->c->code + f->order[name] * PROBE_CODE;
}

void facts_put(const facts *f, int64_t at, int64_t key, int64_t value)
{
    probe_put(f->c, f->context, at, f->order[key], f->order[value]);
}

void facts_noise(const facts *f, float *out)
{
    double v[PROBE_CODE], size = 0;

    for (int d = 0; d < PROBE_CODE; d++) {
        v[d] = att_rng_normal(f->rng);
        size += v[d] * v[d];
    }
    for (int d = 0; d < PROBE_CODE; d++)
        out[d] = (float)(v[d] / sqrt(size));
}

double facts_cosine(const float *a, const float *b)
{
    double dot = 0;

    for (int d = 0; d < PROBE_CODE; d++)
        dot += (double)a[d] * (double)b[d];
    return dot;
}

void facts_sum(const facts *f, const int64_t *names, int64_t n, float *out)
{
    double sum[PROBE_CODE] = {0}, size = 0;

    for (int64_t i = 0; i < n; i++)
        for (int d = 0; d < PROBE_CODE; d++)
            sum[d] += (double)facts_code(f, names[i])[d];
    for (int d = 0; d < PROBE_CODE; d++)
        size += sum[d] * sum[d];
    for (int d = 0; d < PROBE_CODE; d++)
        out[d] = (float)(sum[d] / sqrt(size));
}

probe_question facts_question(const facts *f, int64_t head, int64_t at, int64_t value, int64_t mark)
{
    return probe_needle(f->c, f->context, head, at, f->order[value], mark);
}

att_status facts_ask(const facts *f, probe_question question, const float *vector,
                     const fact_slip *slips, int64_t n)
{
    fact_slip *own = (fact_slip *)f->c->own + f->c->n_asked * FACTS_SLIPS;

    for (int64_t i = 0; i < n; i++)
        own[i] = (fact_slip){f->order[slips[i].code], slips[i].note};
    if (!probe_ask(f->c, question, 0))
        return ATT_NO_MEMORY;
    memcpy(probe_query(f->c, &question, f->c->q), vector, PROBE_CODE * sizeof *vector);
    return ATT_OK;
}

probe_outcome facts_judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const fact_slip *slip = (const fact_slip *)c->own + i * FACTS_SLIPS;
    probe_outcome o = {0};
    const int64_t said =
        probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, a->answer, &o.score);

    o.hit = said == a->answer && o.score > 0; /* nothing is near to all codes alike */
    for (int64_t s = 0; s < FACTS_SLIPS && slip[s].note && !o.hit; s++)
        if (slip[s].code == said)
            o.note = slip[s].note;
    return o;
}

probe_outcome facts_set(const probe_circuit *c, int64_t i, const float *out, double *f1)
{
    const probe_question *a = &c->asked[i];
    const fact_slip *slip = (const fact_slip *)c->own + i * FACTS_SLIPS;
    const float *row = probe_row(c, a, out);
    double near[FACTS_SLIPS], most = 0, right = (double)INFINITY, wrong = -(double)INFINITY;
    const double even = 1 / (double)a->n_evidence; /* the weight of each, of a whole of 1 */
    int64_t n = 0, given = 0, good = 0;

    for (; n < FACTS_SLIPS && slip[n].note; n++) {
        near[n] = 0;
        for (int d = 0; d < PROBE_CODE; d++)
            near[n] += (double)row[d] * (double)c->code[slip[n].code * PROBE_CODE + d];
        if (!isfinite(near[n]))
            return (probe_outcome){.score = (double)NAN};
        most = fmax(most, near[n]);
    }
    for (int64_t s = 0; s < n; s++) {
        const bool found = near[s] > fmax(most, even) / 2;
        given += found;
        good += found && s < a->n_evidence;
        if (s < a->n_evidence)
            right = fmin(right, near[s]);
        else
            wrong = fmax(wrong, near[s]);
    }
    if (f1)
        *f1 = 2 * (double)good / (double)(given + a->n_evidence);
    return (probe_outcome){.hit = good == a->n_evidence && given == good,
                           .score = right - wrong,
                           .note = good && good < a->n_evidence ? "some of them" : NULL};
}

probe_outcome facts_set_judge(const probe_circuit *c, int64_t i, const float *out)
{
    return facts_set(c, i, out, NULL);
}

void facts_set_record(att_ctx *x, const probe_circuit *c, const float *out)
{
    double sum = 0;

    for (int64_t i = 0; i < c->n_asked; i++) {
        double f1 = 0;
        facts_set(c, i, out, &f1);
        sum += f1;
    }
    att_ctx_record_n(x, "set_f1", sum / (double)c->n_asked, c->n_asked, (double)NAN, (double)NAN);
}

void facts_share(att_ctx *x, const probe_circuit *c, const float *out, const char *metric,
                 int64_t kind, const char *note)
{
    int64_t n = 0, hits = 0;

    for (int64_t i = 0; i < c->n_asked; i++) {
        if (kind >= 0 && c->asked[i].kind != kind)
            continue;
        const probe_outcome o = facts_judge(c, i, out);
        n++;
        hits += note ? o.note && strcmp(o.note, note) == 0 : o.hit;
    }
    if (!n)
        return;
    const att_interval ci = att_wilson((double)hits, (double)n, 0.95);
    att_ctx_record_n(x, metric, (double)hits / (double)n, n, ci.lo, ci.hi);
}
