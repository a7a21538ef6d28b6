/* SPDX-License-Identifier: Apache-2.0 */
/* Probes, judged over a whole run.
 *
 * Power first: in a cell (measure and parameters, seeds pooled) dense must clear chance by its
 * Wilson lower bound, n divided by the design effect of shared contexts; where it does not, the
 * cell says nothing about any kernel.
 *
 * Then non-inferiority against a declared margin m, by the interval [lo, hi] of the paired
 * difference to dense: lo > -m passes, hi < -m fails, anything else has too few items.  Such cells
 * look at all cells with power of their measure together: the pool can fail them, and can pass a
 * cell only if the cell's own difference is above -m, so that an average never rescues one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "base/str.h"
#include "core/paired.h"
#include "core/rate.h"
#include "core/verdict.h"

#define METRIC "accuracy_minus_dense"
#define POWER  0.8 /* with which the items that a margin is said to need decide it */

typedef enum decision { OPEN = 0, HOLDS, VIOLATED, NO_DENSE } decision;

/* The records of one kernel in one cell. */
typedef struct span {
    att_record **at;
    size_t n;
    att_paired paired;
    att_interval interval;
    decision decision;
    bool powered, unequal; /* unequal: other items than dense's */
} span;

static int by_cell(const att_record *a, const att_record *b)
{
    int c = strcmp(a->measure, b->measure);

    return c ? c : strcmp(a->params ? a->params : "", b->params ? b->params : "");
}

static int by_span(const att_record *a, const att_record *b)
{
    int c = by_cell(a, b);

    return c ? c : strcmp(a->kernel, b->kernel);
}

static int by_place(const void *a, const void *b)
{
    const att_record *x = *(att_record *const *)a, *y = *(att_record *const *)b;
    int c = by_span(x, y);

    return c ? c : (x->seed > y->seed) - (x->seed < y->seed);
}

/* Whether a record holds a probe's items, all of them. */
static bool is_whole(const att_record *r)
{
    return r->n_items > 0 && !isnan(r->chance) && r->measure && r->kernel &&
           (r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_INCONCLUSIVE ||
            r->status == ATT_NO_POWER);
}

static bool may_change(const att_record *r)
{
    return r->status == ATT_PASS || r->status == ATT_INCONCLUSIVE;
}

static void end_as(att_record *r, att_outcome status, const att_buf *because)
{
    free(r->reason);
    r->status = status;
    r->reason = because->failed || !because->data ? NULL : strdup(because->data);
}

/* ---------------------------------------------------------------------------------- power */

typedef struct power {
    int64_t hits, n;
    double lo, chance;
    bool clear, failed; /* failed: no memory */
} power;

static power power_of(const span *dense)
{
    power p = {.chance = 0.0};
    att_hits all = {0};

    for (size_t i = 0; i < dense->n && !p.failed; i++)
        p.failed = !att_hits_add(&all, dense->at[i]);
    p.chance = all.chance;
    p.hits = all.hits;
    p.n = (int64_t)all.n;
    p.lo = att_hits_interval(&all, ATT_VERDICT_CONFIDENCE).lo;
    p.clear = !p.failed && p.lo > p.chance;
    att_hits_drop(&all);
    return p;
}

static void mark_dark(span *s, const power *p)
{
    att_buf because = {0};

    if (p->failed)
        att_buf_puts(&because, "no memory for the power of dense");
    else
        att_buf_printf(&because, "dense hits %lld of %lld, lower bound %.3f; chance is %.3f",
                       (long long)p->hits, (long long)p->n, p->lo, p->chance);
    for (size_t i = 0; i < s->n; i++)
        if (may_change(s->at[i]))
            end_as(s->at[i], p->failed ? ATT_ERROR : ATT_NO_POWER, &because);
    att_buf_drop(&because);
}

/* --------------------------------------------------------------------------------- margin */

static decision decide(att_interval interval, double margin)
{
    return interval.lo > -margin ? HOLDS : interval.hi < -margin ? VIOLATED : OPEN;
}

/* Pairs the records of a kernel with dense's of the same seed.  false: no memory. */
static bool pair(span *s, const span *dense)
{
    for (size_t i = 0; i < s->n; i++) {
        const att_record *own = s->at[i], *base = NULL;
        for (size_t j = 0; j < dense->n && !base; j++)
            base = dense->at[j]->seed == own->seed ? dense->at[j] : NULL;
        if (!base)
            continue;
        if (base->n_items != own->n_items)
            s->unequal = true;
        else if (!att_paired_add(&s->paired, base->items, own->items, own->n_items))
            return false;
    }
    s->decision = s->paired.n > 0 && !s->unequal ? OPEN : NO_DENSE;
    if (s->decision == OPEN) {
        s->interval = att_paired_interval(&s->paired, ATT_VERDICT_CONFIDENCE);
        s->decision = decide(s->interval, s->at[0]->margin);
    }
    return true;
}

/* Whether two cells are of one task and kernel, and both can be counted. */
static bool joins(const span *a, const span *b)
{
    return a->powered && a->decision != NO_DENSE &&
           strcmp(a->at[0]->measure, b->at[0]->measure) == 0 &&
           strcmp(a->at[0]->kernel, b->at[0]->kernel) == 0;
}

