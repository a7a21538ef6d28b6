/* SPDX-License-Identifier: Apache-2.0 */
/* What every circuit is made of: codes, haystacks, places, questions. */
#include "evals/probes/circuit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

static att_status make_codes(att_ctx *x, void *arg, void **out)
{
    att_rng all = att_rng_make(1, "codes");
    float *code = malloc((size_t)PROBE_CODES * PROBE_CODE * sizeof *code);

    (void)x, (void)arg;
    if (!code)
        return ATT_NO_MEMORY;
    for (int64_t c = 0; c < PROBE_CODES; c++) {
        att_rng rng = att_rng_split(&all, (uint64_t)c);
        double v[PROBE_CODE], size = 0;
        for (int d = 0; d < PROBE_CODE; d++) {
            v[d] = att_rng_normal(&rng);
            size += v[d] * v[d];
        }
        for (int d = 0; d < PROBE_CODE; d++)
            code[c * PROBE_CODE + d] = (float)(v[d] / sqrt(size));
    }
    *out = code;
    return ATT_OK;
}

att_status probe_codes(att_ctx *x, const float **out)
{
    void *code = NULL;
    att_status status = att_ctx_shared(x, "run:codes", make_codes, NULL, free, &code);

    *out = code;
    return status;
}

static void write_columns(const probe_circuit *c, att_rng *rng)
{
    for (int64_t j = 0; j < c->contexts * c->len; j++) {
        float *v = c->v + j * c->width;
        uint64_t signs = att_rng_u64(rng);
        memset(v + PROBE_CODE, 0, (size_t)(c->width - PROBE_CODE) * sizeof *v);
        v[PROBE_ALL] = 1;
        v[PROBE_FIRST] = j % c->len < 4;
        for (int s = 0; s < PROBE_N_SIGNS; s++)
            v[PROBE_SIGNS + s] = signs >> s & 1 ? 1 : -1;
    }
}

att_status probe_circuit_open(probe_circuit *c, int64_t marks, att_rng *rng)
{
    size_t tokens = (size_t)(c->contexts * c->len);
    size_t rows = (size_t)(c->contexts * c->heads * c->rows);

    c->width = (PROBE_MARKS + marks + 7) / 8 * 8;
    c->k = malloc(tokens * PROBE_CODE * sizeof *c->k);
    c->v = malloc(tokens * (size_t)c->width * sizeof *c->v);
    c->q = calloc(rows * PROBE_CODE, sizeof *c->q);
    if (!c->k || !c->v || !c->q)
        return ATT_NO_MEMORY;
    write_columns(c, rng);
    return ATT_OK;
}

void probe_circuit_drop(void *circuit)
{
    probe_circuit *c = circuit;

    if (!c)
        return;
    free(c->k);
    free(c->v);
    free(c->q);
    free(c->asked);
    free(c->drawn);
    free(c->own);
    free(c);
}

att_status probe_draw(probe_circuit *c, att_rng *rng, int64_t n)
{
    int64_t all[PROBE_HAY];

    c->n_drawn = n;
    c->drawn = malloc((size_t)(c->contexts * n) * sizeof *c->drawn);
    if (!c->drawn)
        return ATT_NO_MEMORY;
    for (int64_t i = 0; i < PROBE_HAY; i++)
        all[i] = i;
    for (int64_t g = 0; g < c->contexts; g++) {
        att_rng_shuffle(rng, all, PROBE_HAY, sizeof *all);
        memcpy(c->drawn + g * n, all, (size_t)n * sizeof *all);
    }
    return ATT_OK;
}

int64_t probe_drawn(const probe_circuit *c, int64_t context, int64_t i)
{
    return c->drawn[context * c->n_drawn + i];
}

void probe_put(const probe_circuit *c, int64_t context, int64_t at, int64_t key, int64_t value)
{
    const int64_t j = context * c->len + at;

    memcpy(c->k + j * PROBE_CODE, c->code + key * PROBE_CODE, PROBE_CODE * sizeof *c->k);
    memcpy(c->v + j * c->width, c->code + value * PROBE_CODE, PROBE_CODE * sizeof *c->v);
}

void probe_near(const float *a, const float *b, double cosine, float *out)
{
    double dot = 0, size = 0, side[PROBE_CODE];

    for (int d = 0; d < PROBE_CODE; d++)
        dot += (double)a[d] * (double)b[d];
    for (int d = 0; d < PROBE_CODE; d++) {
        side[d] = (double)b[d] - dot * (double)a[d];
        size += side[d] * side[d];
    }
    for (int d = 0; d < PROBE_CODE; d++)
        out[d] = (float)(cosine * (double)a[d] + sqrt((1 - cosine * cosine) / size) * side[d]);
}

