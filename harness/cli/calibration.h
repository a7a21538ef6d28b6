/* SPDX-License-Identifier: Apache-2.0 */
/* How near right kernels come to the limits, over many seeds. */
#ifndef ATT_CLI_CALIBRATION_H
#define ATT_CLI_CALIBRATION_H

#include <stdio.h>

#include "base/arena.h"
#include "core/result.h"

/* One judged metric of one case.  Texts lie in the calibration's arena, equal ones once. */
typedef struct att_calibration_point {
    const char *measure, *metric, *dtype, *kernel; /* dtype "-": the eval has none */
    double ratio; /* value over limit; the value itself where the limit is 0; NaN = INFINITY */
    double limit;
} att_calibration_point;

typedef struct att_calibration {
    att_arena arena;
    const char **words;
    size_t n_words;
    att_calibration_point *points;
    size_t n, room;
    size_t cases;        /* that ended pass, fail, error, crash or timeout */
    size_t lost;         /* not run */
    const char **alarms; /* their lines */
    size_t n_alarms;
} att_calibration;

/* What all cases of one (measure, metric, dtype, kernel) say. */
typedef struct att_calibration_row {
    const char *measure, *metric, *dtype, *kernel;
    size_t n;
    double limit, largest, p999; /* p999: 99.9 % of the ratios are at most this */
} att_calibration_row;

/* Adds the records of a judged result.  NO_MEMORY. */
att_status att_calibration_add(att_calibration *c, const att_result *result);
/* Rows sorted by measure, metric, dtype, kernel; by_kernel false: kernels together, `kernel` being
 * that of the largest.  *out: free() it.  Sorts c->points. */
att_status att_calibration_rows(att_calibration *c, bool by_kernel, att_calibration_row **out,
                                size_t *n);
void att_calibration_drop(att_calibration *c);

#endif
