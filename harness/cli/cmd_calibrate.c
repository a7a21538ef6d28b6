/* SPDX-License-Identifier: Apache-2.0 */
/* attest calibrate: are the limits right?  Right kernels only, over many seeds: how near each comes
 * to each limit, and whether any goes over it (a false alarm).  What is written down has the
 * command and the seeds in it and no times, so that the same command writes the same file. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "calibration.h"
#include "core/env.h"
#include "core/run.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *out;
    att_list suites, kernels, evals;
    int64_t seeds, from, workers;
    bool quiet;
} options;

static const att_option table[] = {
    {"seeds", ATT_OPTION_INT, offsetof(options, seeds), "N", "1:1000000",
     "how many, each with cases of its own; default: 4"},
    {"from", ATT_OPTION_INT, offsetof(options, from), "SEED", "0:9007199254740000",
     "the first; default: 1000"},
    {"suite", ATT_OPTION_LIST, offsetof(options, suites), "NAME", NULL,
     "whose numeric cases; default: gate and different"},
    {"kernel", ATT_OPTION_LIST, offsetof(options, kernels), "GLOB", NULL,
     "which right kernels; default: '*' and 'different:*'"},
    {"eval", ATT_OPTION_LIST, offsetof(options, evals), "GLOB", NULL,
     "only these measures; default: every numeric one"},
    {"out", ATT_OPTION_TEXT, offsetof(options, out), "FILE", NULL, "the calibration as JSON"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

extern const att_verb att_verb_calibrate;

/* The patterns of a list, or those given in its place; at most 65 with the NULL at the end. */
static void patterns(const att_list *list, const char *const *otherwise, const char **out)
{
    size_t n = 0;

    for (; list->n ? n < list->n : otherwise[n] != NULL; n++)
        out[n] = list->n ? list->at[n] : otherwise[n];
    out[n] = NULL;
}

static att_status one_seed(const att_cli *cli, const options *o, att_registry *registry,
                           uint64_t seed, att_calibration *c, int *number, att_why *why)
{
    static const char *const right[] = {"*", "different:*", NULL};
    static const char *const usual[] = {"gate", "different", NULL}, *const none[] = {NULL};
    const char *kernels[66], *suites[66], *given[66];
    char datasets[4096];
    att_arena arena = {0};
    const char **numeric = att_cli_numeric(cli, &arena);
    att_run_plan plan = {0};
    att_result result = {0};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    att_run_options run = {
        .command = {cli->self, NULL, datasets, "/dev/null", ATT_MEMORY_GIB * 0x1p30},
        .workers = o->workers ? (int)o->workers : (int)processors,
        .stamp = "",
        .quiet = true};
    att_status status = numeric ? ATT_OK : ATT_NO_MEMORY;

    patterns(&o->kernels, right, kernels);
    patterns(&o->suites, usual, suites);
    patterns(&o->evals, none, given);
    att_plan_filter filter = {o->evals.n ? given : numeric, kernels, &seed};
    for (size_t i = 0; suites[i] && status == ATT_OK; i++)
        status = att_cli_add_suite(&plan, registry, suites[i], &filter, why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, why);
    for (size_t i = 0; i < plan.n_rows; i++)
        plan.rows[i].budget = 0;
    att_env_find("datasets", datasets, sizeof datasets);
    if (status == ATT_OK)
        status = att_run_plan_measure(&plan, &run, &result, number, why);
    if (status == ATT_OK)
        status = att_calibration_add(c, &result);
    att_result_clear(&result);
    att_plan_drop(&plan);
    att_arena_drop(&arena);
    return status;
}

static void put_command(FILE *f, const options *o)
{
    const struct {
        const char *name;
        const att_list *list;
    } lists[] = {{"suite", &o->suites}, {"kernel", &o->kernels}, {"eval", &o->evals}};
    att_buf b = {0};

    att_buf_printf(&b, "attest calibrate --seeds %" PRId64 " --from %" PRId64, o->seeds, o->from);
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (size_t i = 0; i < lists[l].list->n; i++)
            att_buf_printf(&b, " --%s '%s'", lists[l].name, lists[l].list->at[i]);
    att_json_put_text(f, b.failed ? "" : b.data);
    att_buf_drop(&b);
}