void probe_put_near(const probe_circuit *c, int64_t context, int64_t at, int64_t key, int64_t to,
                    double cosine, int64_t value)
{
    probe_put(c, context, at, key, value);
    probe_near(c->code + key * PROBE_CODE, c->code + to * PROBE_CODE, cosine,
               c->k + (context * c->len + at) * PROBE_CODE);
}

void probe_mark(const probe_circuit *c, int64_t context, int64_t at, int64_t column, float value)
{
    c->v[(context * c->len + at) * c->width + column] = value;
}

void probe_narrow(float *vector, int64_t n, int64_t dims)
{
    for (int64_t i = 0; i < n && dims < PROBE_CODE; i++, vector += PROBE_CODE) {
        double size = 0;
        for (int64_t d = 0; d < dims; d++)
            size += (double)vector[d] * (double)vector[d];
        for (int64_t d = 0; d < PROBE_CODE; d++)
            vector[d] = d < dims && size > 0 ? (float)((double)vector[d] / sqrt(size)) : 0;
    }
}

/* Rank r of n words with probability near 1 / ((r + 1) ln(n + 1)): exp of a uniform logarithm. */
static int64_t zipf(att_rng *rng, int64_t n)
{
    int64_t r = (int64_t)exp(att_rng_unit(rng) * log((double)(n + 1))) - 1;

    return r < n ? r : n - 1;
}

void probe_hay_of(const probe_circuit *c, att_rng *rng, int64_t context, int64_t first,
                  const int64_t *order)
{
    const int64_t n = PROBE_CODES - first;
    const char *how = c->haystack ? c->haystack : "noise";
    const bool prose = strcmp(how, "prose") == 0, needles = strcmp(how, "needles") == 0;
    int64_t start = (int64_t)att_rng_below(rng, (uint64_t)n);

    if (strcmp(how, "none") == 0) {
        for (int64_t j = context * c->len; j < (context + 1) * c->len; j++) {
            memset(c->k + j * PROBE_CODE, 0, PROBE_CODE * sizeof *c->k);
            memset(c->v + j * c->width, 0, PROBE_CODE * sizeof *c->v);
        }
        return;
    }
    for (int64_t j = 0; j < c->len; j++) {
        /* Steps of a prime: all codes before one comes again, unless it divides n. */
        int64_t key = first + (needles ? (start + j * 1031) % n
                               : prose ? zipf(rng, n)
                                       : (int64_t)att_rng_below(rng, (uint64_t)n));
        int64_t value = first + (int64_t)att_rng_below(rng, (uint64_t)n);
        probe_put(c, context, j, order ? order[key] : key, order ? order[value] : value);
    }
}

void probe_hay(const probe_circuit *c, att_rng *rng, int64_t first)
{
    for (int64_t g = 0; g < c->contexts; g++)
        probe_hay_of(c, rng, g, first, NULL);
}

void probe_places(att_rng *rng, int64_t from, int64_t to, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t lo = from + (to - from) * i / n, hi = from + (to - from) * (i + 1) / n;
        out[i] = lo + (int64_t)att_rng_below(rng, (uint64_t)(hi - lo));
    }
}

att_status probe_interleave(att_rng *rng, int64_t from, int64_t to, int64_t lists, int64_t each,
                            int64_t *out)
{
    const int64_t n = lists * each;
    int64_t *all = calloc((size_t)(2 * n + lists), sizeof *all);
    int64_t *owner = all ? all + n : NULL, *used = all ? owner + n : NULL;

    if (!all)
        return ATT_NO_MEMORY;
    probe_places(rng, from, to, n, all);
    for (int64_t i = 0; i < n; i++)
        owner[i] = i / each;
    att_rng_shuffle(rng, owner, (size_t)n, sizeof *owner);
    for (int64_t i = 0; i < n; i++)
        out[owner[i] * each + used[owner[i]]++] = all[i];
    free(all);
    return ATT_OK;
}

