/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "base/str.h"
#include "reports/sheet.h"

bool att_outcome_bad(att_outcome outcome)
{
    return outcome == ATT_FAIL || outcome == ATT_ERROR || outcome == ATT_CRASH ||
           outcome == ATT_TIMEOUT;
}

static bool is_probe(const att_record *r)
{
    return r->n_items > 0 || !isnan(r->chance);
}

double att_record_length(const att_record *record)
{
    static const char *const names[] = {"length", "len", "context", "tokens"};
    char text[64];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const att_metric *metric = att_record_metric(record, names[i]);
        if (metric)
            return metric->value;
        if (att_record_param(record, names[i], text, sizeof text))
            return strtod(text, NULL);
    }
    return NAN;
}

/* ------------------------------------------------------------------------------- tasks */

/* The parameters of a record without those that are axes of its tables. */
static void put_task_name(att_buf *name, const att_record *r)
{
    static const char *const axes[] = {"length=", "len=", "context=", "tokens=", "depth=", "at="};
    const char *word = r->params ? r->params : "";

    att_buf_puts(name, r->measure);
    while (*word) {
        bool quoted = false, axis = false;
        size_t n = 0;
        while (word[n] && (quoted || word[n] != ' '))
            quoted ^= word[n++] == '\'';
        for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
            axis |= strncmp(word, axes[i], strlen(axes[i])) == 0;
        if (n > 0 && !axis) {
            att_buf_puts(name, " ");
            att_buf_add(name, word, n);
        }
        word += n + (word[n] == ' ');
    }
}

/* An array of n elements with room for one more; it grows at powers of two. */
static void *room_for_one(void *array, size_t n, size_t size)
{
    return n & (n - 1) ? array : realloc(array, (n ? n * 2 : 1) * size);
}

static att_task *find_task(att_sheet *sheet, const char *name, const att_record *r)
{
    for (size_t i = 0; i < sheet->n_tasks; i++)
        if (strcmp(sheet->tasks[i].name, name) == 0)
            return &sheet->tasks[i];
    att_task *task = &sheet->tasks[sheet->n_tasks++];
    task->name = strdup(name);
    task->measure = r->measure;
    return task->name ? task : NULL;
}

static int order_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool add_to_task(att_task *task, const att_record *r)
{
    const att_record **records =
        room_for_one(task->records, task->n_records, sizeof *task->records);

    if (!records)
        return false;
    task->records = records;
    task->records[task->n_records++] = r;
    for (size_t i = 0; i < task->n_kernels; i++)
        if (strcmp(task->kernels[i], r->kernel) == 0)
            return true;
    const char **kernels = room_for_one(task->kernels, task->n_kernels, sizeof *task->kernels);
    if (!kernels)
        return false;
    task->kernels = kernels;
    task->kernels[task->n_kernels++] = r->kernel;
    return true;
}

/* The distinct lengths of a task's records, or a single NAN. */
static bool find_lengths(att_task *task)
{
    size_t n = 0;

    if (!(task->lengths = calloc(task->n_records + 1, sizeof *task->lengths)))
        return false;
    for (size_t i = 0; i < task->n_records; i++) {
        double length = att_record_length(task->records[i]);
        if (!isnan(length))
            task->lengths[n++] = length;
    }
    qsort(task->lengths, n, sizeof *task->lengths, order_reals);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || task->lengths[i] != task->lengths[i - 1])
            task->lengths[task->n_lengths++] = task->lengths[i];
    if (n == 0)
        task->lengths[task->n_lengths++] = NAN;
    return true;
}

static bool make_tasks(const att_result *result, att_sheet *sheet)
{
    bool good = true;

    for (size_t i = 0; good && i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (!is_probe(r))
            continue;
        att_buf name = {0};
        put_task_name(&name, r);
        att_task *task = name.failed ? NULL : find_task(sheet, name.data, r);
        good = task && add_to_task(task, r);
        att_buf_drop(&name);
    }
    for (size_t i = 0; good && i < sheet->n_tasks; i++)
        good = find_lengths(&sheet->tasks[i]);
    return good;
}

static bool takes(const att_record *r, const char *kernel, double length)
{
    return strcmp(r->kernel, kernel) == 0 && (isnan(length) || att_record_length(r) == length);
}

/* Whether the kernel answered all items of the record. */
static bool is_whole(const att_record *r)
{
    return r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_NO_POWER ||
           r->status == ATT_INCONCLUSIVE;
}

