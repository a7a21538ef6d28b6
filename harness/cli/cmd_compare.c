/* SPDX-License-Identifier: Apache-2.0 */
/* attest compare: kernels against each other on the same items of the probes.
 *
 *   KERNEL...         measured now, against dense; against the first where there are several
 *   RUNDIR [KERNEL..] what a run holds: every variant against dense, or these by length
 *   RUNDIR RUNDIR     each kernel of the second against itself in the first */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "compare_flat.h"
#include "compare_view.h"
#include "core/verdict.h"
#include "gate/loosened.h"
#include "probe_ask.h"
#include "reports/matrix.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *dense, *before, *suite, *lengths, *model;
    att_list tasks;
    int64_t seeds, from, workers;
    double margin;
    bool json, brief, quiet;
} options;

static const att_option table[] = {
    {"dense", ATT_OPTION_TEXT, offsetof(options, dense), "KERNEL", NULL,
     "the kernel to compare with; default: flash_f32, or the first of several kernels"},
    {"before", ATT_OPTION_TEXT, offsetof(options, before), "RUNDIR", NULL,
     "an older run: whose declared or used precision loosened since; exit 1 if any"},
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "whose probes are measured; default: release"},
    {"task", ATT_OPTION_LIST, offsetof(options, tasks), "GLOB", NULL,
     "only these tasks; default: all of the operator track, or all of a run"},
    {"lengths", ATT_OPTION_TEXT, offsetof(options, lengths), "N,N,...", NULL,
     "only these context lengths"},
    {"seeds", ATT_OPTION_INT, offsetof(options, seeds), "N", "1:100000",
     "how many, each with items of its own; default: the suite's"},
    {"from", ATT_OPTION_INT, offsetof(options, from), "SEED", "0:9007199254740000",
     "the first of them; default: 1"},
    {"margin", ATT_OPTION_REAL, offsetof(options, margin), "SHARE", "0.0001:1",
     "of non-inferiority, in place of what kernels declare; exit 1 where violated, 3 where open"},
    {"model", ATT_OPTION_TEXT, offsetof(options, model), "FILE", NULL, "a GGUF file, for lm.*"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"brief", ATT_OPTION_FLAG, offsetof(options, brief), NULL, NULL,
     "the summary alone, not every task by length"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one object on stdout"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {.name = NULL}};

extern const att_verb att_verb_compare;

/* What the operands say. */
typedef struct operands {
    const char *runs[2], *kernels[66]; /* kernels: NULL at the end */
    size_t n_runs, n_kernels;
} operands;

static bool has_items(const att_result *result)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (result->records[i].n_items > 0)
            return true;
    return false;
}

static bool has_kernel(const att_result *result, const char *kernel)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (strcmp(result->records[i].kernel, kernel) == 0)
            return true;
    return false;
}

/* What a run holds of the tasks and lengths that `ask` names. */
static att_status read_run(const char *folder, const att_probe_ask *ask, att_result *out,
                           att_why *why)
{
    att_buf path = {0};
    size_t kept = 0;

    att_buf_printf(&path, "%s/result.json", folder);
    att_status status = path.failed ? ATT_NO_MEMORY : att_result_read(path.data, out, why);
    for (size_t i = 0; i < out->n_records && status == ATT_OK; i++) {
        if (att_probe_takes(ask, &out->records[i]))
            out->records[kept++] = out->records[i];
        else
            att_record_clear(&out->records[i]);
    }
    if (status == ATT_OK && kept == 0 && out->n_records > 0) {
        att_why_set(why, "%s holds no such task at such a length", folder);
        status = ATT_INVALID;
    }
    out->n_records = kept;
    att_buf_drop(&path);
    return status;
}

/* What loosened since the run in directory `before`. */
static int compare_precision(const options *o, const att_result *after)
{
    att_result before = {0};
    att_loosened *rows = NULL;
    att_why why = {""};
    size_t n = 0;
    att_status status = read_run(o->before, &(att_probe_ask){0}, &before, &why);

    if (status == ATT_OK)
        status = att_loosened_find(&before, after, &rows, &n);
    if (status == ATT_OK)
        att_flat_print_loosened(rows, n, o->json);
    else
        fprintf(stderr, "attest compare: %s\n", why.text);
    free(rows);
    att_result_clear(&before);
    return status != ATT_OK ? att_exit_of(status) : n > 0 ? ATT_EXIT_FAIL : ATT_EXIT_PASS;
}

