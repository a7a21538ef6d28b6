/* SPDX-License-Identifier: Apache-2.0 */
/* attest gate: may this change go in?  A run against its baseline, under a policy; or two kernels,
 * or two builds of a plugin, measured now on the same cases. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "core/env.h"
#include "core/verdict.h"
#include "gate/gate.h"
#include "gate_files.h"
#include "gate_print.h"
#include "gate_two.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *baseline, *policy, *waivers, *date, *base, *head, *suite, *model;
    att_list evals;
    int64_t seed, rounds, workers;
    bool json, quiet, record;
} options;

static const att_option table[] = {
    {"baseline", ATT_OPTION_TEXT, offsetof(options, baseline), "FILE", NULL,
     "default: ci/baselines/SUITE.json of the run's suite"},
    {"policy", ATT_OPTION_TEXT, offsetof(options, policy), "FILE", NULL,
     "default: ci/policies/default.json"},
    {"waivers", ATT_OPTION_TEXT, offsetof(options, waivers), "FILE", NULL,
     "default: ci/waivers.json, where there is one"},
    {"date", ATT_OPTION_TEXT, offsetof(options, date), "YYYY-MM-DD", NULL,
     "the day that waivers are judged by; default: today (UTC)"},
    {"base", ATT_OPTION_TEXT, offsetof(options, base), "FILE.so|KERNEL", NULL,
     "what the change is held against, measured now; with --head"},
    {"head", ATT_OPTION_TEXT, offsetof(options, head), "FILE.so|KERNEL", NULL,
     "the change, measured beside it"},
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "for --base and --head; default: smoke"},
    {"eval", ATT_OPTION_LIST, offsetof(options, evals), "GLOB", NULL,
     "only these measures of it, or those of a track: numeric, probes, model, cost"},
    {"seed", ATT_OPTION_INT, offsetof(options, seed), "N", "0:9007199254740991",
     "in place of the suite's seeds"},
    {"rounds", ATT_OPTION_INT, offsetof(options, rounds), "N", "1:100",
     "measure so often, sides in turn: more than 1 judges speed too; default: 1"},
    {"model", ATT_OPTION_TEXT, offsetof(options, model), "FILE", NULL, "a GGUF file"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one object on stdout"},
    {"record", ATT_OPTION_FLAG, offsetof(options, record), NULL, NULL,
     "keep the verdict in the run's result.json"},
    {.name = NULL}};

extern const att_verb att_verb_gate;

/* What is judged, and by what. */
typedef struct job {
    att_result result;
    att_baseline baseline;
    att_policy policy;
    att_waivers waivers;
    att_gate_time *times;
    size_t n_times;
    const char *folder; /* of the run that is read */
    char today[16];
    bool done, no_baseline;
} job;

static void set_today(const options *o, job *j)
{
    const time_t now = time(NULL);
    struct tm day;

    if (o->date)
        snprintf(j->today, sizeof j->today, "%s", o->date);
    else if (gmtime_r(&now, &day))
        strftime(j->today, sizeof j->today, "%Y-%m-%d", &day);
}

static att_status read_rules(const options *o, job *j, att_why *why)
{
    char path[4096];

    att_env_find("ci/policies/default.json", path, sizeof path);
    att_status status = att_policy_read(o->policy ? o->policy : path, &j->policy, why);
    if (status == ATT_OK && (o->waivers || access("ci/waivers.json", F_OK) == 0))
        status = att_waivers_read(o->waivers ? o->waivers : "ci/waivers.json", &j->waivers, why);
    return status;
}

static att_status read_all(const options *o, job *j, att_why *why)
{
    char path[4096];
    att_status status = read_rules(o, j, why);

    if (status == ATT_OK)
        status = att_gate_read_run(j->folder, &j->result, &j->done, why);
    if (status != ATT_OK)
        return status;
    att_gate_baseline_path(o->baseline, &j->result, path, sizeof path);
    j->no_baseline = access(path, R_OK) != 0;
    if (j->no_baseline) {
        att_why_set(why, "%s: there is no such baseline (attest baseline accept makes it)", path);
        return ATT_OK;
    }
    return att_baseline_read(path, &j->baseline, why);
}