/* Copies the items of a record that lie in [from, to); contexts are numbered on from *contexts. */
static size_t take_items(const att_record *r, double from, double to, uint8_t *hit,
                         int32_t *cluster, int32_t *contexts)
{
    size_t n = 0;
    int32_t base = *contexts;

    for (size_t i = 0; is_whole(r) && i < r->n_items; i++) {
        const att_item *item = &r->items[i];
        bool inside = item->at >= from && item->at < to;
        if (!inside && !(isinf(from) && isnan(item->at)))
            continue;
        /* The number of this context: that of the first item that shares it. */
        size_t first = 0;
        while (r->items[first].cluster != item->cluster)
            first++;
        hit[n] = item->hit != 0;
        cluster[n++] = base + (int32_t)first;
    }
    *contexts = base + (int32_t)r->n_items;
    return n;
}

att_status att_task_rate(const att_task *task, const char *kernel, double length, double from,
                         double to, att_rate *out)
{
    att_rate rate = {.share = NAN, .lo = 0, .hi = 1};
    size_t room = 1, n = 0;
    int32_t contexts = 0;

    for (size_t i = 0; i < task->n_records; i++)
        if (takes(task->records[i], kernel, length)) {
            room += task->records[i]->n_items;
            rate.records++;
            rate.by_outcome[task->records[i]->status]++;
        }
    uint8_t *hit = room <= INT32_MAX ? calloc(room, sizeof *hit) : NULL;
    int32_t *cluster = hit ? calloc(room, sizeof *cluster) : NULL;
    if (!cluster) {
        free(hit);
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < task->n_records; i++)
        if (takes(task->records[i], kernel, length))
            n += take_items(task->records[i], from, to, hit + n, cluster + n, &contexts);
    for (size_t i = 0; i < n; i++)
        rate.hits += hit[i];
    rate.n = (int64_t)n;
    if (n > 0) {
        double shrink = att_design_effect(hit, cluster, n);
        att_interval interval =
            att_wilson((double)rate.hits / shrink, (double)n / shrink, ATT_SHEET_CONFIDENCE);
        rate.share = (double)rate.hits / (double)n;
        rate.lo = interval.lo;
        rate.hi = interval.hi;
    }
    free(cluster);
    free(hit);
    *out = rate;
    return ATT_OK;
}

double att_task_metric(const att_task *task, const char *kernel, double length, const char *name)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < task->n_records; i++) {
        const att_record *r = task->records[i];
        const att_metric *metric =
            takes(r, kernel, length) && is_whole(r) ? att_record_metric(r, name) : NULL;
        if (metric) {
            sum += metric->value;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

const char *att_rate_note(const att_rate *rate)
{
    static const struct {
        att_outcome outcome;
        const char *text;
    } notes[] = {{ATT_CRASH, "crash"},       {ATT_TIMEOUT, "timeout"},
                 {ATT_ERROR, "error"},       {ATT_FAIL, "FAIL"},
                 {ATT_NOT_RUN, "not run"},   {ATT_HOLE, "unsupported"},
                 {ATT_NO_POWER, "no power"}, {ATT_INCONCLUSIVE, "inconclusive"}};

    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (rate->by_outcome[notes[i].outcome] > 0)
            return notes[i].text;
    return rate->records == 0 ? "-" : "";
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
        if (is_probe(r))
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

static const att_metric *first_violated(const att_record *r)
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
        const att_metric *metric = first_violated(r);
        const char *fault = r->n_diagnoses > 0 ? r->diagnoses[0].fault : NULL;
        size_t k = 0;
        if (!att_outcome_bad(r->status))
            continue;
        while (k < sheet->n_causes && !same_cause(&sheet->causes[k], r, metric, fault))
            k++;
        att_cause *cause = &sheet->causes[k];
        if (k == sheet->n_causes)
            sheet->n_causes++;
        if (cause->records == 0 || strlen(r->line) < strlen(cause->shortest->line)) {
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

    if (!sheet.tasks || !sheet.numerics || !sheet.causes || !make_tasks(result, &sheet)) {
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

void att_sheet_drop(att_sheet *sheet)
{
    for (size_t i = 0; sheet->tasks && i < sheet->n_tasks; i++) {
        free(sheet->tasks[i].name);
        free(sheet->tasks[i].records);
        free(sheet->tasks[i].kernels);
        free(sheet->tasks[i].lengths);
    }
    free(sheet->tasks);
    free(sheet->numerics);
    free(sheet->causes);
    *sheet = (att_sheet){0};
}
