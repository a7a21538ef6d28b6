/* SPDX-License-Identifier: Apache-2.0 */
/* Real items for trials of the comparison; what the verbs alarms and power have in common. */
#ifndef ATT_CLI_TRIAL_POOL_H
#define ATT_CLI_TRIAL_POOL_H

#include "base/stats.h"
#include "cli.h"
#include "gate/trial.h"

#define ATT_TRIAL_SURE 0.99 /* confidence of the intervals of shares of trials */

typedef struct att_trial_options {
    const char *lengths;
    att_list tasks;
    int64_t seeds, from, trials, seed, workers;
    double loss, power, churn; /* of power alone */
    bool json, quiet;
} att_trial_options;

/* The options of both; O: the verb's own ones come before, NULL ends the table after. */
#define ATT_TRIAL_OPTIONS                                                                          \
    {"task",                                                                                       \
     ATT_OPTION_LIST,                                                                              \
     offsetof(att_trial_options, tasks),                                                           \
     "GLOB",                                                                                       \
     NULL,                                                                                         \
     "only these tasks; default: all of the operator track"},                                      \
        {"lengths",                                                                                \
         ATT_OPTION_TEXT,                                                                          \
         offsetof(att_trial_options, lengths),                                                     \
         "N,N,...",                                                                                \
         NULL,                                                                                     \
         "context lengths; default: 512"},                                                         \
        {"seeds", ATT_OPTION_INT, offsetof(att_trial_options, seeds),                              \
         "N",     "2:100000",     "how many, each with items of its own; default: 40"},            \
        {"from", ATT_OPTION_INT,       offsetof(att_trial_options, from),                          \
         "SEED", "0:9007199254740000", "the first of them; default: 1"},                           \
        {"trials", ATT_OPTION_INT, offsetof(att_trial_options, trials),                            \
         "N",      "1:1000000",    "comparisons; default: 1000"},                                  \
        {"seed", ATT_OPTION_INT,       offsetof(att_trial_options, seed),                          \
         "N",    "0:9007199254740000", "of the trials themselves; default: 1"},                    \
        {"workers", ATT_OPTION_INT, offsetof(att_trial_options, workers),                          \
         "N",       "1:64",         "processes; default: one a processor"},                        \
        {"json", ATT_OPTION_FLAG,       offsetof(att_trial_options, json), NULL,                   \
         NULL,   "one object on stdout"},                                                          \
    {                                                                                              \
        "quiet", ATT_OPTION_FLAG, offsetof(att_trial_options, quiet), NULL, NULL, "no progress"    \
    }

/* Measures a kernel's probes and makes the pool, which points into *result.  *code: -1 to go on, or
 * the exit code (said on stderr). */
void att_trial_measure(const att_cli *cli, const att_verb *verb, const att_trial_options *o,
                       const char *kernel, att_result *result, att_trial_pool *pool, int *code);

#endif