/* Puts the verdict into the run's result.json. */
static att_status record(const job *j, const att_gate *gate, att_why *why)
{
    char path[4200];
    att_result with = j->result;

    snprintf(path, sizeof path, "%s/result.json", j->folder);
    if (!(with.gate = att_gate_note(gate, &j->policy))) {
        att_why_set(why, "no memory for the verdict");
        return ATT_NO_MEMORY;
    }
    att_status status = att_result_write(&with, path, why);
    free(with.gate);
    return status;
}

static att_status judge(const options *o, const job *j, int *code, att_why *why)
{
    const att_gate_ask ask = {.result = &j->result,
                              .done = j->done,
                              .baseline = &j->baseline,
                              .policy = &j->policy,
                              .waivers = &j->waivers,
                              .today = j->today,
                              .times = j->times,
                              .n_times = j->n_times};
    att_gate gate = {0};
    att_status status = att_gate_judge(&ask, &gate, why);

    if (status == ATT_OK)
        o->json ? att_gate_print_json(&gate, &j->policy) : att_gate_print(&gate, &j->policy);
    if (status == ATT_OK && o->record)
        status = record(j, &gate, why);
    *code = gate.code;
    att_gate_drop(&gate);
    return status;
}

/* Measures both sides in place of reading a run and a baseline; *code: -1, or how it was ended. */
static att_status measure(const att_cli *cli, const options *o, job *j, int *code, att_why *why)
{
    att_arena arena = {0};
    const char **evals = att_cli_evals(cli, o->evals.at, o->evals.n, &arena);
    const char *model = o->model                            ? o->model
                        : access(ATT_MODEL_PATH, R_OK) == 0 ? ATT_MODEL_PATH
                                                            : NULL;
    const att_gate_two two = {.base = o->base,
                              .head = o->head,
                              .suite = o->suite ? o->suite : "smoke",
                              .evals = o->evals.n ? evals : NULL,
                              .model = model,
                              .seed = o->seed,
                              .rounds = o->rounds,
                              .workers = o->workers,
                              .quiet = o->quiet};
    int number = 0;
    att_status status = evals ? read_rules(o, j, why) : ATT_NO_MEMORY;

    if (status == ATT_OK)
        status = att_gate_two_measure(cli, &two, &j->result, &j->baseline, &j->times, &j->n_times,
                                      &number, why);
    j->done = true;
    if (number)
        *code = number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
    att_arena_drop(&arena);
    return status;
}

/* -1, or a usage error. */
static int check(const options *o, int operands)
{
    if (operands > 1)
        return att_usage(&att_verb_gate, "one run, not %d", operands);
    if (o->date && !att_day_is(o->date))
        return att_usage(&att_verb_gate, "--date %s: a day as 2030-12-31 is expected", o->date);
    if (!o->base != !o->head)
        return att_usage(&att_verb_gate, "--base and --head go together");
    if (o->base && (operands > 0 || o->baseline || o->record))
        return att_usage(&att_verb_gate, "--base takes the place of a run and its baseline");
    if (!o->base && (o->suite || o->evals.n > 0 || o->seed >= 0 || o->rounds > 1))
        return att_usage(&att_verb_gate,
                         "--suite, --eval, --seed and --rounds are for what is measured now "
                         "(--base and --head)");
    return -1;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.seed = -1, .rounds = 1};
    job j = {0};
    att_why why = {""};
    int first = 0, code = att_options_read(&att_verb_gate, argc, argv, &o, &first);

    if (code >= 0 || (code = check(&o, argc - first)) >= 0)
        return code;
    set_today(&o, &j);
    j.folder = first < argc ? argv[first] : "runs/latest";
    att_status status = o.base ? measure(cli, &o, &j, &code, &why) : read_all(&o, &j, &why);
    if (status == ATT_OK && j.no_baseline)
        code = att_exit_worse(ATT_EXIT_INCONCLUSIVE, att_verdict_exit(&j.result, 0));
    else if (status == ATT_OK && code < 0)
        status = judge(&o, &j, &code, &why);
    if (status != ATT_OK)
        code = att_exit_of(status);
    if (status != ATT_OK || j.no_baseline)
        fprintf(stderr, "attest gate: %s\n", why.text);
    free(j.times);
    att_waivers_drop(&j.waivers);
    att_policy_drop(&j.policy);
    att_baseline_drop(&j.baseline);
    att_result_clear(&j.result);
    return code;
}

const att_verb att_verb_gate = {.name = "gate",
                                .operands = "[RUNDIR]",
                                .summary = "may this change go in? a run against its baseline",
                                .options = table,
                                .run = run};
