/* SPDX-License-Identifier: Apache-2.0 */
/* attest compare: every variant of a run against dense, on the items that both met. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "cli.h"
#include "gate/compare.h"
#include "gate/loosened.h"

typedef struct options {
    const char *dense, *before;
    bool json;
} options;

static const att_option table[] = {
    {"dense", ATT_OPTION_TEXT, offsetof(options, dense), "KERNEL", NULL,
     "the kernel to compare with (flash_f32)"},
    {"before", ATT_OPTION_TEXT, offsetof(options, before), "RUNDIR", NULL,
     "an older run: whose declared or used precision loosened since; exit 1 if any"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one object on stdout"},
    {.name = NULL}};

extern const att_verb att_verb_compare;

static void put_member(const char *name, double value)
{
    printf(",\"%s\":", name);
    att_json_put_real(stdout, value);
}

/* Keys in order, as for every --json. */
static void print_json(const att_result *result)
{
    fputs("{\"rows\":[", stdout);
    for (size_t i = 0; i < result->n_comparisons; i++) {
        const att_comparison *c = &result->comparisons[i];
        fputs(i ? ",\n{\"ci\":[" : "\n{\"ci\":[", stdout);
        att_json_put_real(stdout, c->lo);
        fputs(",", stdout);
        att_json_put_real(stdout, c->hi);
        fputs("]", stdout);
        put_member("detectable", c->detectable);
        put_member("difference", c->difference);
        fputs(",\"kernel\":", stdout);
        att_json_put_text(stdout, c->kernel);
        printf(",\"losses\":%lld,\"n\":%lld", (long long)c->losses, (long long)c->n);
        put_member("p", c->p);
        put_member("p_holm", c->p_holm);
        put_member("score_difference", c->score_difference);
        fputs(",\"task\":", stdout);
        att_json_put_text(stdout, c->measure);
        fputs(",\"verdict\":", stdout);
        att_json_put_text(stdout, c->verdict);
        printf(",\"wins\":%lld}", (long long)c->wins);
    }
    fputs("\n]}\n", stdout);
}

static void print_rows(const att_result *result)
{
    printf("%-16s %-36s %6s %5s %5s  %-24s %9s  %s\n", "task", "kernel", "n", "won", "lost",
           "difference [95 %]", "p (Holm)", "verdict");
    for (size_t i = 0; i < result->n_comparisons; i++) {
        const att_comparison *c = &result->comparisons[i];
        char difference[64] = "-", p[32] = "-";
        if (!isnan(c->difference))
            snprintf(difference, sizeof difference, "%+.3f [%+.3f, %+.3f]", c->difference, c->lo,
                     c->hi);
        if (!isnan(c->p_holm))
            snprintf(p, sizeof p, "%.2g", c->p_holm);
        printf("%-16s %-36s %6lld %5lld %5lld  %-24s %9s  %s\n", c->measure, c->kernel,
               (long long)c->n, (long long)c->wins, (long long)c->losses, difference, p,
               c->verdict);
    }
}

static bool has_items(const att_result *result)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (result->records[i].n_items > 0)
            return true;
    return false;
}

static bool has_dense(const att_result *result, const char *dense)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (strcmp(result->records[i].kernel, dense) == 0)
            return true;
    return false;
}

static void print_loosened(const att_loosened *rows, size_t n, bool json)
{
    fputs(json ? "{\"loosened\":[" : "", stdout);
    for (size_t i = 0; i < n; i++) {
        if (!json) {
            printf("%-48s %-14s %g bits, was %g\n", rows[i].id, rows[i].metric, rows[i].after,
                   rows[i].before);
            continue;
        }
        fputs(i ? ",\n{\"after\":" : "\n{\"after\":", stdout);
        att_json_put_real(stdout, rows[i].after);
        put_member("before", rows[i].before);
        fputs(",\"case\":", stdout);
        att_json_put_text(stdout, rows[i].id);
        fputs(",\"metric\":", stdout);
        att_json_put_text(stdout, rows[i].metric);
        putchar('}');
    }
    fputs(json ? "\n]}\n" : n ? "" : "no precision loosened\n", stdout);
}

/* What loosened since the run in directory `before`. */
static int compare_runs(const options *o, const att_result *after)
{
    att_buf path = {0};
    att_result before = {0};
    att_loosened *rows = NULL;
    att_why why = {""};
    size_t n = 0;

    att_buf_printf(&path, "%s/result.json", o->before);
    att_status status = path.failed ? ATT_NO_MEMORY : att_result_read(path.data, &before, &why);
    if (status == ATT_OK)
        status = att_loosened_find(&before, after, &rows, &n);
    if (status == ATT_OK)
        print_loosened(rows, n, o->json);
    else
        fprintf(stderr, "attest compare: %s\n", why.text);
    free(rows);
    att_result_clear(&before);
    att_buf_drop(&path);
    return status != ATT_OK ? att_exit_of(status) : n > 0 ? ATT_EXIT_FAIL : ATT_EXIT_PASS;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.dense = "flash_f32"};
    int first = 0, code = att_options_read(&att_verb_compare, argc, argv, &o, &first);
    att_buf path = {0};
    att_result result = {0};
    att_why why = {""};

    (void)cli;
    if (code >= 0)
        return code;
    if (argc - first > 1)
        return att_usage(&att_verb_compare, "one run directory, not %d", argc - first);
    att_buf_printf(&path, "%s/result.json", first < argc ? argv[first] : "runs/latest");
    att_status status = path.failed ? ATT_NO_MEMORY : att_result_read(path.data, &result, &why);
    if (status == ATT_OK && o.before) {
        code = compare_runs(&o, &result);
        goto done;
    }
    if (status == ATT_OK && has_items(&result)) {
        if (!has_dense(&result, o.dense)) {
            code = att_usage(&att_verb_compare, "%s holds no case of the kernel %s", path.data,
                             o.dense);
            goto done;
        }
        status = att_compare_fill(&result, o.dense, &why);
    }
    code = status == ATT_OK ? ATT_EXIT_PASS : att_exit_of(status);
    if (status != ATT_OK)
        fprintf(stderr, "attest compare: %s\n", why.text);
    else if (o.json)
        print_json(&result);
    else
        print_rows(&result);
done:
    att_result_clear(&result);
    att_buf_drop(&path);
    return code;
}

const att_verb att_verb_compare = {.name = "compare",
                                   .operands = "[RUNDIR]",
                                   .summary = "every variant of a run against dense, item by item",
                                   .options = table,
                                   .run = run};
