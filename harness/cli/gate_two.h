/* SPDX-License-Identifier: Apache-2.0 */
/* Two kernels, or two builds of a plugin, on the same cases in one job: no baseline is needed. */
#ifndef ATT_CLI_GATE_TWO_H
#define ATT_CLI_GATE_TWO_H

#include "cli.h"
#include "gate/gate.h"

typedef struct att_gate_two {
    const char *base, *head; /* a kernel's text, or a plugin's FILE.so[#NAME] */
    const char *suite;
    const char *const *evals; /* only these measures: globs, NULL at the end; NULL = all */
    const char *model;        /* NULL = none */
    int64_t seed;             /* in place of the suite's; -1 = the suite's */
    int64_t rounds;  /* how often everything is measured, sides in turn; 1 = speed is not judged */
    int64_t workers; /* 0 = one a processor */
    bool quiet;
} att_gate_two;

/* Measures.  *head: the run of the head's kernels; *baseline: the base's cases under the head's
 * names; *times: a measure of a kernel a row, where rounds > 1 and there are pairs enough
 * for an interval (free() it; its records are the head's).  INVALID: a kernel that there is not,
 * kernels that do not pair, no case.  *number: the signal that interrupted it. */
att_status att_gate_two_measure(const att_cli *cli, const att_gate_two *two, att_result *head,
                                att_baseline *baseline, att_gate_time **times, size_t *n_times,
                                int *number, att_why *why);

#endif
