/* SPDX-License-Identifier: Apache-2.0 */
/* citation: the right fact from the right document.  Documents stand side by side, each much like
 * the one before it and with one fact whose key is near its neighbours'; half of the facts say what
 * the document before says, so that an answer may be right and its source wrong.  V holds a one-hot
 * identity of the document, so that the weight on each is read off exactly; the heaviest is cited.
 */
#include <math.h>
#include <string.h>

#include "base/stats.h"
#include "evals/probes/task.h"

enum { DOCUMENTS = 16, ASKED = 8, MOST_CONTEXTS = 8, CODES = 2 * DOCUMENTS };

#define NEIGHBOUR 0.75 /* cosine of neighbouring facts' keys */
#define COPIED    0.75 /* tokens that a document has from the one before */
#define SAME      0.5  /* facts that say what the one before says */

static const char *const offsets[] = {
    "offset -15", "offset -14", "offset -13", "offset -12", "offset -11", "offset -10", "offset -9",
    "offset -8",  "offset -7",  "offset -6",  "offset -5",  "offset -4",  "offset -3",  "offset -2",
    "offset -1",  "offset 0",   "offset 1",   "offset 2",   "offset 3",   "offset 4",   "offset 5",
    "offset 6",   "offset 7",   "offset 8",   "offset 9",   "offset 10",  "offset 11",  "offset 12",
    "offset 13",  "offset 14",  "offset 15"};

/* First token of document d; what lies before the first and after the last belongs to none. */
static int64_t start_of(const probe_circuit *c, int64_t d)
{
    const int64_t edge = c->len / 32 > 4 ? c->len / 32 : 4;

    return edge + (c->len - 2 * edge) * d / DOCUMENTS;
}

/* Fills document d: mostly with the one before it. */
static void write_document(const probe_circuit *c, att_rng *rng, int64_t g, int64_t d)
{
    const int64_t from = start_of(c, d), to = start_of(c, d + 1);
    const int64_t before = d ? start_of(c, d - 1) : 0;

    for (int64_t j = from; j < to; j++) {
        const int64_t here = g * c->len + j, there = g * c->len + before + j - from;
        probe_mark(c, g, j, PROBE_MARKS + d, 1);
        if (d == 0 || att_rng_unit(rng) >= COPIED)
            continue;
        memcpy(c->k + here * PROBE_CODE, c->k + there * PROBE_CODE, PROBE_CODE * sizeof *c->k);
        memcpy(c->v + here * c->width, c->v + there * c->width, PROBE_CODE * sizeof *c->v);
    }
}

static att_status ask(probe_circuit *c, att_rng *rng, int64_t g, const int64_t *at,
                      const int64_t *says)
{
    int64_t gold[ASKED];

    probe_places(rng, 0, DOCUMENTS, ASKED, gold);
    for (int64_t i = 0; i < ASKED; i++) {
        const int64_t j = at[gold[i]];
        probe_question a = probe_needle(c, g, i, j, says[gold[i]], DOCUMENTS + i);
        a.kind = gold[i];
        if (!probe_ask(c, a, 0))
            return ATT_NO_MEMORY;
        memcpy(probe_query(c, &a, c->q), c->k + (g * c->len + j) * PROBE_CODE,
               PROBE_CODE * sizeof *c->q);
    }
    return ATT_OK;
}

/* One context.  Codes 0..15 turn a fact's key from that of the fact before, 16..31 are values. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t code[CODES], at[DOCUMENTS], says[DOCUMENTS] = {0};

    for (int64_t i = 0; i < CODES; i++)
        code[i] = i;
    att_rng_shuffle(rng, code, CODES, sizeof *code);
    for (int64_t d = 0; d < DOCUMENTS; d++)
        write_document(c, rng, g, d);
    for (int64_t d = 0; d < DOCUMENTS; d++) {
        const int64_t from = start_of(c, d), n = start_of(c, d + 1) - from;
        float *key = c->k;
        at[d] = from + (int64_t)att_rng_below(rng, (uint64_t)n);
        says[d] = d && att_rng_unit(rng) < SAME ? says[d - 1] : code[DOCUMENTS + d];
        probe_put(c, g, at[d], code[d], says[d]);
        key += (g * c->len + at[d]) * PROBE_CODE;
        if (d)
            probe_near(c->k + (g * c->len + at[d - 1]) * PROBE_CODE, key, NEIGHBOUR, key);
    }
    return ask(c, rng, g, at, says);
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    att_status status;

    if (c->len < 64 || c->facts != DOCUMENTS) {
        att_why_set(why, "%d documents of some tokens each need at least 64", DOCUMENTS);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 1024 ? 3 : MOST_CONTEXTS;
    c->heads = ASKED;
    c->rows = 1;
    status = probe_circuit_open(c, DOCUMENTS + ASKED, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, CODES);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* Weight outside all documents. */
