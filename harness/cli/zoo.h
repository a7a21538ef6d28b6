/* SPDX-License-Identifier: Apache-2.0 */
/* What came of the zoo: every deliberate bug must fail a case, every right kernel none. */
#ifndef ATT_CLI_ZOO_H
#define ATT_CLI_ZOO_H

#include "core/result.h"

/* One bug.  A failing case with diagnoses names it rightly where the bug's own name is among the
 * first two, wrongly where another name stands first and explains the output (ratio at most 1). */
typedef struct att_zoo_bug {
    const att_kernel *kernel;
    size_t judged, failed, diagnosed, right, wrong;
    const char *by_measure; /* the measure that caught it first; NULL = missed */
    const char *by_metric;  /* what it broke there most often: a metric, crash or timeout */
    const char *as;         /* the first wrong name */
} att_zoo_bug;

/* The bugs of one class: what the summary of a zoo kernel says before its colon. */
typedef struct att_zoo_class {
    const char *name; /* `length` bytes */
    int length;
    size_t bugs, caught, named;
} att_zoo_class;

typedef struct att_zoo_score {
    att_zoo_bug *bugs; /* those that ran, in table order */
    size_t n;
    att_zoo_class *classes; /* in order of appearance */
    size_t n_classes;
    size_t caught, named, misnamed;
    size_t clean;  /* judged cases of right kernels */
    size_t alarms; /* of them failed or in error */
    size_t lost;   /* cases not run: of right kernels, or of bugs that nothing caught */
} att_zoo_score;

/* zoo: table that ends with NULL.  Texts point into the result and the table.  NO_MEMORY. */
att_status att_zoo_score_make(const att_result *result, const att_kernel *const *zoo,
                              att_zoo_score *out);
void att_zoo_score_drop(att_zoo_score *score);

/* Did most of what was said of it name it, or something else? */
bool att_zoo_named(const att_zoo_bug *bug);
bool att_zoo_misnamed(const att_zoo_bug *bug);
/* fail, crash, timeout */
bool att_zoo_failed(const att_record *record);

void att_zoo_print_json(const att_zoo_score *score);
void att_zoo_print_text(const att_zoo_score *score);
/* A bar a class; path ends in ".svg", its data and script lie beside it. */
bool att_zoo_plottable(const char *path);
att_status att_zoo_plot(const att_zoo_score *score, const char *path, att_why *why);

#endif
