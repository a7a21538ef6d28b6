/* SPDX-License-Identifier: Apache-2.0 */
/* attest run: a suite or single cases, measured in workers, judged, written to a run directory. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"
#include "core/env.h"
#include "core/run.h"
#include "core/shard.h"
#include "core/verdict.h"
#include "failures.h"
#include "gate/compare.h"
#include "run_folder.h"
#include "session.h"
#include "shard_ask.h"
#include "smallest.h"
#include "tables.h"

typedef struct options {
    const char *suite, *out, *resume, *model, *shard, *costs;
    att_list evals, kernels, cases, lists, plugins;
    int64_t seed, workers, give_up;
    double timeout, memory;
    bool dry_run, json, quiet;
} options;

#define SHRUNK_MOST    5   /* failures whose smallest case is looked for */
#define SHRINK_SECONDS 1.0 /* for each */

static const att_option table[] = {
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "ci/suites/NAME.json, or a file"},
    {"eval", ATT_OPTION_LIST, offsetof(options, evals), "GLOB", NULL,
     "only these measures, or those of a track: numeric, probes, model, cost"},
    {"kernel", ATT_OPTION_LIST, offsetof(options, kernels), "GLOB", NULL, "only these kernels"},
    {"plugin", ATT_OPTION_LIST, offsetof(options, plugins), "FILE.so[#NAME]", NULL,
     "a kernel of yours"},
    {"case", ATT_OPTION_LIST, offsetof(options, cases), "LINE", NULL, "this case"},
    {"cases", ATT_OPTION_LIST, offsetof(options, lists), "FILE", NULL,
     "the cases of a text file, one a line"},
    {"seed", ATT_OPTION_INT, offsetof(options, seed), "N", "0:9007199254740991",
     "in place of the suite's seeds"},
    {"model", ATT_OPTION_TEXT, offsetof(options, model), "FILE", NULL, "a GGUF file"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"timeout", ATT_OPTION_REAL, offsetof(options, timeout), "SECONDS", "0.1:86400",
     "for one case"},
    {"give-up", ATT_OPTION_INT, offsetof(options, give_up), "N", "0:1000000",
     "crashes and timeouts after which a kernel is left alone; 0, the default: never"},
    {"memory", ATT_OPTION_REAL, offsetof(options, memory), "GIB", "1:1024",
     "address space of a worker"},
    {"out", ATT_OPTION_TEXT, offsetof(options, out), "DIR", NULL, "where runs go; default: runs"},
    {"resume", ATT_OPTION_TEXT, offsetof(options, resume), "RUN", NULL,
     "go on with an interrupted run"},
    {"shard", ATT_OPTION_TEXT, offsetof(options, shard), "I/N", NULL,
     "measure the I-th of N parts of the plan; attest merge makes them one"},
    {"costs", ATT_OPTION_TEXT, offsetof(options, costs), "RUN", NULL,
     "cut into shards by the times of an earlier run; default: by estimates"},
    {"dry-run", ATT_OPTION_FLAG, offsetof(options, dry_run), NULL, NULL,
     "print the plan and its cost"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "the summary as JSON"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

/* --plugin FILE is --kernel plugin:FILE. */
static att_status make_plan(const att_cli *cli, const options *o, att_registry *r,
                            att_run_plan *plan, att_why *why)
{
    const char *kernels[130] = {NULL};
    att_arena arena = {0};
    size_t n = 0;
    uint64_t seed = (uint64_t)o->seed;
    char path[4096];
    att_status status;

    for (size_t i = 0; i < o->kernels.n; i++)
        kernels[n++] = o->kernels.at[i];
    for (size_t i = 0; i < o->plugins.n; i++) {
        snprintf(path, sizeof path, "plugin:%s", o->plugins.at[i]);
        kernels[n++] = att_arena_text(&arena, path);
    }
    const char **evals = att_cli_evals(cli, o->evals.at, o->evals.n, &arena);
    status = evals ? att_cli_evals_check(cli, o->evals.at, o->evals.n, why) : ATT_NO_MEMORY;
    att_plan_filter filter = {o->evals.n ? evals : NULL, n ? kernels : NULL,
                              o->seed >= 0 ? &seed : NULL};
    for (size_t i = 0; i < o->cases.n && status == ATT_OK; i++)
        status = att_plan_add_line(plan, r, o->cases.at[i], why);
    for (size_t i = 0; i < o->lists.n && status == ATT_OK; i++)
        status = att_plan_add_list(plan, r, o->lists.at[i], why);
    if (status == ATT_OK && (o->suite || !(o->cases.n || o->lists.n))) {
        const char *suite = o->suite ? o->suite : "gate";
        status = att_cli_add_suite(plan, r, suite, &filter, why);
    }
    if (status == ATT_OK)
        status = att_plan_finish(plan, why);
    att_arena_drop(&arena);
    return status;
}

static void print_plan_json(const att_run_plan *plan)
{
    double all = 0;

    printf("{\"cases\":%zu,\"lines\":[", plan->n);
    for (size_t i = 0; i < plan->n; i++) {
        fputs(i ? ",\n{\"line\":" : "{\"line\":", stdout);
        att_json_put_text(stdout, plan->cases[i].c->line);
        fputs(",\"seconds\":", stdout);
        att_json_put_real(stdout, plan->cases[i].c->seconds);
        putchar('}');
        all += plan->cases[i].c->seconds;
    }
    fputs("],\"seconds\":", stdout);
    att_json_put_real(stdout, all);
    puts("}");
}

static void print_plan(const att_run_plan *plan)
{
    double all = 0;

    for (size_t i = 0; i < plan->n; i++) {
        printf("%8.3f s  %s\n", plan->cases[i].c->seconds, plan->cases[i].c->line);
        all += plan->cases[i].c->seconds;
    }
    printf("%zu cases, about %.0f s on one core\n", plan->n, all);
}

/* A member of the summary: a count, a time or, where `text` is set, a text. */
typedef struct member {
    const char *name;
    double number;
    const char *text;
} member;

static int by_name(const void *a, const void *b)
{
    const member *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void print_json(const att_result *result, const size_t n[ATT_OUTCOMES], const char *folder,
                       int code)
{
    member all[ATT_OUTCOMES + 4] = {{"cases", (double)result->n_records, NULL},
                                    {"exit", code, NULL},
                                    {"run", 0, folder},
                                    {"seconds", result->seconds, NULL}};

    for (int k = 0; k < ATT_OUTCOMES; k++)
        all[4 + k] = (member){att_outcome_name((att_outcome)k), (double)n[k], NULL};
    qsort(all, sizeof all / sizeof *all, sizeof *all, by_name);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        printf("%s\"%s\":", i ? "," : "{", all[i].name);
        if (all[i].text)
            att_json_put_text(stdout, all[i].text);
        else
            att_json_put_real(stdout, all[i].number);
    }
    puts("}");
}

void att_run_print_summary(const att_result *result, const char *folder, int code, bool json)
{
    size_t n[ATT_OUTCOMES] = {0};

    for (size_t i = 0; i < result->n_records; i++)
        n[result->records[i].status]++;
    if (json) {
        print_json(result, n, folder, code);
        return;
    }
    att_failures_print(result);
    printf("%zu cases:", result->n_records);
    for (int k = 0; k < ATT_OUTCOMES; k++)
        if (n[k])
            printf(" %zu %s", n[k], att_outcome_name((att_outcome)k));
    printf(", %.1f s, exit %d\n%s\n", result->seconds, code, folder);
}

/* What makes a journal's row valid for this run: this binary, this machine, this model. */
static att_status stamp_of(const att_cli *cli, const options *o, const att_result *result,
                           char *out, size_t size, att_why *why)
{
    size_t length = 0;
    char *self = att_file_read(cli->self, (size_t)1 << 30, &length);

    if (!self) {
        att_why_set(why, "%s: %s", cli->self, strerror(errno));
        return ATT_IO;
    }
    uint64_t build = att_hash64(self, length);
    free(self);
    for (size_t i = 0; i < o->plugins.n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%.*s", (int)strcspn(o->plugins.at[i], "#"), o->plugins.at[i]);
        char *so = att_file_read(path, (size_t)1 << 30, &length);
        build = build * 31 + (so ? att_hash64(so, length) : 0);
        free(so);
    }
    snprintf(out, size, "%016" PRIx64 " %s %s", build, result->env_class, o->model ? o->model : "");
    return ATT_OK;
}

/* A plan, the part of it that this process measures, and how it was cut. */
typedef struct work {
    att_run_plan whole, part;
    att_cut cut;
    att_shard_ask shard;
} work;

static void drop_work(work *w)
{
    free(w->part.cases);
    att_cut_drop(&w->cut);
    att_plan_drop(&w->whole);
}

static att_status cut_plan(const options *o, work *w, att_why *why)
{
    char path[4200];
    att_result costs = {0};
    att_status status = ATT_OK;

    if (o->costs) {
        snprintf(path, sizeof path, "%s/result.json", o->costs);
        status = att_result_read(path, &costs, why);
    }
    if (status == ATT_OK)
        status = att_cut_make(&w->whole, w->shard.of, o->costs ? &costs : NULL, &w->cut, why);
    if (status == ATT_OK)
        status = att_cut_part(&w->whole, &w->cut, w->shard.index, &w->part, why);
    if (status == ATT_OK && w->shard.source && !(o->shard && o->quiet))
        fprintf(stderr, "attest run: shard %lld of %lld (%s): %zu of %zu cases\n",
                (long long)w->shard.index, (long long)w->shard.of, w->shard.source, w->part.n,
                w->whole.n);
    att_result_clear(&costs);
    return status;
}

/* A folder that a run of another plan, or of another shard, began is not this run's to go on with;
 * one without a plan was left before anything was measured. */
static att_status check_resumed(const att_plan_file *now, const char *path, att_why *why)
{
    att_plan_file before = {0};

    if (access(path, F_OK) != 0)
        return ATT_OK;
    att_status status = att_plan_file_read(path, &before, why);
    if (status == ATT_OK && !att_plan_file_same(&before, now)) {
        att_why_set(why,
                    "%s: shard %lld of %lld of plan %s; asked for is shard %lld of %lld of plan %s",
                    path, (long long)before.shard, (long long)before.of, before.hash,
                    (long long)now->shard, (long long)now->of, now->hash);
        status = ATT_INVALID;
    }
    att_plan_file_drop(&before);
    return status;
}

/* The folder of a run that goes on: of this plan, and not done any more. */
static att_status reopen_folder(const att_plan_file *plan, const char *folder, att_why *why)
{
    char path[4200];

    snprintf(path, sizeof path, "%s/plan.json", folder);
    att_status status = check_resumed(plan, path, why);
    snprintf(path, sizeof path, "%s/DONE", folder);
    if (status == ATT_OK && unlink(path) != 0 && errno != ENOENT) {
        att_why_set(why, "%s: can't be removed: %s", path, strerror(errno));
        status = ATT_IO;
    }
    return status;
}

/* The folder with its plan, before anything is measured. */
static att_status open_folder(const options *o, const att_plan_file *plan, char *folder,
                              size_t size, att_why *why)
{
    char path[4200];
    att_status status;

    if (o->resume) {
        snprintf(folder, size, "%s", o->resume);
        status = reopen_folder(plan, folder, why);
    } else {
        status = att_run_folder_make(o->out, plan->hash, folder, size, why);
        if (status == ATT_OK)
            att_run_folder_latest(o->out, folder);
    }
    if (status != ATT_OK)
        return status;
    snprintf(path, sizeof path, "%s/logs", folder);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        att_why_set(why, "%s: can't be made: %s", path, strerror(errno));
        return ATT_IO;
    }
    snprintf(path, sizeof path, "%s/plan.json", folder);
    return att_plan_file_write(plan, path, why);
}

