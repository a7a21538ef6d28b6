/* SPDX-License-Identifier: Apache-2.0 */
/* attest repro 'CASE LINE': one case again, in a worker, everything it measured on stdout.  What a
 * failure prints is pasted here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/env.h"
#include "core/names.h"
#include "core/record.h"
#include "core/run.h"
#include "core/verdict.h"
#include "session.h"
#include "smallest.h"
#include "tables.h"

typedef struct options {
    const char *model;
    double timeout, memory, seconds;
    bool json, shrink;
} options;

static const att_option table[] = {
    {"model", ATT_OPTION_TEXT, offsetof(options, model), "FILE", NULL, "a GGUF file"},
    {"timeout", ATT_OPTION_REAL, offsetof(options, timeout), "SECONDS", "0.1:86400",
     "for the case"},
    {"memory", ATT_OPTION_REAL, offsetof(options, memory), "GIB", "1:1024",
     "address space of the worker"},
    {"shrink", ATT_OPTION_FLAG, offsetof(options, shrink), NULL, NULL,
     "if it fails, the smallest case that fails alike as well"},
    {"seconds", ATT_OPTION_REAL, offsetof(options, seconds), "N", "0.1:86400",
     "for that; default: 5"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "the record as JSON"},
    {0}};

static void print_metric(const att_metric *m)
{
    static const char *const verdicts[] = {"", "VIOLATED", "holds"};

    printf("  %-16s %14.6g %-8s", m->name, m->value, m->unit);
    if (!isnan(m->limit))
        printf("  limit %g  %s", m->limit, verdicts[m->verdict + 1]);
    if (!isnan(m->lo) && !isnan(m->hi))
        printf("  [%.3g, %.3g]", m->lo, m->hi);
    if (m->n)
        printf("  n = %lld", (long long)m->n);
    putchar('\n');
}

static void print_record(const att_record *r)
{
    char line[512];

    printf("%s  %s\n", att_outcome_name(r->status), r->line);
    if (r->reason)
        printf("  %s\n", r->reason);
    for (size_t i = 0; i < r->n_diagnoses; i++) {
        if (att_diagnosis_repeats(r, i))
            continue;
        att_diagnosis_line(&r->diagnoses[i], line, sizeof line);
        printf("  %s\n", line);
    }
    for (size_t i = 0; i < r->n_metrics; i++)
        print_metric(&r->metrics[i]);
    for (size_t i = 0; i < r->n_items; i++)
        printf("  item %zu: %s  score %.4g  at %.3g  %s\n", i, r->items[i].hit ? "hit" : "miss",
               r->items[i].score, r->items[i].at, r->items[i].note ? r->items[i].note : "");
    if (r->smallest)
        printf("  smallest case that fails alike:\n  attest repro '%s'\n", r->smallest);
}

static att_status measure(const att_cli *cli, const options *o, const char *line,
                          att_result *result, int *number, att_why *why)
{
    char log[] = "/tmp/attest-repro-XXXXXX", datasets[4096];
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_registry *registry = NULL;
    att_run_plan plan = {0};
    int fd = mkstemp(log);
    att_status status = att_registry_make(&tables, &plugins, &registry, why);

    if (status == ATT_OK && fd < 0) {
        att_why_set(why, "%s: can't be made", log);
        status = ATT_IO;
    }
    if (status == ATT_OK)
        status = att_plan_add_line(&plan, registry, line, why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, why);
    att_env_find("datasets", datasets, sizeof datasets);
    if (status == ATT_OK) {
        att_run_options run = {.command = {cli->self, o->model, datasets, log, o->memory * 0x1p30},
                               .workers = 1,
                               .timeout = o->timeout,
                               .stamp = "",
                               .quiet = true};
        result->status = strdup("complete");
        status = att_run_plan_measure(&plan, &run, result, number, why);
        run.workers = (int)sysconf(_SC_NPROCESSORS_ONLN);
        if (status == ATT_OK && o->shrink && !*number)
            status = att_smallest_fill(registry, &run, 1, o->seconds, result, why);
    }
    if (fd >= 0) {
        close(fd);
        unlink(log);
    }
    att_plan_drop(&plan);
    att_registry_drop(registry);
    return status;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.model = getenv("ATT_MODEL"), .memory = ATT_MEMORY_GIB, .seconds = 5};
    att_result result = {0};
    att_why why = {""};
    int first = 0, number = 0, code = att_options_read(&att_verb_repro, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (argc - first != 1)
        return att_usage(&att_verb_repro, "one case line, in quotes, is expected");
    if (!o.model && access(ATT_MODEL_PATH, R_OK) == 0)
        o.model = ATT_MODEL_PATH;
    att_status status = measure(cli, &o, argv[first], &result, &number, &why);
    if (status != ATT_OK) {
        fprintf(stderr, "attest repro: %s\n", why.text);
        code = att_exit_of(status);
    } else {
        if (o.json) {
            att_record_print(&result.records[0], stdout);
            putchar('\n');
        } else
            print_record(&result.records[0]);
        code = att_verdict_exit(&result, number);
    }
    att_result_clear(&result);
    return code;
}

const att_verb att_verb_repro = {
    "repro", "'CASE LINE'", "measure one case again and print all of it", table, run, false};
