/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_cases.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/env.h"
#include "core/run.h"
#include "session.h"
#include "tables.h"

#define TURNS 3

/* Seconds of all workers together, by who spent them. */
typedef struct spent {
    size_t cases;
    int workers;
    double wall;
    double kernel, oracle;
    double eval;    /* inputs, traps, the rule */
    double harness; /* leases, messages, records; waiting at the end */
} spent;

/* The spent time of one turn; false with *why where a case did not pass. */
static bool add_up(const att_result *result, double wall, int workers, spent *out, att_why *why)
{
    spent s = {.cases = result->n_records, .workers = workers, .wall = wall};
    double inside = 0;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (r->status != ATT_PASS) {
            att_why_set(why, "%s ended as %s", r->line, att_outcome_name(r->status));
            return false;
        }
        s.kernel += r->kernel_seconds;
        s.oracle += r->oracle_seconds;
        inside += r->seconds;
    }
    s.eval = inside - s.kernel - s.oracle;
    s.harness = wall * workers - inside;
    *out = s;
    return true;
}

static void print(const spent *s, bool json)
{
    const double all = s->wall * s->workers, rate = (double)s->cases / s->wall;

    if (json)
        printf("{\"cases\":%zu,\"cases_per_s\":%.17g,\"seconds\":%.17g,\"share_eval\":%.17g,"
               "\"share_harness\":%.17g,\"share_kernel\":%.17g,\"share_oracle\":%.17g,"
               "\"workers\":%d}\n",
               s->cases, rate, s->wall, s->eval / all, s->harness / all, s->kernel / all,
               s->oracle / all, s->workers);
    else
        printf("%zu cases in %.2f s on %d workers: %.0f cases/s\n"
               "kernel %.1f %%, oracle %.1f %%, inputs, traps and rule %.1f %%, harness %.1f %%\n",
               s->cases, s->wall, s->workers, rate, 100 * s->kernel / all, 100 * s->oracle / all,
               100 * s->eval / all, 100 * s->harness / all);
}

static att_status turn(const att_cli *cli, const att_run_plan *plan, spent *best, int *number,
                       att_why *why)
{
    char datasets[4096];
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    att_result result = {0};
    spent now;

    att_env_find("datasets", datasets, sizeof datasets);
    att_run_options run = {
        .command = {cli->self, NULL, datasets, "/dev/null", ATT_MEMORY_GIB * 0x1p30},
        .workers = processors > 1 ? (int)processors : 1,
        .stamp = "",
        .quiet = true};
    const double start = att_clock_now();
    att_status status = att_run_plan_measure(plan, &run, &result, number, why);
    const double wall = att_clock_now() - start;
    if (status == ATT_OK && !add_up(&result, wall, run.workers, &now, why))
        status = ATT_FAILED;
    if (status == ATT_OK && (!best->cases || now.wall < best->wall))
        *best = now;
    att_result_clear(&result);
    return status;
}

int att_bench_cases(const att_cli *cli, const char *path, bool json)
{
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_registry *registry = NULL;
    att_run_plan plan = {0};
    spent best = {0};
    att_why why = {""};
    int number = 0;

    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = att_plan_add_list(&plan, registry, path, &why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, &why);
    if (status == ATT_OK && plan.n == 0) {
        att_why_set(&why, "%s holds no case", path);
        status = ATT_INVALID;
    }
    for (int i = 0; i < TURNS && status == ATT_OK && !number; i++)
        status = turn(cli, &plan, &best, &number, &why);
    if (status != ATT_OK)
        fprintf(stderr, "attest bench: %s\n", why.text);
    else if (best.cases)
        print(&best, json);
    att_plan_drop(&plan);
    att_registry_drop(registry);
    return number ? ATT_EXIT_INTERRUPT : status == ATT_OK ? ATT_EXIT_PASS : att_exit_of(status);
}
