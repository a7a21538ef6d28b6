/* SPDX-License-Identifier: Apache-2.0 */
/* attest table: every variant in one table: what it keeps and reads by its own declaration (held to
 * by the eval `cost`), and how far its answers are from dense attention on the same numbers.
 *
 * The distances are measured: the cases of suite `table`, a column a family of values; relative L2,
 * the mean over the seeds.  "-": not declared, or not offered on those numbers. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "facts.h"
#include "session.h"
#include "tables.h"

#define FAMILIES 8

typedef struct options {
    const char *suite;
    att_list kernels;
    int64_t workers;
    bool json, quiet;
} options;

static const att_option table[] = {
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "whose parity cases; default: table"},
    {"kernel", ATT_OPTION_LIST, offsetof(options, kernels), "GLOB", NULL,
     "only these; default: '*'"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one array of objects"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

/* One variant, with one storage of K and V. */
typedef struct row {
    const char *kernel; /* canonical text, of the records */
    char stored[32];    /* parity's `quant` */
    att_facts facts;
    double sum[FAMILIES];
    int64_t n[FAMILIES];
    int64_t failed; /* cases that did not hold their contract */
} row;

typedef struct sheet {
    row *rows;
    size_t n;
    char family[FAMILIES][32];
    size_t families;
} sheet;

static size_t family_of(sheet *s, const char *name)
{
    size_t f = 0;

    while (f < s->families && strcmp(s->family[f], name) != 0)
        f++;
    if (f == s->families && f < FAMILIES)
        snprintf(s->family[s->families++], sizeof s->family[0], "%s", name);
    return f;
}

static row *row_of(sheet *s, const char *kernel, const char *stored)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->rows[i].kernel, kernel) == 0 && strcmp(s->rows[i].stored, stored) == 0)
            return &s->rows[i];
    row *r = &s->rows[s->n++];
    *r = (row){.kernel = kernel};
    snprintf(r->stored, sizeof r->stored, "%s", stored);
    return r;
}

/* Relative L2 distance to dense attention; of an exact kernel that of its rounding. */
static double loss_of(const att_record *r)
{
    const att_metric *loss = att_record_metric(r, "loss_l2"), *nmse = att_record_metric(r, "nmse");

    return loss ? loss->value : nmse ? sqrt(nmse->value) : (double)NAN;
}

static att_status fill(att_registry *registry, const att_result *result, sheet *s, att_why *why)
{
    att_arena arena = {0};
    att_status status = ATT_OK;

    s->rows = calloc(result->n_records + 1, sizeof *s->rows);
    if (!s->rows)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        char stored[32] = "none", values[32] = "?";
        att_record_param(r, "quant", stored, sizeof stored);
        att_record_param(r, "values", values, sizeof values);
        row *to = row_of(s, r->kernel, stored);
        const size_t f = family_of(s, values);
        const double loss = loss_of(r);
        to->failed += r->status != ATT_PASS && r->status != ATT_HOLE;
        if (f < FAMILIES && !isnan(loss)) {
            to->sum[f] += loss;
            to->n[f]++;
        }
    }
    for (size_t i = 0; i < s->n && status == ATT_OK; i++) {
        const att_variant *v = NULL;
        status = att_variant_parse(registry, s->rows[i].kernel, &arena, &v, why);
        if (status == ATT_OK)
            s->rows[i].facts =
                att_facts_of(v->part[0].kernel, v->part[0].values, s->rows[i].stored);
    }
    att_arena_drop(&arena);
    return status;
}

/* Was a variant measured with quantised K and V alone? */
static bool is_shown(const sheet *s, const row *r)
{
    bool other = false;

    for (size_t f = 0; f < s->families; f++)
        if (r->n[f])
            return true;
    for (size_t i = 0; i < s->n; i++)
        other |= &s->rows[i] != r && strcmp(s->rows[i].kernel, r->kernel) == 0;
    return strcmp(r->stored, "none") == 0 && !other;
}

static void put(double x, int width)
{
    if (isnan(x))
        printf(" %*s", width, "-");
    else
        printf(" %*.4g", width, x);
}

static double mean(const row *r, size_t f)
{
    return r->n[f] ? r->sum[f] / (double)r->n[f] : (double)NAN;
}

