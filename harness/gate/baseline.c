/* SPDX-License-Identifier: Apache-2.0 */
/* Baselines in memory: made of a result, taken over case by case.  Sorted, so that two can be
 * walked side by side: O(n log n). */
#include "gate/baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "core/declare.h"
#include "gate/baseline_own.h"

static int by_id(const void *a, const void *b)
{
    return strcmp(((const att_baseline_case *)a)->id, ((const att_baseline_case *)b)->id);
}

static int by_id_and_seed(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int c = strcmp(x->id, y->id);

    return c ? c : (x->seed > y->seed) - (x->seed < y->seed);
}

void att_baseline_case_drop(att_baseline_case *c)
{
    for (size_t i = 0; i < c->n_runs; i++)
        att_record_clear(&c->runs[i].record);
    free(c->runs);
    free(c->id);
    free(c->reason);
    *c = (att_baseline_case){0};
}

void att_baseline_drop(att_baseline *b)
{
    for (size_t i = 0; i < b->n_cases; i++)
        att_baseline_case_drop(&b->cases[i]);
    free(b->cases);
    att_declarations_drop(b->declarations, b->n_declarations);
    free(b->suite);
    free(b->reason);
    *b = (att_baseline){0};
}

const att_baseline_case *att_baseline_find(const att_baseline *b, const char *id)
{
    const att_baseline_case key = {.id = (char *)(uintptr_t)id};

    return b->n_cases ? bsearch(&key, b->cases, b->n_cases, sizeof key, by_id) : NULL;
}

const att_baseline_run *att_baseline_seed(const att_baseline_case *c, uint64_t seed)
{
    for (size_t i = 0; i < c->n_runs; i++)
        if (c->runs[i].record.seed == seed)
            return &c->runs[i];
    return NULL;
}

uint64_t att_baseline_questions(const att_record *r)
{
    uint64_t hash = r->n_items;

    for (size_t i = 0; i < r->n_items; i++) {
        const double at = isnan(r->items[i].at) ? -1 : r->items[i].at;
        const struct {
            uint64_t before;
            int64_t cluster;
            double at;
        } one = {hash, r->items[i].cluster, at};
        hash = att_hash64(&one, sizeof one);
    }
    return hash;
}

/* ------------------------------------------------------------------------- from a result */

bool att_baseline_identify(const char *id, att_record *r)
{
    const char *kernel = id + strcspn(id, " "), *end;
    bool quoted = false;

    kernel += *kernel == ' ';
    for (end = kernel; *end && (quoted || *end != ' '); end++)
        quoted ^= *end == '\'';
    r->id = strdup(id);
    r->measure = strndup(id, strcspn(id, " "));
    r->kernel = strndup(kernel, (size_t)(end - kernel));
    return r->id && r->measure && r->kernel;
}

/* The value as the file will hold it. */
static double rounded(double x)
{
    char text[32];

    snprintf(text, sizeof text, ATT_BASELINE_DIGITS, x);
    return strtod(text, NULL);
}

static double rounded_score(double x)
{
    char text[32];

    snprintf(text, sizeof text, ATT_BASELINE_SCORE_DIGITS, x);
    return strtod(text, NULL);
}

void att_baseline_keep_scores(att_baseline *b, const char *glob)
{
    for (size_t i = 0; i < b->n_cases; i++) {
        const bool kept = att_glob(glob, b->cases[i].id);
        for (size_t k = 0; k < b->cases[i].n_runs; k++) {
            att_record *r = &b->cases[i].runs[k].record;
            for (size_t m = 0; m < r->n_items; m++)
                r->items[m].score = kept ? rounded_score(r->items[m].score) : NAN;
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const att_metric *)a)->name, ((const att_metric *)b)->name);
}

/* A count that must be 0 and is says no more than "pass". */
static bool is_kept(const att_metric *m)
{
    return m->verdict >= 0 && !isnan(m->value) && !(m->limit == 0 && m->value == 0);
}