/* ---------------------------------------------------------------------------------- the verb */

static bool is_folder(const char *text)
{
    struct stat s;

    return strncmp(text, "plugin:", 7) != 0 && stat(text, &s) == 0 && S_ISDIR(s.st_mode);
}

/* Directories first, then kernels; -1, or a usage error. */
static int read_operands(int argc, char **argv, int first, operands *out)
{
    for (int i = first; i < argc; i++) {
        const bool folder = is_folder(argv[i]);
        if (!folder && strchr(argv[i], '/') && strncmp(argv[i], "plugin:", 7) != 0)
            return att_usage(&att_verb_compare, "%s: no such run", argv[i]);
        if (folder && (out->n_kernels > 0 || out->n_runs == 2))
            return att_usage(&att_verb_compare, "runs come first, at most two: %s", argv[i]);
        if (!folder && out->n_kernels == 64)
            return att_usage(&att_verb_compare, "at most 64 kernels");
        if (folder)
            out->runs[out->n_runs++] = argv[i];
        else
            out->kernels[out->n_kernels++] = argv[i];
    }
    if (out->n_runs == 0 && out->n_kernels == 0)
        out->runs[out->n_runs++] = "runs/latest";
    return -1;
}

/* Canonical texts of the kernels, in the arena. */
static att_status canonical(att_registry *registry, att_arena *arena, operands *names,
                            const char **dense, att_why *why)
{
    const att_variant *v = NULL;
    att_status status = ATT_OK;

    for (size_t i = 0; i < names->n_kernels && status == ATT_OK; i++)
        if ((status = att_variant_parse(registry, names->kernels[i], arena, &v, why)) == ATT_OK)
            names->kernels[i] = v->text;
    if (*dense && status == ATT_OK &&
        (status = att_variant_parse(registry, *dense, arena, &v, why)) == ATT_OK)
        *dense = v->text;
    return status;
}

/* Measures the kernels, the base, and dense, by which power is told. */
static att_status measure(const att_cli *cli, const options *o, att_registry *registry,
                          const operands *asked, att_probe_ask *ask, att_result *result,
                          int *number, att_why *why)
{
    const char *kernels[68] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < asked->n_kernels; i++)
        kernels[n++] = asked->kernels[i];
    if (o->dense)
        kernels[n++] = o->dense;
    kernels[n++] = ATT_VERDICT_DENSE;
    ask->kernels = kernels;
    return att_probe_measure(cli, registry, ask, result, number, why);
}

/* 1 where a margin is violated or a case failed, 3 where a margin is open. */
static int verdict_exit(const att_result *result, const operands *shown, bool margins)
{
    int code = result->n_comparisons ? ATT_EXIT_PASS : ATT_EXIT_NOTHING;

    for (size_t i = 0; i < result->n_records && shown->n_runs == 0; i++) {
        att_outcome status = result->records[i].status;
        if (status == ATT_FAIL || status == ATT_ERROR || status == ATT_CRASH ||
            status == ATT_TIMEOUT)
            code = att_exit_worse(code, ATT_EXIT_FAIL);
    }
    for (size_t i = 0; i < result->n_comparisons && margins; i++) {
        const att_comparison *c = &result->comparisons[i];
        if (c->n > 0 && c->margin > 0 && c->inferior != 0)
            code = att_exit_worse(code, c->inferior > 0 ? ATT_EXIT_FAIL : ATT_EXIT_INCONCLUSIVE);
    }
    return code;
}

/* All tasks in one table. */
static void print_matrix(const att_result *result, const char *base, const char *const *kernels)
{
    att_buf text = {0};

    if (base)
        att_matrix_put(&text, result, base, kernels);
    if (text.length > 0 && !text.failed)
        printf("\n%s", text.data);
    att_buf_drop(&text);
}

static att_status print(const options *o, const att_result *result, const att_compare_how *how,
                        att_registry *registry, const operands *asked, att_why *why)
{
    att_view v = {0};

    if (asked->n_kernels == 0) {
        o->json ? att_flat_print_json(result) : att_flat_print_rows(result, how->base);
        if (!o->json)
            print_matrix(result, how->base, NULL);
        return ATT_OK;
    }
    att_status status = att_view_make(result, how, registry, asked->kernels, &v, why);
    if (status == ATT_OK && o->json)
        att_view_print_json(&v);
    if (status == ATT_OK && !o->json && !o->brief)
        att_view_print_blocks(&v);
    if (status == ATT_OK && !o->json) {
        att_view_print_summary(&v);
        print_matrix(result, how->base, asked->kernels);
    }
    att_view_drop(&v);
    return status;
}