static att_status run_plan(const att_cli *cli, const options *o, att_registry *registry,
                           const work *w, att_result *result, char *folder, size_t size,
                           int *number, att_why *why)
{
    char journal[4200], log[4200], stamp[1024], datasets[4200];
    const att_run_plan *plan = &w->part;
    att_plan_file file = {0};
    att_status status = att_env_fill(cli->kernels->isa, result, why);

    if (status == ATT_OK)
        status = stamp_of(cli, o, result, stamp, sizeof stamp, why);
    if (status == ATT_OK)
        status = att_plan_file_of(&w->whole, &w->cut, w->shard.index, stamp, &file, why);
    if (status == ATT_OK)
        status = open_folder(o, &file, folder, size, why);
    att_plan_file_drop(&file);
    if (status != ATT_OK)
        return status;
    snprintf(journal, sizeof journal, "%s/run.db", folder);
    snprintf(log, sizeof log, "%s/logs/workers.log", folder);
    att_env_find("datasets", datasets, sizeof datasets);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    att_run_options run = {.command = {cli->self, o->model, datasets, log, o->memory * 0x1p30},
                           .workers = o->workers ? (int)o->workers : (int)processors,
                           .timeout = o->timeout,
                           .give_up = (int)o->give_up,
                           .journal = journal,
                           .resume = o->resume != NULL,
                           .stamp = stamp,
                           .quiet = o->quiet};
    const char *name = strrchr(folder, '/');
    result->run_id = strdup(name ? name + 1 : folder);
    result->suite = strdup(plan->suite ? plan->suite : "");
    result->plan_hash = strdup(plan->hash);
    result->shard = w->shard.index;
    result->shards = w->cut.of;
    status = att_run_plan_measure(plan, &run, result, number, why);
    result->status = strdup(*number ? "interrupted" : status == ATT_OK ? "complete" : "incomplete");
    if (status == ATT_OK && !*number)
        status = att_smallest_fill(registry, &run, SHRUNK_MOST, SHRINK_SECONDS, result, why);
    if (status == ATT_OK)
        status = att_compare_fill(result, ATT_VERDICT_DENSE, why);
    if (status == ATT_OK)
        status = att_run_folder_fill(cli, result, folder, why);
    return status;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.out = "runs", .seed = -1, .model = getenv("ATT_MODEL"), .memory = ATT_MEMORY_GIB};
    att_result result = {0};
    work w = {0};
    att_registry *registry = NULL;
    att_why why = {""};
    char folder[4096] = "";
    int first = 0, number = 0, code = att_options_read(&att_verb_run, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_run, "unexpected operand %s", argv[first]);
    if ((o.cases.n || o.lists.n) && !o.suite && (o.kernels.n || o.plugins.n || o.evals.n))
        return att_usage(&att_verb_run,
                         "--%s chooses rows of a suite; a case names its own eval and kernel",
                         o.plugins.n   ? "plugin"
                         : o.kernels.n ? "kernel"
                                       : "eval");
    if (att_shard_asked(o.shard, &w.shard, &why) != ATT_OK)
        return att_usage(&att_verb_run, "%s", why.text);
    if (!o.model && access(ATT_MODEL_PATH, R_OK) == 0)
        o.model = ATT_MODEL_PATH;
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = make_plan(cli, &o, registry, &w.whole, &why);
    if (status == ATT_OK)
        status = cut_plan(&o, &w, &why);
    if (status == ATT_OK && w.part.n == 0) {
        att_why_set(&why,
                    w.whole.n ? "the plan has no case for this shard" : "nothing matches: no case");
        code = ATT_EXIT_NOTHING;
    } else if (status == ATT_OK && o.dry_run) {
        (o.json ? print_plan_json : print_plan)(&w.part);
        code = ATT_EXIT_PASS;
    } else if (status == ATT_OK) {
        status = run_plan(cli, &o, registry, &w, &result, folder, sizeof folder, &number, &why);
        code = number == SIGTERM ? ATT_EXIT_TERMINATED
               : number          ? ATT_EXIT_INTERRUPT
                                 : att_verdict_exit(&result, 0);
        if (status == ATT_OK)
            att_run_print_summary(&result, folder, code, o.json);
        if (status == ATT_OK && code == ATT_EXIT_NOTHING)
            att_why_set(&why, "nothing was decided: no case ended pass or fail");
    }
    if (status != ATT_OK)
        code = att_exit_of(status);
    if (status != ATT_OK || code == ATT_EXIT_NOTHING)
        fprintf(stderr, "attest run: %s\n", why.text);
    att_result_clear(&result);
    drop_work(&w);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_run = {"run", "", "measure a suite or single cases", table, run, false};