static bool copy_metrics(const att_record *from, att_record *to)
{
    to->metrics = calloc(from->n_metrics + 1, sizeof *to->metrics);
    for (size_t i = 0; to->metrics && i < from->n_metrics; i++) {
        const att_metric *m = &from->metrics[i];
        if (!is_kept(m))
            continue;
        att_metric *made = &to->metrics[to->n_metrics++];
        *made = (att_metric){.name = strdup(m->name),
                             .value = rounded(m->value),
                             .n = m->n,
                             .lo = NAN,
                             .hi = NAN,
                             .limit = NAN,
                             .baseline = NAN,
                             .verdict = -1};
        if (!made->name)
            return false;
    }
    if (to->n_metrics > 1)
        qsort(to->metrics, to->n_metrics, sizeof *to->metrics, by_name);
    return to->metrics != NULL;
}

static bool copy_items(const att_record *from, att_record *to)
{
    to->items = calloc(from->n_items + 1, sizeof *to->items);
    for (size_t i = 0; to->items && i < from->n_items; i++)
        to->items[i] = (att_item){.hit = from->items[i].hit != 0,
                                  .cluster = from->items[i].cluster,
                                  .score = from->items[i].score,
                                  .at = from->items[i].at};
    to->n_items = from->n_items;
    return to->items != NULL;
}

/* Adds a record to the last case, or to a new one.  false: no memory. */
static bool add(att_baseline *b, const att_record *r, const char *id)
{
    att_baseline_case *c = b->n_cases ? &b->cases[b->n_cases - 1] : NULL;

    if (!c || strcmp(c->id, id) != 0) {
        c = &b->cases[b->n_cases++];
        *c = (att_baseline_case){.id = strdup(id), .tolerance = NAN};
    }
    att_baseline_run *grown = realloc(c->runs, (c->n_runs + 1) * sizeof *grown);
    if (!c->id || !grown)
        return false;
    c->runs = grown;
    att_baseline_run *run = &c->runs[c->n_runs++];
    *run = (att_baseline_run){{.seed = r->seed, .status = r->status, .chance = NAN},
                              att_baseline_questions(r)};
    return att_baseline_identify(id, &run->record) && copy_metrics(r, &run->record) &&
           copy_items(r, &run->record);
}

/* The id of a record, of kernel `as` in place of its own. */
static bool id_of(const att_record *r, const char *as, att_buf *out)
{
    out->length = 0;
    if (as)
        att_buf_printf(out, "%s %s%s", r->measure, as,
                       r->id + strlen(r->measure) + 1 + strlen(r->kernel));
    else
        att_buf_puts(out, r->id);
    return !out->failed;
}

static bool copy_declarations(const att_result *result, const char *from, const char *as,
                              att_baseline *out)
{
    out->declarations = calloc(result->n_declarations + 1, sizeof *out->declarations);
    for (size_t i = 0; out->declarations && i < result->n_declarations; i++) {
        att_declaration one = result->declarations[i];
        if (as && strcmp(one.kernel, from) != 0)
            continue;
        if (as)
            one.kernel = (char *)(uintptr_t)as;
        if (!att_declaration_copy(&one, &out->declarations[out->n_declarations++]))
            return false;
    }
    return out->declarations != NULL;
}

att_status att_baseline_make(const att_result *result, const char *from, const char *as,
                             att_baseline *out, att_why *why)
{
    const char *suite = result->suite && *result->suite ? result->suite : "cases";
    att_baseline b = {.suite = strdup(suite), .reason = strdup("")};
    const att_record **sorted = calloc(result->n_records + 1, sizeof *sorted);
    att_buf id = {0};
    size_t n = 0;

    b.cases = calloc(result->n_records + 1, sizeof *b.cases);
    bool good = b.suite && b.reason && sorted && b.cases;
    for (size_t i = 0; good && i < result->n_records; i++)
        if (!as || strcmp(result->records[i].kernel, from) == 0)
            sorted[n++] = &result->records[i];
    if (good && n > 1)
        qsort(sorted, n, sizeof *sorted, by_id_and_seed);
    for (size_t i = 0; good && i < n; i++)
        good = id_of(sorted[i], as, &id) && add(&b, sorted[i], id.data);
    good = good && copy_declarations(result, from, as, &b);
    free(sorted);
    att_buf_drop(&id);
    if (!good) {
        att_baseline_drop(&b);
        att_why_set(why, "no memory for a baseline");
        return ATT_NO_MEMORY;
    }
    *out = b;
    return ATT_OK;
}