/* What is compared: a run or two read, or kernels measured.  *code: -1, or what to end with. */
static att_status gather(const att_cli *cli, const options *o, att_registry *registry,
                         const operands *asked, att_result *before, att_result *result, int *code,
                         att_why *why)
{
    att_probe_ask ask = {.suite = o->suite ? o->suite : "release",
                         .tasks = &o->tasks,
                         .from = o->from,
                         .seeds = o->seeds,
                         .model = o->model,
                         .workers = o->workers,
                         .quiet = o->quiet};
    int number = 0;
    att_status status = ATT_OK;

    if (o->lengths && !att_probe_lengths(o->lengths, &ask)) {
        att_why_set(why, "--lengths %s: lengths with commas between are expected", o->lengths);
        return ATT_INVALID;
    }
    if (asked->n_runs == 0) {
        status = measure(cli, o, registry, asked, &ask, result, &number, why);
        if (status == ATT_OK && number)
            *code = number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
        return status;
    }
    status = read_run(asked->runs[asked->n_runs - 1], &ask, result, why);
    if (status == ATT_OK && asked->n_runs == 2)
        status = read_run(asked->runs[0], &ask, before, why);
    return status;
}

/* The comparison proper, of canonical texts. */
static att_status compare(const options *o, att_registry *registry, const operands *asked,
                          const att_result *before, att_result *result, int *code, att_why *why)
{
    const bool two = asked->n_runs == 2;
    const att_compare_how how = {.base = two        ? NULL
                                         : o->dense ? o->dense
                                         : asked->n_runs == 0 && asked->n_kernels > 1
                                             ? asked->kernels[0]
                                             : ATT_VERDICT_DENSE,
                                 .before = two ? before : NULL,
                                 .margin = o->margin};

    if (!two && has_items(result) && !has_kernel(result, how.base)) {
        *code = att_usage(&att_verb_compare, "there is no case of the kernel %s", how.base);
        return ATT_OK;
    }
    att_status status = has_items(result) ? att_compare_with(result, &how, why) : ATT_OK;
    if (status == ATT_OK)
        status = print(o, result, &how, registry, asked, why);
    *code = asked->n_runs > 0 && !(o->margin > 0) ? ATT_EXIT_PASS
                                                  : verdict_exit(result, asked, o->margin > 0);
    return status;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.from = 1};
    operands asked = {0};
    att_result before = {0}, result = {0};
    att_registry *registry = NULL;
    att_arena arena = {0};
    att_why why = {""};
    int first = 0, code = att_options_read(&att_verb_compare, argc, argv, &o, &first);

    if (code >= 0 || (code = read_operands(argc, argv, first, &asked)) >= 0)
        return code;
    if (asked.n_runs > 0 && (o.suite || o.seeds))
        return att_usage(&att_verb_compare, "--%s is for what is measured now, not for a run",
                         o.suite ? "suite" : "seeds");
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (!o.model && access(ATT_MODEL_PATH, R_OK) == 0)
        o.model = ATT_MODEL_PATH;
    if (status == ATT_OK)
        status = gather(cli, &o, registry, &asked, &before, &result, &code, &why);
    if (status == ATT_OK)
        status = canonical(registry, &arena, &asked, &o.dense, &why);
    if (status == ATT_OK && code < 0 && o.before)
        code = compare_precision(&o, &result);
    else if (status == ATT_OK && code < 0)
        status = compare(&o, registry, &asked, &before, &result, &code, &why);
    if (status != ATT_OK) {
        fprintf(stderr, "attest compare: %s\n", why.text);
        code = att_exit_of(status);
    }
    att_result_clear(&before);
    att_result_clear(&result);
    att_arena_drop(&arena);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_compare = {
    .name = "compare",
    .operands = "[KERNEL... | RUNDIR [KERNEL...] | RUNDIR RUNDIR]",
    .summary = "kernels against dense, each other or what they were, item by item",
    .options = table,
    .run = run};