static void print_text(const sheet *s)
{
    printf("%-30s %-5s %10s %10s %7s %7s %7s %9s", "variant", "class", "KV B/token", "bytes 128k",
           "keys 4k", "32k", "128k", "flops 4k");
    for (size_t f = 0; f < s->families; f++)
        printf(" %9s", s->family[f]);
    putchar('\n');
    for (size_t i = 0; i < s->n; i++) {
        const row *r = &s->rows[i];
        char name[128];
        if (!is_shown(s, r))
            continue;
        snprintf(name, sizeof name, "%s%s%s", r->kernel, strcmp(r->stored, "none") ? " " : "",
                 strcmp(r->stored, "none") ? r->stored : "");
        printf("%-30s %-5s", name, r->facts.class_);
        put(r->facts.kv_bytes_per_token, 10);
        put(r->facts.state_bytes_128k, 10);
        put(r->facts.keys_read_4k, 7);
        put(r->facts.keys_read_32k, 7);
        put(r->facts.keys_read_128k, 7);
        put(r->facts.flops_4k, 9);
        for (size_t f = 0; f < s->families; f++)
            put(mean(r, f), 9);
        puts(r->failed ? "  FAILED" : "");
    }
}

static void put_member(const char *key, double x)
{
    printf(", \"%s\": ", key);
    if (isnan(x))
        fputs("null", stdout);
    else
        att_json_put_real(stdout, x);
}

static void print_json(const sheet *s)
{
    const char *gap = "";

    putchar('[');
    for (size_t i = 0; i < s->n; i++) {
        const row *r = &s->rows[i];
        if (!is_shown(s, r))
            continue;
        printf("%s{\"class\": \"%s\", \"failed\": %lld", gap, r->facts.class_,
               (long long)r->failed);
        put_member("flops_4k", r->facts.flops_4k);
        fputs(", \"kernel\": ", stdout);
        att_json_put_text(stdout, r->kernel);
        put_member("keys_read_128k", r->facts.keys_read_128k);
        put_member("keys_read_32k", r->facts.keys_read_32k);
        put_member("keys_read_4k", r->facts.keys_read_4k);
        put_member("kv_bytes_per_token", r->facts.kv_bytes_per_token);
        fputs(", \"loss\": {", stdout);
        for (size_t f = 0; f < s->families; f++) {
            fputs(f ? ", " : "", stdout);
            att_json_put_text(stdout, s->family[f]);
            fputs(": ", stdout);
            if (r->n[f])
                att_json_put_real(stdout, mean(r, f));
            else
                fputs("null", stdout);
        }
        putchar('}');
        put_member("state_bytes_128k", r->facts.state_bytes_128k);
        printf(", \"stored\": \"%s\"}", r->stored);
        gap = ",\n";
    }
    puts("]");
}

static att_status measure(const att_cli *cli, const options *o, att_registry *registry,
                          att_result *result, int *number, att_why *why)
{
    static const char *const evals[] = {"parity", NULL};
    const char *kernels[65] = {NULL};
    att_run_plan plan = {0};
    const att_plan_filter filter = {evals, o->kernels.n ? kernels : NULL, NULL};

    memcpy(kernels, o->kernels.at, o->kernels.n * sizeof *kernels);
    att_status status = att_cli_add_suite(&plan, registry, o->suite, &filter, why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, why);
    if (status == ATT_OK && plan.n == 0) {
        status = ATT_INVALID;
        att_why_set(why, "suite %s has no case of parity for these kernels", o->suite);
    }
    if (status == ATT_OK)
        status = att_cli_measure(cli, &plan, NULL, o->workers, o->quiet, result, number, why);
    att_plan_drop(&plan);
    return status;
}

extern const att_verb att_verb_table;

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.suite = "table"};
    att_registry *registry = NULL;
    att_result result = {0};
    att_why why = {""};
    sheet s = {0};
    int first = 0, number = 0, code = att_options_read(&att_verb_table, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_table, "unexpected operand %s", argv[first]);
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = measure(cli, &o, registry, &result, &number, &why);
    if (status == ATT_OK)
        status = fill(registry, &result, &s, &why);
    if (status != ATT_OK) {
        fprintf(stderr, "attest table: %s\n", why.text);
        code = att_exit_of(status);
    } else if (number) {
        code = number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
    } else {
        (o.json ? print_json : print_text)(&s);
        code = ATT_EXIT_PASS;
        for (size_t i = 0; i < s.n; i++)
            code = s.rows[i].failed ? ATT_EXIT_FAIL : code;
    }
    free(s.rows);
    att_result_clear(&result);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_table = {.name = "table",
                                 .operands = "",
                                 .summary = "every variant: what it keeps, reads and loses",
                                 .options = table,
                                 .run = run};