static double outside(const float *row)
{
    double rest = (double)row[PROBE_ALL];

    for (int64_t d = 0; d < DOCUMENTS; d++)
        rest -= (double)row[PROBE_MARKS + d];
    return rest;
}

/* The document with most weight; -1: none has more than what lies outside of all. */
static int64_t cited(const float *row)
{
    double most = fmax(outside(row), 0);
    int64_t found = -1;

    if (!isfinite(most) || !isfinite(outside(row)))
        return -1;
    for (int64_t d = 0; d < DOCUMENTS; d++)
        if ((double)row[PROBE_MARKS + d] > most) {
            most = (double)row[PROBE_MARKS + d];
            found = d;
        }
    return found;
}

static bool answered(const probe_circuit *c, const probe_question *a, const float *row)
{
    double margin;

    return probe_nearest(c, row, 0, PROBE_CODES, a->answer, &margin) == a->answer;
}

/* Right: the value and its document.  The score: how much more weight the document has than any
 * other. */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, out);
    const int64_t source = cited(row);
    double other = outside(row);

    for (int64_t d = 0; d < DOCUMENTS; d++)
        if (d != a->kind)
            other = fmax(other, (double)row[PROBE_MARKS + d]);
    return (probe_outcome){.hit = source == a->kind && answered(c, a, row),
                           .score = (double)row[PROBE_MARKS + a->kind] - other,
                           .note = source < 0 ? "no document"
                                              : offsets[source - a->kind + DOCUMENTS - 1]};
}

static double chance(const probe_circuit *c)
{
    (void)c;
    return 1.0 / (PROBE_CODES * DOCUMENTS);
}

static double weight_on(const float *row, int64_t d)
{
    return d >= 0 && d < DOCUMENTS ? (double)row[PROBE_MARKS + d] : 0;
}

/* E[offset] over what was cited, the contexts as clusters. */
static void record_offset(att_ctx *x, const double *sum, const int64_t *n, int64_t contexts)
{
    double mean[MOST_CONTEXTS], all = 0;
    int64_t clusters = 0, cites = 0;

    for (int64_t g = 0; g < contexts; g++) {
        all += sum[g];
        cites += n[g];
        if (n[g])
            mean[clusters++] = sum[g] / (double)n[g];
    }
    if (!cites)
        return;
    const att_interval ci = att_mean_interval(mean, (size_t)clusters, 0.95);
    att_ctx_record_n(x, "offset_mean", all / (double)cites, cites, ci.lo, ci.hi);
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    const double n = (double)c->n_asked;
    int64_t right = 0, sourced = 0, near = 0, gone = 0, cites[MOST_CONTEXTS] = {0};
    double before = 0, gold = 0, after = 0, beyond = 0, all = 0, offset[MOST_CONTEXTS] = {0};

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const float *row = probe_row(c, a, out);
        const int64_t source = cited(row), off = source - a->kind;
        const bool hit = answered(c, a, row);
        right += hit;
        sourced += hit && source == a->kind;
        gone += source < 0;
        near += source >= 0 && (off == 1 || off == -1);
        if (source >= 0) {
            offset[a->context] += (double)off;
            cites[a->context]++;
        }
        before += weight_on(row, a->kind - 1);
        gold += weight_on(row, a->kind);
        after += weight_on(row, a->kind + 1);
        beyond += outside(row);
        all += (double)row[PROBE_ALL];
    }
    probe_share(x, "answer_right", right, c->n_asked);
    probe_share(x, "source_right", sourced, right);
    probe_share(x, "off_by_one", near, c->n_asked);
    probe_share(x, "out_of_range", gone, c->n_asked);
    record_offset(x, offset, cites, c->contexts);
    att_ctx_record(x, "mass_gold", gold / n);
    att_ctx_record(x, "mass_before", before / n);
    att_ctx_record(x, "mass_after", after / n);
    att_ctx_record(x, "mass_other", (all - beyond - gold - before - after) / n);
    att_ctx_record(x, "mass_outside", beyond / n);
}

const probe_task probe_task_citation = {.name = "citation",
                                        .exposes = "right fact, wrong source",
                                        .spares = "top_one",
                                        .facts = DOCUMENTS,
                                        .theory = true,
                                        .make = make,
                                        .chance = chance,
                                        .judge = judge,
                                        .record = record};
