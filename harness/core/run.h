/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator: leases the cases of a plan to workers, journals what they say, judges. */
#ifndef ATT_RUN_H
#define ATT_RUN_H

#include "core/plan.h"
#include "core/pool.h"
#include "core/result.h"

typedef struct att_run_options {
    att_pool_command command;
    int workers;
    double timeout; /* seconds a case may take; 0 = from its estimate */
    double grace;   /* without a timeout: seconds beside 20 times the estimate; 0 = 30 */
    int give_up;    /* crashes and timeouts of one kernel after which its other cases are not
                     * run; 0 = never */
    bool give_up_on_failure; /* a failed case counts towards it as well */
    const char *journal;     /* path of run.db; NULL = none is kept */
    bool resume;             /* take from the journal what it holds */
    const char *stamp;       /* with the line it makes a journal's key: builds and environment */
    bool quiet;
} att_run_options;

/* Fills result->records (plan order) and judges each.  Interrupted (*signal = SIGINT or SIGTERM):
 * what was measured is kept, the rest is not_run.  IO, CORRUPT: the journal. */
att_status att_run_plan_measure(const att_run_plan *plan, const att_run_options *options,
                                att_result *result, int *signal, att_why *why);

#endif
