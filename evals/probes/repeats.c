/* SPDX-License-Identifier: Apache-2.0 */
/* repeats: a token repeated n times beside its twin of n + 1.  A sequence is n equal tokens and a
 * marker; its query meets the marker r times as well as each of them and nothing else, so that
 * softmax gives the marker 1 / (1 + n / r): the twins' outputs come together as r / n^2, and the
 * count is read off while they can be told apart.  r is measured on a sequence of one.
 *
 * Source: Barbero et al. 2024, "Transformers need glasses! Information over-squashing in language
 * tasks". */
#include <math.h>
#include <string.h>

#include "evals/probes/task.h"

/* Sequence 0 is the one that r is measured on, 2 p + 1 and 2 p + 2 are twins; each has an axis of
 * its own, which no other key touches. */
enum { PAIRS = 4, SEQUENCES = 1 + 2 * PAIRS, MOST_CONTEXTS = 3, VALUES = 2 * (1 + PAIRS) };

#define REPEATED 0.875 /* cosine of a repeated token; the marker's is 1 */

/* Repeats of a sequence: 1; 2, ..., len / 4, evenly on a logarithmic scale; and one more. */
static int64_t repeats_of(const probe_circuit *c, int64_t s)
{
    const double most = (double)(c->len / 4);

    if (s == 0)
        return 1;
    return lround(2 * pow(most / 2, (double)((s - 1) / 2) / (PAIRS - 1))) + (s - 1) % 2;
}

/* A key at this cosine from axis s: its own direction goes the rest of the way. */
static void turn(float *key, int64_t s, double cosine)
{
    double size = 0;

    for (int64_t d = SEQUENCES; d < PROBE_CODE; d++)
        size += (double)key[d] * (double)key[d];
    for (int64_t d = 0; d < PROBE_CODE; d++)
        key[d] = d >= SEQUENCES ? (float)(sqrt((1 - cosine * cosine) / size) * (double)key[d])
                 : d == s       ? (float)cosine
                                : 0;
}

