/* SPDX-License-Identifier: Apache-2.0 */
/* Results made by hand, for tests of what reads them. */
#ifndef ATT_MADE_H
#define ATT_MADE_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/result.h"

static inline att_result made_result(void)
{
    att_result r = {.run_id = strdup("20260101T000000Z-00000000"),
                    .suite = strdup("made"),
                    .plan_hash = strdup("0123456789abcdef"),
                    .shard = 1,
                    .shards = 1,
                    .status = strdup("complete"),
                    .env_class = strdup("x86_64-v3"),
                    .seconds = 1.5};
    return r;
}

/* Adds a case; `params` may be "".  The record stays valid until the next one is added. */
static inline att_record *made_record(att_result *result, const char *measure, const char *kernel,
                                      const char *params, uint64_t seed, att_outcome status)
{
    char text[2048];
    att_record *grown = realloc(result->records, (result->n_records + 1) * sizeof *result->records);

    if (!grown)
        abort();
    result->records = grown;
    att_record *r = &grown[result->n_records++];
    *r = (att_record){.measure = strdup(measure),
                      .kernel = strdup(kernel),
                      .params = strdup(params),
                      .seed = seed,
                      .status = status,
                      .chance = NAN,
                      .seconds = 0.25};
    snprintf(text, sizeof text, "%s %s%s%s", measure, kernel, *params ? " " : "", params);
    r->id = strdup(text);
    snprintf(text, sizeof text, "%s seed=%llu", r->id, (unsigned long long)seed);
    r->line = strdup(text);
    return r;
}

static inline att_metric *made_metric(att_record *r, const char *name, const char *unit,
                                      double value, double limit)
{
    att_metric *grown = realloc(r->metrics, (r->n_metrics + 1) * sizeof *r->metrics);

    if (!grown)
        abort();
    r->metrics = grown;
    att_metric *m = &grown[r->n_metrics++];
    *m = (att_metric){.name = strdup(name),
                      .unit = strdup(unit),
                      .better = ATT_LOWER,
                      .value = value,
                      .lo = NAN,
                      .hi = NAN,
                      .limit = limit,
                      .baseline = NAN,
                      .verdict = isnan(limit) ? -1 : value <= limit};
    return m;
}

/* Items from a text of '1' and '0'; `a_context` of them share a context; depths spread over 0..1.
 */
static inline void made_items(att_record *r, const char *hits, int32_t a_context)
{
    r->n_items = strlen(hits);
    r->items = calloc(r->n_items ? r->n_items : 1, sizeof *r->items);
    r->chance = 0.0;
    if (!r->items)
        abort();
    for (size_t i = 0; i < r->n_items; i++)
        r->items[i] = (att_item){.hit = hits[i] == '1',
                                 .cluster = (int32_t)i / a_context,
                                 .score = hits[i] == '1' ? 1.0 : -1.0,
                                 .at = r->n_items > 1 ? (double)i / (double)(r->n_items - 1) : 0};
}

static inline void made_diagnosis(att_record *r, const char *fault, const char *text, double ratio)
{
    r->diagnoses = calloc(1, sizeof *r->diagnoses);
    if (!r->diagnoses)
        abort();
    r->n_diagnoses = 1;
    r->diagnoses[0] = (att_diagnosis){.fault = strdup(fault), .text = strdup(text), .ratio = ratio};
}

#endif
