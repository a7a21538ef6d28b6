/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of some kernels, measured now: what compare, alarms and power have in common. */
#ifndef ATT_CLI_PROBE_ASK_H
#define ATT_CLI_PROBE_ASK_H

#include "cli.h"
#include "core/registry.h"
#include "core/result.h"

#define ATT_PROBE_LENGTHS 32

typedef struct att_probe_ask {
    const char *suite; /* name or file; NULL: each task of the operator track, at each of `lengths`,
                        * its other parameters as they are by default */
    const char *const *kernels; /* kernels' texts, NULL at the end; these and no other variant */
    const att_list *tasks;      /* measures, or tasks of the operator track by their last word;
                                 * globs; none = every probe of the operator track */
    double lengths[ATT_PROBE_LENGTHS]; /* only these */
    size_t n_lengths;                  /* 0 = every one of the suite */
    int64_t from, seeds;               /* seeds in place of the suite's; seeds 0 = the suite's */
    const char *model;                 /* a GGUF file; NULL = none */
    int64_t workers;                   /* 0 = one a processor */
    bool quiet;
} att_probe_ask;

/* "256,1024" to ask->lengths; false: not such a list. */
bool att_probe_lengths(const char *text, att_probe_ask *ask);

/* Whether a record is of a task and at a length that was asked for; without tasks: any task. */
bool att_probe_takes(const att_probe_ask *ask, const att_record *record);

/* Plans, measures and judges.  INVALID: a kernel that there is not, or nothing to measure (says
 * what there is).  *number: the signal that interrupted it. */
att_status att_probe_measure(const att_cli *cli, att_registry *registry, const att_probe_ask *ask,
                             att_result *result, int *number, att_why *why);

#endif