/* What all cells with power of the measure say together.  false: no memory. */
static bool pooled(const span *spans, size_t n, const span *one, decision *out)
{
    att_paired all = {0};
    bool ok = true;
    double margin = one->at[0]->margin;

    for (size_t i = 0; i < n && ok; i++)
        if (joins(&spans[i], one))
            ok = att_paired_merge(&all, &spans[i].paired);
    *out = decide(att_paired_interval(&all, ATT_VERDICT_CONFIDENCE), margin);
    if (*out == HOLDS && !(att_paired_difference(&one->paired) > -margin))
        *out = OPEN;
    att_paired_drop(&all);
    return ok;
}

/* The record's metric, made where it is not there.  false: no memory. */
static bool put_metric(att_record *r, const span *s, decision decided)
{
    att_metric *m = NULL;

    for (size_t i = 0; i < r->n_metrics && !m; i++)
        if (r->metrics[i].name && strcmp(r->metrics[i].name, METRIC) == 0)
            m = &r->metrics[i];
    if (!m) {
        att_metric *grown = realloc(r->metrics, (r->n_metrics + 1) * sizeof *grown);
        char *name = strdup(METRIC), *unit = strdup("share");
        if (grown)
            r->metrics = grown;
        if (!grown || !name || !unit) {
            free(name);
            free(unit);
            return false;
        }
        m = &grown[r->n_metrics++];
        *m = (att_metric){.name = name, .unit = unit, .baseline = NAN};
    }
    m->better = ATT_HIGHER;
    m->value = att_paired_difference(&s->paired);
    m->n = s->paired.n;
    m->lo = s->interval.lo;
    m->hi = s->interval.hi;
    m->limit = -r->margin;
    m->verdict = decided == HOLDS ? 1 : decided == VIOLATED ? 0 : -1;
    return true;
}

/* `decided`: the cell's own decision or its pool's. */
static void judge(span *s, decision decided)
{
    att_buf because = {0};
    const att_record *r = s->at[0];
    const char *pool = decided != s->decision ? ", by the cells of the task together" : "";

    if (decided == NO_DENSE)
        att_buf_printf(&because, "margin %.3f: %s", r->margin,
                       s->unequal ? "dense met other items" : "dense was not measured here");
    else if (decided != HOLDS)
        att_buf_printf(&because,
                       "accuracy minus dense's %.3f, limit %.3f (n = %lld, 95%% CI %.3f .. %.3f%s)",
                       att_paired_difference(&s->paired), -r->margin, (long long)s->paired.n,
                       s->interval.lo, s->interval.hi, pool);
    if (decided == OPEN) {
        int64_t needs = att_paired_needs(&s->paired, r->margin, ATT_VERDICT_CONFIDENCE, POWER);
        if (needs > 0)
            att_buf_printf(&because, ", needs %lld items", (long long)needs);
    }
    for (size_t i = 0; i < s->n; i++) {
        bool lost = decided != NO_DENSE && !put_metric(s->at[i], s, decided);
        if (!may_change(s->at[i]))
            continue;
        end_as(s->at[i],
               lost                  ? ATT_ERROR
               : decided == HOLDS    ? ATT_PASS
               : decided == VIOLATED ? ATT_FAIL
                                     : ATT_INCONCLUSIVE,
               &because);
    }
    att_buf_drop(&because);
}

static void judge_margins(span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        span *s = &spans[i];
        decision decided = s->decision;
        if (!s->powered)
            continue;
        if (decided == OPEN && !pooled(spans, n, s, &decided))
            decided = OPEN;
        judge(s, decided);
    }
}

/* The spans of one cell: power, then each kernel with a margin beside dense. */
static void judge_cell(span *spans, size_t n)
{
    const span *dense = NULL;
    power p = {.clear = true};

    for (size_t i = 0; i < n; i++)
        if (strcmp(spans[i].at[0]->kernel, ATT_VERDICT_DENSE) == 0)
            dense = &spans[i];
    if (dense)
        p = power_of(dense);
    for (size_t i = 0; i < n; i++) {
        span *s = &spans[i];
        if (!p.clear) {
            mark_dark(s, &p);
            continue;
        }
        if (s == dense || !(s->at[0]->margin > 0))
            continue;
        s->powered = true;
        s->decision = NO_DENSE;
        if (dense && !pair(s, dense))
            s->decision = NO_DENSE;
    }
}

void att_verdict_run(att_result *result)
{
    size_t n = 0, n_spans = 0;
    att_record **order = calloc(result->n_records + 1, sizeof *order);
    span *spans = calloc(result->n_records + 1, sizeof *spans);

    for (size_t i = 0; i < result->n_records; i++) {
        att_record *r = &result->records[i];
        if (order && spans && is_whole(r))
            order[n++] = r;
        else if ((!order || !spans) && is_whole(r) && may_change(r))
            end_as(r, ATT_ERROR, &(att_buf){0}); /* no memory: nothing passes unjudged */
    }
    if (n > 0)
        qsort(order, n, sizeof *order, by_place);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_span(order[i - 1], order[i]) != 0)
            spans[n_spans++].at = &order[i];
        spans[n_spans - 1].n++;
    }
    for (size_t i = 0, to; i < n_spans; i = to) {
        for (to = i + 1; to < n_spans && by_cell(spans[i].at[0], spans[to].at[0]) == 0;)
            to++;
        judge_cell(&spans[i], to - i);
    }
    judge_margins(spans, n_spans);
    for (size_t i = 0; i < n_spans; i++)
        att_paired_drop(&spans[i].paired);
    free(order);
    free(spans);
}
