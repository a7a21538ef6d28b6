/* SPDX-License-Identifier: Apache-2.0 */
/* Records and results made by hand. */
#ifndef ATT_MADE_RECORD_H
#define ATT_MADE_RECORD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tests/suite.h"
#include "core/result.h"

static inline char *made_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

/* Adds a record; it stays where it is until the next one is added. */
static inline att_record *made_add(att_result *result, const char *measure, const char *kernel,
                                   const char *params, uint64_t seed, att_outcome status)
{
    char id[512], line[600];
    att_record *grown = realloc(result->records, (result->n_records + 1) * sizeof *grown);

    if (!grown)
        abort();
    result->records = grown;
    att_record *r = &grown[result->n_records++];
    snprintf(id, sizeof id, "%s %s%s%s", measure, kernel, *params ? " " : "", params);
    snprintf(line, sizeof line, "%s seed=%llu", id, (unsigned long long)seed);
    *r = (att_record){.measure = made_text(measure),
                      .kernel = made_text(kernel),
                      .params = made_text(params),
                      .id = made_text(id),
                      .line = made_text(line),
                      .seed = seed,
                      .status = status,
                      .chance = NAN};
    return r;
}

static inline att_metric *made_metric(att_record *r, const char *name, att_better better,
                                      double value)
{
    att_metric *grown = realloc(r->metrics, (r->n_metrics + 1) * sizeof *grown);

    if (!grown)
        abort();
    r->metrics = grown;
    att_metric *m = &grown[r->n_metrics++];
    *m = (att_metric){.name = made_text(name),
                      .unit = made_text("count"),
                      .better = better,
                      .value = value,
                      .lo = NAN,
                      .hi = NAN,
                      .limit = NAN,
                      .baseline = NAN,
                      .verdict = -1};
    return m;
}

/* n items, `a_context` of them in a context, of which the first `hits` are hit. */
static inline void made_items(att_record *r, size_t n, size_t hits, size_t a_context, double chance)
{
    r->items = calloc(n + 1, sizeof *r->items);
    if (!r->items)
        abort();
    r->n_items = n;
    r->chance = chance;
    for (size_t i = 0; i < n; i++)
        r->items[i] = (att_item){
            .hit = i < hits, .cluster = (int32_t)(i / a_context), .score = NAN, .at = NAN};
}

#endif
