/* SPDX-License-Identifier: Apache-2.0 */
/* What came of the zoo: every deliberate bug must fail a case, every right kernel none. */
#ifndef ATT_CLI_ZOO_H
#define ATT_CLI_ZOO_H

#include "core/result.h"

#define ATT_ZOO_NAMES 2

/* What the names that a kernel's failing cases agree on (core/names.h) say of a bug: rightly named
 * where its own name, or that of its class (kernels/zoo/called.def), is among the first two;
 * wrongly where another is believed; otherwise nothing is said. */
typedef enum att_zoo_verdict { ATT_ZOO_UNKNOWN = 0, ATT_ZOO_RIGHT, ATT_ZOO_WRONG } att_zoo_verdict;

typedef struct att_zoo_bug {
    const att_kernel *kernel;
    size_t judged, failed, looked;   /* cases; looked into by the dictionary */
    const char *by_measure;          /* the measure that caught it first; NULL = missed */
    const char *by_metric;           /* what it broke there most often: a metric, crash or
                                        timeout */
    const char *name[ATT_ZOO_NAMES]; /* the names believed, best first; NULL = none */
    size_t explained[ATT_ZOO_NAMES]; /* cases */
    att_zoo_verdict verdict;
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

/* fail, crash, timeout */
bool att_zoo_failed(const att_record *record);

/* Held against a fuller suite's summary: bugs asked here that it caught, those of them caught here
 * too, and the names of the others. */
#define ATT_ZOO_LOST 200
typedef struct att_zoo_kept {
    const char *path;
    size_t caught, kept, lost;
    const char *names[ATT_ZOO_LOST];
} att_zoo_kept;
/* path: a file of what `attest zoo --json` printed.  IO, CORRUPT. */
att_status att_zoo_kept_read(const char *path, const att_zoo_score *score, att_zoo_kept *out,
                             att_why *why);
double att_zoo_kept_share(const att_zoo_kept *kept); /* NAN: the fuller suite caught none */
void att_zoo_kept_print(const att_zoo_kept *kept, bool json);

/* kept: NULL where nothing is held against. */
void att_zoo_print_json(const att_zoo_score *score, const att_zoo_kept *kept);
void att_zoo_print_text(const att_zoo_score *score, const att_zoo_kept *kept);
/* A bar a class; path ends in ".svg", its data and script lie beside it. */
bool att_zoo_plottable(const char *path);
att_status att_zoo_plot(const att_zoo_score *score, const char *path, att_why *why);

#endif
