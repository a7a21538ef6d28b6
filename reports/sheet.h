/* SPDX-License-Identifier: Apache-2.0 */
/* What several reports need of a result: probes as tables (kernel x length), rates with intervals,
 * numeric evals as one row a kernel, failures grouped by cause.  Nothing is judged here. */
#ifndef ATT_SHEET_H
#define ATT_SHEET_H

#include "base/str.h"
#include "core/result.h"

#define ATT_SHEET_CONFIDENCE 0.95
#define ATT_SHEET_COST       "keys_share" /* the metric: keys really read, of the causal ones */

/* Hits of pooled items; the interval is Wilson's on the effective number of items (design effect of
 * items that share a context). */
typedef struct att_rate {
    int64_t n, hits;
    double share, lo, hi; /* NAN, 0, 1 where n = 0 */
    size_t records, by_outcome[ATT_OUTCOMES];
} att_rate;

/* One probe: a measure with all its parameters but length and depth; its name tells those that
 * differ within the run. */
typedef struct att_task {
    char *name; /* "lm.needle", "needle keys=8" */
    const char *measure;
    const att_record **records;
    size_t n_records;
    const char **kernels; /* distinct, in order of appearance */
    size_t n_kernels;
    double *lengths; /* distinct, ascending; a single NAN where the probe has no length */
    size_t n_lengths;
} att_task;

/* One (measure, kernel) of the evals that are not probes. */
#define ATT_SHEET_RATIOS 6
typedef struct att_numeric {
    const char *measure, *kernel;
    int32_t class_;
    size_t records, by_outcome[ATT_OUTCOMES];
    /* The worst value of each metric that has a positive limit, over the records; NAN is worst. */
    size_t n_ratios;
    const char *ratio[ATT_SHEET_RATIOS];
    double worst[ATT_SHEET_RATIOS], limit[ATT_SHEET_RATIOS];
} att_numeric;

/* Records that failed for one cause: (measure, kernel, outcome, named fault or metric or signal).
 */
typedef struct att_cause {
    const att_record *shortest; /* the record with the shortest case line */
    const att_metric *metric;   /* what it violated first; NULL where nothing was measured */
    const char *fault;          /* the diagnosis they share; NULL = none */
    size_t records, of;         /* `of`: records of that measure and kernel */
} att_cause;

typedef struct att_sheet {
    att_task *tasks;
    size_t n_tasks;
    att_numeric *numerics;
    size_t n_numerics;
    att_cause *causes;
    size_t n_causes;
    size_t by_outcome[ATT_OUTCOMES];
} att_sheet;

/* The sheet points into the result, which must outlive it. */
att_status att_sheet_make(const att_result *result, att_sheet *out, att_why *why);
void att_sheet_drop(att_sheet *sheet);

/* Fills and frees the tasks of a sheet that has room for them; false: no memory. */
bool att_tasks_make(const att_result *result, att_sheet *sheet);
void att_tasks_drop(att_sheet *sheet);

/* Whether a record asks questions: it has items, or a chance level. */
bool att_record_is_probe(const att_record *record);
/* Pools the items of a task's records of `kernel` at `length` (NAN = all) whose depth lies in
 * [from, to); items without a depth count only where from = -INFINITY. */
att_status att_task_rate(const att_task *task, const char *kernel, double length, double from,
                         double to, att_rate *out);
/* Mean of a metric over those records; NAN where none has it. */
double att_task_metric(const att_task *task, const char *kernel, double length, const char *metric);

/* The verdict of the run in a line: "FAIL, 5 of 14 cases, 5 causes", "INCOMPLETE, ..." */
void att_sheet_headline(const att_result *result, const att_sheet *sheet, att_buf *out);

/* The first metric that broke its limit; NULL = none. */
const att_metric *att_record_violated(const att_record *record);

/* Ends as a contract broken or a case lost: fail, error, crash, timeout. */
bool att_outcome_bad(att_outcome outcome);
/* Plain text of a cell in which not everything passed or failed: "no power", "unsupported" ... */
const char *att_rate_note(const att_rate *rate);

#endif
