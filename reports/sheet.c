/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "reports/sheet.h"

bool att_outcome_bad(att_outcome outcome)
{
    return outcome == ATT_FAIL || outcome == ATT_ERROR || outcome == ATT_CRASH ||
           outcome == ATT_TIMEOUT;
}

/* ----------------------------------------------------------------------------- numeric */

/* NAN is worse than any number. */
static double worse_of(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}

static void add_ratios(att_numeric *row, const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *metric = &r->metrics[i];
        if (metric->better != ATT_LOWER || !(metric->limit > 0))
            continue;
        size_t k = 0;
        while (k < row->n_ratios && strcmp(row->ratio[k], metric->name) != 0)
            k++;
        if (k == ATT_SHEET_RATIOS)
            continue;
        if (k == row->n_ratios) {
            row->ratio[k] = metric->name;
            row->worst[k] = metric->value;
            row->limit[k] = metric->limit;
            row->n_ratios++;
        }
        row->worst[k] = worse_of(row->worst[k], metric->value);
    }
}

static void make_numerics(const att_result *result, att_sheet *sheet)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        size_t k = 0;
        if (att_record_is_probe(r))
            continue;
        while (k < sheet->n_numerics && (strcmp(sheet->numerics[k].measure, r->measure) != 0 ||
                                         strcmp(sheet->numerics[k].kernel, r->kernel) != 0))
            k++;
        att_numeric *row = &sheet->numerics[k];
        if (k == sheet->n_numerics) {
            row->measure = r->measure;
            row->kernel = r->kernel;
            row->class_ = r->class_;
            sheet->n_numerics++;
        }
        row->records++;
        row->by_outcome[r->status]++;
        add_ratios(row, r);
    }
}

/* ------------------------------------------------------------------------------ causes */

const att_metric *att_record_violated(const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++)
        if (r->metrics[i].verdict == 0)
            return &r->metrics[i];
    return NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Of what is printed to repeat a failure. */
static size_t length_of(const att_record *r)
{
    return strlen(r->smallest ? r->smallest : r->line);
}

static bool same_cause(const att_cause *cause, const att_record *r, const att_metric *metric,
                       const char *fault)
{
    const att_record *other = cause->shortest;

    if (other->status != r->status || other->signal != r->signal ||
        !same_text(other->measure, r->measure) || !same_text(other->kernel, r->kernel))
        return false;
    if (cause->fault || fault)
        return same_text(cause->fault, fault);
    if (cause->metric || metric)
        return cause->metric && metric && same_text(cause->metric->name, metric->name);
    return same_text(other->reason, r->reason);
}

static void make_causes(const att_result *result, att_sheet *sheet)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        const att_metric *metric = att_record_violated(r);
        const att_diagnosis *named = att_record_named(r);
        const char *fault = named ? named->fault : NULL;
        size_t k = 0;
        if (!att_outcome_bad(r->status))
            continue;
        while (k < sheet->n_causes && !same_cause(&sheet->causes[k], r, metric, fault))
            k++;
        att_cause *cause = &sheet->causes[k];
        if (k == sheet->n_causes)
            sheet->n_causes++;
        if (cause->records == 0 || length_of(r) < length_of(cause->shortest)) {
            cause->shortest = r;
            cause->metric = metric;
            cause->fault = fault;
        }
        cause->records++;
    }
    for (size_t k = 0; k < sheet->n_causes; k++)
        for (size_t i = 0; i < result->n_records; i++)
            sheet->causes[k].of +=
                same_text(result->records[i].measure, sheet->causes[k].shortest->measure) &&
                same_text(result->records[i].kernel, sheet->causes[k].shortest->kernel);
}

att_status att_sheet_make(const att_result *result, att_sheet *out, att_why *why)
{
    size_t room = result->n_records + 1;
    att_sheet sheet = {.tasks = calloc(room, sizeof *sheet.tasks),
                       .numerics = calloc(room, sizeof *sheet.numerics),
                       .causes = calloc(room, sizeof *sheet.causes)};

    if (!sheet.tasks || !sheet.numerics || !sheet.causes || !att_tasks_make(result, &sheet)) {
        att_sheet_drop(&sheet);
        att_why_set(why, "reports: out of memory");
        return ATT_NO_MEMORY;
    }
    make_numerics(result, &sheet);
    make_causes(result, &sheet);
    for (size_t i = 0; i < result->n_records; i++)
        sheet.by_outcome[result->records[i].status]++;
    *out = sheet;
    return ATT_OK;
}

void att_sheet_headline(const att_result *result, const att_sheet *sheet, att_buf *out)
{
    const size_t *by = sheet->by_outcome;
    size_t bad = 0, judged = by[ATT_PASS] + by[ATT_FAIL];

    for (int o = 0; o < ATT_OUTCOMES; o++)
        if (att_outcome_bad((att_outcome)o))
            bad += by[o];
    if (bad > 0)
        att_buf_printf(out, "FAIL, %zu of %zu cases, %zu cause%s", bad, result->n_records,
                       sheet->n_causes, sheet->n_causes == 1 ? "" : "s");
    else if (by[ATT_NOT_RUN] > 0 || (result->status && strcmp(result->status, "complete") != 0))
        att_buf_printf(out, "INCOMPLETE, %zu of %zu cases were not run", by[ATT_NOT_RUN],
                       result->n_records);
    else if (judged == 0)
        att_buf_puts(out, "NOTHING JUDGED, no case ended pass or fail");
    else
        att_buf_printf(out, "PASS, every contract holds in %zu cases", judged);
}

void att_sheet_drop(att_sheet *sheet)
{
    att_tasks_drop(sheet);
    free(sheet->numerics);
    free(sheet->causes);
    *sheet = (att_sheet){0};
}
