/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/effective.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rate.h"

#define CONFIDENCE 0.95

/* A record with the length that is read from its parameters once. */
typedef struct place {
    const att_record *r;
    double length;
} place;

typedef struct map {
    place *at;
    size_t n;
    const char *dense;
} map;

typedef struct reach {
    double share, lo, hi, chance;
    size_t n;
} reach;

static bool is_whole(const att_record *r)
{
    return r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_INCONCLUSIVE ||
           r->status == ATT_NO_POWER;
}

static int by_length(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lengths of a measure, ascending, each once; their number.  room: one a record. */
static size_t lengths_of(const map *m, const char *measure, double *room)
{
    size_t all = 0, n = 0;

    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->at[i].r->measure, measure) == 0)
            room[all++] = m->at[i].length;
    qsort(room, all, sizeof *room, by_length);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || room[i] != room[n - 1])
            room[n++] = room[i];
    return n;
}

/* What a kernel reaches at a length.  A case that the kernel did not answer is no item and no miss:
 * the length then has none at all; one that was not run leaves fewer.  false: no memory. */
static bool reach_of(const map *m, const char *measure, const char *kernel, double length,
                     reach *out)
{
    att_hits h = {0};
    bool good = true, hole = false;

    for (size_t i = 0; i < m->n && good; i++) {
        const att_record *r = m->at[i].r;
        if (m->at[i].length != length || strcmp(r->measure, measure) != 0 ||
            strcmp(r->kernel, kernel) != 0)
            continue;
        hole |= !is_whole(r) && r->status != ATT_NOT_RUN;
        good = !is_whole(r) || att_hits_add(&h, r);
    }
    *out = (reach){.share = att_hits_share(&h), .chance = h.chance, .n = hole ? 0 : h.n};
    if (out->n > 0) {
        att_interval interval = att_hits_interval(&h, CONFIDENCE);
        out->lo = interval.lo;
        out->hi = interval.hi;
    }
    att_hits_drop(&h);
    return good;
}

/* Whether dense clears chance and its share at a length; base: its own at the shortest. */
static bool has_power(const reach *dense, const reach *base)
{
    return dense->n > 0 && dense->lo > dense->chance &&
           dense->lo >= ATT_EFFECTIVE_SHARE * base->share;
}

/* One step; true: the length holds, else *end says why not. */
static bool holds(const reach *own, const reach *base, bool first, att_effective_end *end)
{
    double least = ATT_EFFECTIVE_SHARE * base->share;

    if (own->n == 0)
        *end = ATT_ENDS_HOLE;
    else if (first && !(own->lo > own->chance))
        *end = ATT_ENDS_CHANCE;
    else if (!(own->lo >= least))
        *end = own->hi < least ? ATT_ENDS_LOSS : ATT_ENDS_FEW;
    else
        return true;
    return false;
}

static bool fill(const map *m, const double *lengths, size_t n, att_effective *e)
{
    reach dense_base = {0}, base = {0};

    e->length = e->next = e->base = NAN;
    e->base_length = lengths[0];
    e->end = ATT_ENDS_LONGEST;
    for (size_t i = 0; i < n; i++) {
        reach dense, own;
        if (!reach_of(m, e->measure, m->dense, lengths[i], &dense) ||
            !reach_of(m, e->measure, e->kernel, lengths[i], &own))
            return false;
        if (i == 0) {
            dense_base = dense;
            base = own;
            e->base = own.share;
        }
        e->next = lengths[i];
        if (!has_power(&dense, &dense_base)) {
            e->end = dense.n > 0 ? ATT_ENDS_NO_POWER : ATT_ENDS_HOLE;
            return true;
        }
        if (!holds(&own, &base, i == 0, &e->end))
            return true;
        e->length = lengths[i];
    }
    e->next = NAN;
    return true;
}

static bool is_new(const att_effective *rows, size_t n, const att_record *r)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].measure, r->measure) == 0 && strcmp(rows[i].kernel, r->kernel) == 0)
            return false;
    return true;
}

att_status att_effective_find(const att_result *result, const char *dense, att_effective **out,
                              size_t *n)
{
    map m = {calloc(result->n_records + 1, sizeof *m.at), 0, dense};
    double *lengths = calloc(result->n_records + 1, sizeof *lengths);
    att_effective *rows = calloc(result->n_records + 1, sizeof *rows);
    bool good = m.at && lengths && rows;

    *n = 0;
    for (size_t i = 0; i < result->n_records && good; i++) {
        const att_record *r = &result->records[i];
        double length = r->measure && r->kernel && (r->n_items > 0 || !isnan(r->chance))
                            ? att_record_length(r)
                            : NAN;
        if (!isnan(length))
            m.at[m.n++] = (place){r, length};
    }
    for (size_t i = 0; i < m.n && good; i++) {
        size_t k = is_new(rows, *n, m.at[i].r) ? lengths_of(&m, m.at[i].r->measure, lengths) : 0;
        if (k < 2)
            continue;
        rows[*n] = (att_effective){.measure = m.at[i].r->measure, .kernel = m.at[i].r->kernel};
        good = fill(&m, lengths, k, &rows[(*n)++]);
    }
    free(m.at);
    free(lengths);
    if (good)
        *out = rows;
    else
        free(rows);
    return good ? ATT_OK : ATT_NO_MEMORY;
}

const char *att_effective_why(att_effective_end end)
{
    static const char *const words[] = {
        [ATT_ENDS_LONGEST] = "longest measured", [ATT_ENDS_LOSS] = "loss",
        [ATT_ENDS_FEW] = "too few items",        [ATT_ENDS_NO_POWER] = "no power",
        [ATT_ENDS_HOLE] = "not answered",        [ATT_ENDS_CHANCE] = "at chance"};

    return (size_t)end < sizeof words / sizeof *words ? words[end] : "?";
}

void att_effective_text(const att_effective *e, char *out, size_t size)
{
    const char *why = att_effective_why(e->end);

    if (isnan(e->length))
        snprintf(out, size, "none (%s at %g)", why, e->next);
    else if (isnan(e->next))
        snprintf(out, size, "%g or more", e->length);
    else
        snprintf(out, size, "%g (%s at %g)", e->length, why, e->next);
}
