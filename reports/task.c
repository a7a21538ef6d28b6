/* SPDX-License-Identifier: Apache-2.0 */
/* Probes as tables: their records by task, kernel and context length, and pooled rates. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "base/str.h"
#include "reports/sheet.h"

bool att_record_is_probe(const att_record *r)
{
    return r->n_items > 0 || !isnan(r->chance);
}

/* One `key=value` of a record's parameters, which are quoted where they hold a blank. */
typedef struct word {
    const char *at;
    size_t n, key; /* length in all, and of the key with its '=' */
} word;

static bool next_word(const char **params, word *out)
{
    bool quoted = false;
    const char *at = *params + strspn(*params, " ");
    size_t n = 0;

    for (; at[n] && (quoted || at[n] != ' '); n++)
        quoted ^= at[n] == '\'';
    *out = (word){at, n, strcspn(at, "= ")};
    out->key += at[out->key] == '=';
    *params = at + n;
    return n > 0;
}

/* Whether params holds the same word, or none of its key. */
static bool agrees(const char *params, const word *w)
{
    word other;

    while (next_word(&params, &other))
        if (other.key == w->key && strncmp(other.at, w->at, w->key) == 0)
            return other.n == w->n && strncmp(other.at, w->at, w->n) == 0;
    return true;
}

/* " key=" of every parameter of a measure's probes that differs within the run, axes left out. */
static void find_differing(const att_result *result, const char *measure, att_buf *out)
{
    static const char axes[] = " length= len= context= tokens= depth= at= ";
    const att_record *first = NULL;

    att_buf_puts(out, " ");
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        const char *params = r->params ? r->params : "";
        word w;
        if (!att_record_is_probe(r) || strcmp(r->measure, measure) != 0)
            continue;
        first = first ? first : r;
        while (next_word(&params, &w)) {
            char key[80];
            snprintf(key, sizeof key, " %.*s ", (int)(w.key < 64 ? w.key : 64), w.at);
            if (!strstr(axes, key) && !out->failed && !strstr(out->data, key) &&
                !agrees(first->params ? first->params : "", &w))
                att_buf_puts(out, key + 1);
        }
    }
}

static void put_task_name(att_buf *name, const att_record *r, const att_buf *differing)
{
    const char *params = r->params ? r->params : "";
    word w;

    att_buf_puts(name, r->measure);
    while (!differing->failed && next_word(&params, &w)) {
        char key[80];
        snprintf(key, sizeof key, " %.*s ", (int)(w.key < 64 ? w.key : 64), w.at);
        if (strstr(differing->data, key)) {
            att_buf_puts(name, " ");
            att_buf_add(name, w.at, w.n);
        }
    }
    name->failed |= differing->failed;
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

bool att_tasks_make(const att_result *result, att_sheet *sheet)
{
    const char *measure = "";
    att_buf differing = {0}, name = {0};
    bool good = true;

    for (size_t i = 0; good && i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (!att_record_is_probe(r))
            continue;
        if (strcmp(measure, r->measure) != 0) { /* measures come in runs: found once a run */
            measure = r->measure;
            differing.length = 0;
            find_differing(result, measure, &differing);
        }
        name.length = 0;
        put_task_name(&name, r, &differing);
        att_task *task = name.failed ? NULL : find_task(sheet, name.data, r);
        good = task && add_to_task(task, r);
    }
    for (size_t i = 0; good && i < sheet->n_tasks; i++)
        good = find_lengths(&sheet->tasks[i]);
    att_buf_drop(&differing);
    att_buf_drop(&name);
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

void att_tasks_drop(att_sheet *sheet)
{
    for (size_t i = 0; sheet->tasks && i < sheet->n_tasks; i++) {
        free(sheet->tasks[i].name);
        free(sheet->tasks[i].records);
        free(sheet->tasks[i].kernels);
        free(sheet->tasks[i].lengths);
    }
    free(sheet->tasks);
}