/* Writes n tokens of sequence s from `at` on, all alike: the pair's code and value. */
static void write_tokens(const probe_circuit *c, int64_t g, int64_t s, int64_t at, int64_t n,
                         bool marker)
{
    const int64_t code = 2 * ((s + 1) / 2) + marker;

    for (int64_t j = at; j < at + n; j++) {
        probe_put(c, g, j, code, code);
        turn(c->k + (g * c->len + j) * PROBE_CODE, s, marker ? 1 : REPEATED);
        probe_mark(c, g, j, PROBE_MARKS + 2 * s + marker, 1);
    }
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t order[SEQUENCES], used = 0, at = 0;

    for (int64_t s = 0; s < SEQUENCES; s++) {
        order[s] = s;
        used += repeats_of(c, s) + 1;
    }
    att_rng_shuffle(rng, order, SEQUENCES, sizeof *order);
    for (int64_t j = 0; j < c->len; j++)
        turn(c->k + (g * c->len + j) * PROBE_CODE, 0, 0);
    for (int64_t o = 0; o < SEQUENCES; o++) {
        const int64_t s = order[o], n = repeats_of(c, s);
        at += (int64_t)att_rng_below(rng, (uint64_t)((c->len - used) / SEQUENCES + 1));
        write_tokens(c, g, s, at, n, false);
        write_tokens(c, g, s, at + n, 1, true);
        at += n + 1;
        probe_question a = {.context = g,
                            .head = s,
                            .answer = 2 * ((s + 1) / 2) + 1,
                            .mark = PROBE_MARKS + 2 * s + 1,
                            .rival = PROBE_MARKS + 2 * s,
                            .kind = s,
                            .at = (double)(at - 1) / (double)c->len};
        if (!probe_ask(c, a, 0))
            return ATT_NO_MEMORY;
        float *q = probe_query(c, &a, c->q);
        memset(q, 0, PROBE_CODE * sizeof *q);
        q[s] = 1;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->len < 128 || c->facts != PAIRS) {
        att_why_set(why, "%d pairs of sequences need at least 128 tokens", PAIRS);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len > 16384 ? 2 : MOST_CONTEXTS;
    c->heads = SEQUENCES;
    c->rows = 1;
    att_status status = probe_circuit_open(c, 2 * SEQUENCES, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, VALUES);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

static const float *row_of(const probe_circuit *c, int64_t g, int64_t s, const float *out)
{
    return probe_row(c, &(probe_question){.context = g, .head = s}, out);
}

/* How often the repeated tokens of sequence s outweigh its marker. */
static double ratio_of(const probe_circuit *c, int64_t g, int64_t s, const float *out)
{
    const float *row = row_of(c, g, s, out) + PROBE_MARKS + 2 * s;

    return (double)row[0] / (double)row[1];
}

/* Repeats as the weights have them; not finite where the marker has no weight. */
static double count_of(const probe_circuit *c, int64_t g, int64_t s, const float *out)
{
    return ratio_of(c, g, s, out) / ratio_of(c, g, 0, out);
}

/* Right: the count to the unit; of sequence 0, whose count is 1 by definition, the marker's value.
 */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const double n = (double)repeats_of(c, a->kind), count = count_of(c, a->context, a->kind, out);
    const float *row = probe_row(c, a, out);
    probe_outcome o = {.score = -fabs(log(count / n))};

    if (a->kind == 0) {
        o.hit = probe_nearest(c, row, 0, PROBE_CODES, a->answer, &o.score) == a->answer;
        return o;
    }
    o.hit = fabs(count - n) < 0.5; /* false for what is not finite */
    o.note = o.hit || !isfinite(count) ? NULL : count < n ? "counted too few" : "counted too many";
    return o;
}

/* Between the outputs of sequence s and its twin, over the values' dimensions. */
static double distance_of(const probe_circuit *c, int64_t g, int64_t s, const float *out)
{
    const float *a = row_of(c, g, s, out), *b = row_of(c, g, s + 1, out);
    double sum = 0;

    for (int d = 0; d < PROBE_CODE; d++)
        sum += ((double)a[d] - (double)b[d]) * ((double)a[d] - (double)b[d]);
    return sqrt(sum);
}

/* The same by softmax: the marker's weights differ, times the distance of the two values. */
static double distance_by_softmax(const probe_circuit *c, int64_t g, int64_t s, const float *out)
{
    const float *value = c->code + (int64_t)(2 * ((s + 1) / 2)) * PROBE_CODE;
    const double one = ratio_of(c, g, 0, out), n = (double)repeats_of(c, s);
    double sum = 0;

    for (int d = 0; d < PROBE_CODE; d++) {
        const double apart = (double)value[d] - (double)value[PROBE_CODE + d];
        sum += apart * apart;
    }
    return (1 / (1 + n * one) - 1 / (1 + (n + 1) * one)) * sqrt(sum);
}

static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    const int64_t last = 2 * PAIRS - 1;
    double apart = 0, by_softmax = 0;
    int64_t exact = 0;

    for (int64_t s = 1; s < SEQUENCES; s++) {
        int64_t right = 0;
        for (int64_t g = 0; g < c->contexts; g++)
            right += fabs(count_of(c, g, s, out) - (double)repeats_of(c, s)) < 0.5;
        if (right < c->contexts)
            break;
        exact = repeats_of(c, s);
    }
    for (int64_t g = 0; g < c->contexts; g++) {
        apart += distance_of(c, g, last, out) / (double)c->contexts;
        by_softmax += distance_by_softmax(c, g, last, out) / (double)c->contexts;
    }
    att_ctx_record(x, "exact_repeats", (double)exact);
    att_ctx_record(x, "repeats_asked", (double)repeats_of(c, last + 1));
    att_ctx_record(x, "twin_distance", apart);
    if (isfinite(by_softmax)) /* not where a marker has no weight */
        att_ctx_record(x, "twin_distance_predicted", by_softmax);
}

const probe_task probe_task_repeats = {.name = "repeats",
                                       .exposes = "repeats that run together",
                                       .spares = "uniform",
                                       .facts = PAIRS,
                                       .make = make,
                                       .judge = judge,
                                       .record = record};