probe_question *probe_ask(probe_circuit *c, probe_question question, int64_t code)
{
    if (c->n_asked == c->room) {
        int64_t room = c->room ? 2 * c->room : 64;
        probe_question *more = realloc(c->asked, (size_t)room * sizeof *more);
        if (!more)
            return NULL;
        c->asked = more;
        c->room = room;
    }
    c->asked[c->n_asked] = question;
    memcpy(probe_query(c, &question, c->q), c->code + code * PROBE_CODE, PROBE_CODE * sizeof *c->q);
    return &c->asked[c->n_asked++];
}

probe_question probe_needle(const probe_circuit *c, int64_t context, int64_t head, int64_t at,
                            int64_t value, int64_t mark)
{
    if (mark >= 0)
        probe_mark(c, context, at, PROBE_MARKS + mark, 1);
    return (probe_question){.context = context,
                            .head = head,
                            .row = c->rows - 1,
                            .answer = value,
                            .mark = mark < 0 ? -1 : PROBE_MARKS + mark,
                            .rival = -1,
                            .evidence = {at},
                            .n_evidence = 1,
                            .at = (double)at / (double)c->len};
}

att_status probe_hide(probe_circuit *c, int64_t context, int64_t head, int64_t at, int64_t key,
                      int64_t value, int64_t kind)
{
    probe_put(c, context, at, key, value);
    probe_question a = probe_needle(c, context, head, at, value, head);
    a.kind = kind;
    return probe_ask(c, a, key) ? ATT_OK : ATT_NO_MEMORY;
}

att_status probe_needles(probe_circuit *c, att_rng *rng, int64_t hay)
{
    const int64_t n = c->facts;
    int64_t *at = calloc((size_t)(2 * n), sizeof *at), *value = at ? at + n : NULL;

    c->heads = n;
    c->rows = 1;
    att_status status = at ? probe_circuit_open(c, n, rng) : ATT_NO_MEMORY;
    if (status == ATT_OK)
        probe_hay(c, rng, hay);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++) {
        probe_places(rng, 0, c->len, n, at);
        for (int64_t i = 0; i < n; i++)
            value[i] = n + i;
        att_rng_shuffle(rng, value, (size_t)n, sizeof *value);
        for (int64_t i = 0; i < n && status == ATT_OK; i++)
            status = probe_hide(c, g, i, at[i], i, value[i], 0);
    }
    free(at);
    return status;
}

static int64_t row_of(const probe_circuit *c, const probe_question *a)
{
    return (a->context * c->heads + a->head) * c->rows + a->row;
}

float *probe_query(const probe_circuit *c, const probe_question *question, float *q)
{
    return q + row_of(c, question) * PROBE_CODE;
}

const float *probe_row(const probe_circuit *c, const probe_question *question, const float *out)
{
    return out + row_of(c, question) * c->width;
}

const float *probe_hop(const probe_circuit *c, const float *out, int64_t hop)
{
    return out + hop * c->contexts * c->heads * c->rows * c->width;
}

int64_t probe_position(const probe_circuit *c, const probe_question *question)
{
    return c->len - c->rows + question->row;
}

/* In four sums, so that the additions of one need not wait for each other: all codes are tried for
 * every answer. */
static double dot_of(const double *vector, const float *code)
{
    double a = 0, b = 0, c = 0, e = 0;

    for (int d = 0; d < PROBE_CODE; d += 4) {
        a += vector[d] * (double)code[d];
        b += vector[d + 1] * (double)code[d + 1];
        c += vector[d + 2] * (double)code[d + 2];
        e += vector[d + 3] * (double)code[d + 3];
    }
    return (a + b) + (c + e);
}

int64_t probe_nearest(const probe_circuit *c, const float *vector, int64_t first, int64_t n,
                      int64_t answer, double *margin)
{
    double wide[PROBE_CODE];
    double best = -(double)INFINITY, other = best, right = best;
    int64_t found = -1;

    *margin = NAN;
    for (int d = 0; d < PROBE_CODE; d++)
        wide[d] = (double)vector[d];
    for (int64_t i = first; i < first + n; i++) {
        const double near = dot_of(wide, c->code + i * PROBE_CODE);
        if (!isfinite(near))
            return -1;
        if (near > best) {
            best = near;
            found = i;
        }
        if (i == answer)
            right = near;
        else if (near > other)
            other = near;
    }
    if (isfinite(right) && isfinite(other))
        *margin = right - other;
    return found;
}

void probe_share(att_ctx *x, const char *metric, int64_t hits, int64_t n)
{
    const att_interval ci = att_wilson((double)hits, (double)n, 0.95);

    if (n)
        att_ctx_record_n(x, metric, (double)hits / (double)n, n, ci.lo, ci.hi);
}