static void put_row(FILE *f, const att_calibration_row *r)
{
    fputs("{\"dtype\": ", f);
    att_json_put_text(f, r->dtype);
    fputs(", \"eval\": ", f);
    att_json_put_text(f, r->measure);
    fputs(", \"kernel\": ", f);
    att_json_put_text(f, r->kernel);
    fputs(", \"largest\": ", f);
    att_json_put_real(f, r->largest);
    fputs(", \"limit\": ", f);
    att_json_put_real(f, r->limit);
    fputs(", \"metric\": ", f);
    att_json_put_text(f, r->metric);
    fprintf(f, ", \"n\": %zu, \"p999\": ", r->n);
    att_json_put_real(f, r->p999);
    fputs("}", f);
}

static att_status write_out(const att_cli *cli, const options *o, att_calibration *c,
                            const att_calibration_row *rows, size_t n, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    if (!f)
        return ATT_NO_MEMORY;
    fprintf(f,
            "{\"schema_version\": 1, \"alarms\": %zu, \"cases\": %zu, \"command\": ", c->n_alarms,
            c->cases);
    put_command(f, o);
    fprintf(f, ", \"from\": %" PRId64 ", \"isa\": \"%s\", \"seeds\": %" PRId64 ", \"lines\": [",
            o->from, cli->kernels->isa, o->seeds);
    for (size_t i = 0; i < c->n_alarms; i++) {
        fputs(i ? ",\n" : "\n", f);
        att_json_put_text(f, c->alarms[i]);
    }
    fputs("], \"rows\": [\n", f);
    for (size_t i = 0; i < n; i++) {
        put_row(f, &rows[i]);
        fputs(i + 1 < n ? ",\n" : "\n", f);
    }
    fputs("]}\n", f);
    att_status status = fclose(f) == 0 ? ATT_OK : ATT_NO_MEMORY;
    if (status == ATT_OK && !att_file_write(o->out, text, length)) {
        att_why_set(why, "%s: can't be written", o->out);
        status = ATT_IO;
    }
    free(text);
    return status;
}

static att_status report(const att_cli *cli, const options *o, att_calibration *c, att_why *why)
{
    att_calibration_row *rows = NULL;
    size_t n = 0;
    att_status status = att_calibration_rows(c, false, &rows, &n);

    printf("%-14s %-18s %-6s %8s %8s %10s %10s  %s\n", "eval", "metric", "dtype", "cases", "limit",
           "99.9 %", "largest", "kernel");
    for (size_t i = 0; status == ATT_OK && i < n; i++)
        printf("%-14s %-18s %-6s %8zu %8.4g %10.3g %10.3g  %s\n", rows[i].measure, rows[i].metric,
               rows[i].dtype, rows[i].n, rows[i].limit, rows[i].p999, rows[i].largest,
               rows[i].kernel);
    printf("(99.9 %% and largest are value over limit; the value itself where the limit is 0)\n"
           "%zu judged cases of right kernels, %zu false alarms\n",
           c->cases, c->n_alarms);
    for (size_t i = 0; i < c->n_alarms && i < 10; i++)
        fprintf(stderr, "false alarm: attest repro '%s'\n", c->alarms[i]);
    free(rows);
    rows = NULL;
    if (status == ATT_OK && o->out && (status = att_calibration_rows(c, true, &rows, &n)) == ATT_OK)
        status = write_out(cli, o, c, rows, n, why);
    free(rows);
    return status;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.seeds = 4, .from = 1000};
    att_registry *registry = NULL;
    att_calibration c = {0};
    att_why why = {""};
    int first = 0, number = 0, code = att_options_read(&att_verb_calibrate, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_calibrate, "unexpected operand %s", argv[first]);
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    for (int64_t s = 0; s < o.seeds && status == ATT_OK && !number; s++) {
        status = one_seed(cli, &o, registry, (uint64_t)(o.from + s), &c, &number, &why);
        if (!o.quiet && status == ATT_OK)
            fprintf(stderr, "seed %" PRId64 " of %" PRId64 ": %zu cases, %zu alarms\n", s + 1,
                    o.seeds, c.cases, c.n_alarms);
    }
    if (status == ATT_OK && !number)
        status = report(cli, &o, &c, &why);
    if (status != ATT_OK)
        fprintf(stderr, "attest calibrate: %s\n", why.text);
    code = status != ATT_OK    ? att_exit_of(status)
           : number == SIGTERM ? ATT_EXIT_TERMINATED
           : number            ? ATT_EXIT_INTERRUPT
           : c.cases == 0      ? ATT_EXIT_NOTHING
           : c.n_alarms        ? ATT_EXIT_FAIL
           : c.lost            ? ATT_EXIT_INCOMPLETE
                               : ATT_EXIT_PASS;
    att_calibration_drop(&c);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_calibrate = {
    "calibrate", "",  "how near right kernels come to the limits, over many seeds",
    table,       run, false};
