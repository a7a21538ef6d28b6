/* SPDX-License-Identifier: Apache-2.0 */
/* What a run will measure, in order, before it measures anything. */
#ifndef ATT_PLAN_H
#define ATT_PLAN_H

#include <cjson/cJSON.h>

#include "core/case.h"

typedef struct att_planned {
    att_case *c;
    size_t row; /* of the suite: cases of a row share its budget */
    bool required;
} att_planned;

typedef struct att_plan_row {
    double budget; /* seconds of measuring, all workers added; 0 = no limit */
} att_plan_row;

typedef struct att_run_plan {
    char *suite;
    att_planned *cases; /* cases of a group stand together */
    size_t n, room;
    att_plan_row *rows;
    size_t n_rows;
    char hash[17]; /* of the lines in order */
} att_run_plan;

/* What narrows a suite: NULL-terminated lists of patterns, NULL = everything.  Kernel patterns
 * that name zoo, controls, plugins or one kernel with its parameters take the place of "*". */
typedef struct att_plan_filter {
    const char *const *evals; /* measures: globs */
    const char *const *kernels;
    const uint64_t *seed; /* in place of the suite's; NULL = the suite's */
} att_plan_filter;

/* One case line, required. */
att_status att_plan_add_line(att_run_plan *plan, att_registry *r, const char *line, att_why *why);
/* The case lines of a text file, one a line, all required; empty lines and what follows a '#' at
 * the beginning of a line are passed over.  IO, or what att_plan_add_line says, with file and line.
 */
att_status att_plan_add_list(att_run_plan *plan, att_registry *r, const char *path, att_why *why);
/* A suite (an array of rows in a JSON file; the measure "probe.*" stands for all tasks of probe).
 * Its `by_name`, a list of names or globs, holds
 * kernels that "*" does not stand for: rows name them, or the filter.  CORRUPT or INVALID names
 * file, row and what is wrong. */
att_status att_plan_add_suite(att_run_plan *plan, att_registry *r, const char *path,
                              const att_plan_filter *filter, att_why *why);
/* Brings groups together and computes the hash; to be called once, last. */
att_status att_plan_finish(att_run_plan *plan, att_why *why);
void att_plan_drop(att_run_plan *plan);

#endif
