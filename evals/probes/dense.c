/* SPDX-License-Identifier: Apache-2.0 */
/* p_j = exp(match cos_j - m) / sum, o = sum p_j v_j, over the keys up to the question's position.
 * Weights below 2^-60 of the sum are left out of o: all of them together are less than its
 * rounding. */
#include "evals/probes/dense.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOM (INT64_C(1) << 22)
#define NONE 0x1p-60

static void drop(void *dense)
{
    probe_dense *d = dense;

    if (!d)
        return;
    free(d->which);
    free(d->weight);
    free(d->out);
    free(d->entropy);
    free(d->keys_95);
    free(d->keys_effective);
    free(d->longest);
    free(d);
}

static void weigh(const probe_circuit *c, const probe_question *a, double match, double *w)
{
    const int64_t keys = probe_position(c, a) + 1;
    const float *q = probe_query(c, a, c->q), *k = c->k + a->context * c->len * PROBE_CODE;
    double top = -(double)INFINITY, sum = 0;

    for (int64_t j = 0; j < keys; j++) {
        double dot = 0;
        for (int64_t d = 0; d < PROBE_CODE; d++)
            dot += (double)q[d] * (double)k[j * PROBE_CODE + d];
        w[j] = match * dot;
        top = fmax(top, w[j]);
    }
    for (int64_t j = 0; j < keys; j++)
        sum += w[j] = exp(w[j] - top);
    for (int64_t j = 0; j < keys; j++)
        w[j] /= sum;
}

double probe_dense_mix(const probe_circuit *c, int64_t context, const double *weight,
                       const uint8_t *chosen, double *to)
{
    const float *v = c->v + context * c->len * c->width;
    double sum = 0;

    for (int64_t d = 0; d < PROBE_CODE; d++)
        to[d] = 0;
    for (int64_t j = 0; j < c->len; j++) {
        if (chosen && !chosen[j])
            continue;
        sum += weight[j];
        for (int64_t d = 0; d < PROBE_CODE && weight[j] > NONE; d++)
            to[d] += weight[j] * (double)v[j * c->width + d];
    }
    return sum;
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x < y) - (x > y);
}

/* What the weights are like; room [len].  Keys under 0.05 / n hold less than 5 % together. */
static void describe(const double *w, int64_t keys, double *room, probe_dense *d, int64_t s)
{
    double entropy = 0, squares = 0, held = 0;
    int64_t n = 0, fewest = 0;

    for (int64_t j = 0; j < keys; j++) {
        entropy -= w[j] > 0 ? w[j] * log(w[j]) : 0;
        squares += w[j] * w[j];
        if (w[j] * (double)keys >= 0.05)
            room[n++] = w[j];
    }
    qsort(room, (size_t)n, sizeof *room, descending);
    while (fewest < n && held < 0.95)
        held += room[fewest++];
    d->entropy[s] = keys > 1 ? entropy / log((double)keys) : 0;
    d->keys_95[s] = (double)fewest;
    d->keys_effective[s] = 1 / squares;
}

static void measure_values(const probe_circuit *c, probe_dense *d)
{
    for (int64_t r = 0; r < c->contexts * c->len; r++) {
        double size = 0;
        for (int64_t e = 0; e < PROBE_CODE; e++)
            size += (double)c->v[r * c->width + e] * (double)c->v[r * c->width + e];
        d->longest[r / c->len] = fmax(d->longest[r / c->len], sqrt(size));
    }
}

typedef struct wish {
    const probe_circuit *c;
    double match;
} wish;

static att_status make(att_ctx *x, void *arg, void **out)
{
    const wish *of = arg;
    const probe_circuit *c = of->c;
    const int64_t most = ROOM / c->len > 1 ? ROOM / c->len : 1;
    const int64_t n = c->n_asked < most ? c->n_asked : most;
    probe_dense *d = calloc(1, sizeof *d);
    double *room = malloc((size_t)c->len * sizeof *room);

    (void)x;
    if (!d || !room)
        goto none;
    *d = (probe_dense){.n = n,
                       .len = c->len,
                       .which = calloc((size_t)n + 1, sizeof *d->which),
                       .weight = calloc((size_t)(n * c->len) + 1, sizeof *d->weight),
                       .out = calloc((size_t)n * PROBE_CODE + 1, sizeof *d->out),
                       .entropy = calloc((size_t)n + 1, sizeof(double)),
                       .keys_95 = calloc((size_t)n + 1, sizeof(double)),
                       .keys_effective = calloc((size_t)n + 1, sizeof(double)),
                       .longest = calloc((size_t)c->contexts + 1, sizeof(double))};
    if (!d->which || !d->weight || !d->out || !d->entropy || !d->keys_95 || !d->keys_effective ||
        !d->longest)
        goto none;
    measure_values(c, d);
    for (int64_t s = 0; s < n; s++) {
        const probe_question *a = &c->asked[d->which[s] = s * c->n_asked / n];
        double *w = d->weight + s * c->len;
        weigh(c, a, of->match, w);
        describe(w, probe_position(c, a) + 1, room, d, s);
        probe_dense_mix(c, a->context, w, NULL, d->out + s * PROBE_CODE);
    }
    free(room);
    *out = d;
    return ATT_OK;
none:
    free(room);
    drop(d);
    *out = NULL;
    return ATT_NO_MEMORY;
}

att_status probe_dense_answer(att_ctx *x, const probe_circuit *c, double match,
                              const probe_dense **out)
{
    const wish of = {c, match};
    void *dense = NULL;
    char key[48];

    snprintf(key, sizeof key, "dense %a", match);
    att_status status = att_ctx_shared(x, key, make, (void *)&of, drop, &dense);
    *out = dense;
    return status;
}
