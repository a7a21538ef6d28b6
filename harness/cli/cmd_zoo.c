/* SPDX-License-Identifier: Apache-2.0 */
/* attest zoo: does the suite bite, and does it cry wolf?  The ordinary parity cases run on every
 * kernel of the zoo, which must fail at least one, and on every right kernel, which must fail none.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "core/run.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *suite;
    int64_t seed, workers;
    bool json, quiet;
} options;

static const att_option table[] = {
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "whose parity cases; default: gate"},
    {"seed", ATT_OPTION_INT, offsetof(options, seed), "N", "0:9007199254740991",
     "in place of the suite's seeds"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "the summary as JSON"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

/* What came of one bug. */
typedef struct bug {
    const att_kernel *kernel;
    size_t judged, failed, named;
    const char *by; /* the first metric that caught it, or crash, timeout */
} bug;

typedef struct totals {
    bug *bugs;
    size_t n, caught, named, clean, alarms, lost;
} totals;

static bool failed(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT;
}

static const char *caught_by(const att_record *r)
{
    for (size_t m = 0; m < r->n_metrics; m++)
        if (r->metrics[m].verdict == 0)
            return r->metrics[m].name;
    return att_outcome_name(r->status);
}

static void count(const att_record *r, totals *t)
{
    bool bad = failed(r), judged = bad || r->status == ATT_PASS;
    size_t i = 0;

    t->lost += r->status == ATT_NOT_RUN;
    while (i < t->n && strcmp(t->bugs[i].kernel->name, r->kernel) != 0)
        i++;
    if (i == t->n) {
        t->clean += judged || r->status == ATT_ERROR;
        t->alarms += bad || r->status == ATT_ERROR;
        return;
    }
    bug *b = &t->bugs[i];
    b->judged += judged;
    b->failed += bad;
    if (bad && !b->by)
        b->by = caught_by(r);
    for (size_t d = 0; d < r->n_diagnoses; d++)
        b->named += strcmp(r->diagnoses[d].fault, b->kernel->name) == 0;
}

/* The summary of a zoo kernel begins with its class and a colon. */
static size_t class_length(const bug *b)
{
    return strcspn(b->kernel->summary, ":");
}

static void print_classes(const totals *t)
{
    const char *between = "";

    fputs("{\"bugs\":", stdout);
    printf("%zu,\"by_class\":{", t->n);
    for (size_t i = 0; i < t->n; i++) {
        size_t length = class_length(&t->bugs[i]), bugs = 0, caught = 0;
        bool first = true;
        for (size_t j = 0; j < t->n; j++) {
            if (class_length(&t->bugs[j]) != length ||
                strncmp(t->bugs[j].kernel->summary, t->bugs[i].kernel->summary, length) != 0)
                continue;
            first = first && j >= i;
            bugs++;
            caught += t->bugs[j].failed > 0;
        }
        if (!first)
            continue;
        printf("%s\"%.*s\":{\"bugs\":%zu,\"caught\":%zu}", between, (int)length,
               t->bugs[i].kernel->summary, bugs, caught);
        between = ",";
    }
    fputs("}", stdout);
}

static void print_json(const totals *t)
{
    const char *between = "";

    print_classes(t);
    printf(",\"caught\":%zu,\"clean_cases\":%zu,\"false_alarms\":%zu,\"missed\":[", t->caught,
           t->clean, t->alarms);
    for (size_t i = 0; i < t->n; i++)
        if (!t->bugs[i].failed) {
            printf("%s\"%s\"", between, t->bugs[i].kernel->name);
            between = ",";
        }
    printf("],\"named\":%zu,\"rows\":[", t->named);
    for (size_t i = 0; i < t->n; i++) {
        const bug *b = &t->bugs[i];
        printf("%s{\"by\":", i ? "," : "");
        att_json_put_text(stdout, b->by ? b->by : "");
        printf(",\"cases\":%zu,\"caught\":%s,\"class\":\"%.*s\",\"failed\":%zu,\"id\":\"%s\","
               "\"named\":%s,\"source\":",
               b->judged, b->failed ? "true" : "false", (int)class_length(b), b->kernel->summary,
               b->failed, b->kernel->name, b->named ? "true" : "false");
        att_json_put_text(stdout, b->kernel->source ? b->kernel->source : "");
        putchar('}');
    }
    puts("]}");
}

static void print_text(const totals *t)
{
    printf("%-26s %-18s %9s  %-14s %s\n", "bug", "class", "failed", "caught by", "named");
    for (size_t i = 0; i < t->n; i++) {
        const bug *b = &t->bugs[i];
        printf("%-26s %-18.*s %4zu/%-4zu  %-14s %s\n", b->kernel->name, (int)class_length(b),
               b->kernel->summary, b->failed, b->judged, b->by ? b->by : "MISSED",
               b->named ? "yes" : "-");
    }
    printf("%zu of %zu bugs caught, %zu named; right kernels: %zu false alarms in %zu cases\n",
           t->caught, t->n, t->named, t->alarms, t->clean);
}

static void print_alarms(const att_result *result, const totals *t)
{
    size_t told = 0;

    for (size_t i = 0; i < result->n_records && told < 10; i++) {
        const att_record *r = &result->records[i];
        bool zoo = false;
        for (size_t b = 0; b < t->n; b++)
            zoo |= strcmp(t->bugs[b].kernel->name, r->kernel) == 0;
        if (zoo || !(failed(r) || r->status == ATT_ERROR))
            continue;
        fprintf(stderr, "false alarm: %s\n        attest repro '%s'\n", r->reason ? r->reason : "",
                r->line);
        told++;
    }
}

static att_status measure(const att_cli *cli, const options *o, att_run_plan *plan,
                          att_result *result, int *number, att_why *why)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    att_run_options run = {
        .command = {cli->self, NULL, "datasets", "/dev/null", ATT_MEMORY_GIB * 0x1p30},
        .workers = o->workers ? (int)o->workers : (int)processors,
        .stamp = "",
        .quiet = o->quiet};

    for (size_t i = 0; i < plan->n_rows; i++)
        plan->rows[i].budget = 0; /* a zoo costs what it costs */
    return att_run_plan_measure(plan, &run, result, number, why);
}

static att_status make_plan(const options *o, att_registry *registry, att_run_plan *plan,
                            att_why *why)
{
    const char *const evals[] = {"parity", NULL}, *const kernels[] = {"*", "zoo:*", NULL};
    uint64_t seed = (uint64_t)o->seed;
    att_plan_filter filter = {evals, kernels, o->seed >= 0 ? &seed : NULL};
    char path[4096];

    snprintf(path, sizeof path, strchr(o->suite, '/') ? "%s" : "ci/suites/%s.json", o->suite);
    att_status status = att_plan_add_suite(plan, registry, path, &filter, why);
    return status == ATT_OK ? att_plan_finish(plan, why) : status;
}

static int report(const att_cli *cli, const options *o, const att_result *result, int number)
{
    totals t = {0};

    while (cli->kernels->zoo[t.n])
        t.n++;
    t.bugs = calloc(t.n + 1, sizeof *t.bugs);
    if (!t.bugs)
        return att_exit_of(ATT_NO_MEMORY);
    for (size_t i = 0; i < t.n; i++)
        t.bugs[i].kernel = cli->kernels->zoo[i];
    for (size_t i = 0; i < result->n_records; i++)
        count(&result->records[i], &t);
    for (size_t i = 0; i < t.n; i++) {
        t.caught += t.bugs[i].failed > 0;
        t.named += t.bugs[i].named > 0;
    }
    if (o->json)
        print_json(&t);
    else
        print_text(&t);
    print_alarms(result, &t);
    int code = t.clean == 0     ? ATT_EXIT_NOTHING
               : t.alarms       ? ATT_EXIT_FAIL
               : t.lost         ? ATT_EXIT_INCOMPLETE
               : t.caught < t.n ? ATT_EXIT_FAIL
                                : ATT_EXIT_PASS;
    free(t.bugs);
    return number == SIGTERM ? ATT_EXIT_TERMINATED : number ? ATT_EXIT_INTERRUPT : code;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.suite = "gate", .seed = -1};
    att_registry *registry = NULL;
    att_run_plan plan = {0};
    att_result result = {0};
    att_why why = {""};
    int first = 0, number = 0, code = att_options_read(&att_verb_zoo, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_zoo, "unexpected operand %s", argv[first]);
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = make_plan(&o, registry, &plan, &why);
    if (status == ATT_OK && plan.n == 0) {
        status = ATT_INVALID;
        att_why_set(&why, "suite %s has no parity cases", o.suite);
    }
    if (status == ATT_OK)
        status = measure(cli, &o, &plan, &result, &number, &why);
    if (status == ATT_OK) {
        code = report(cli, &o, &result, number);
    } else {
        fprintf(stderr, "attest zoo: %s\n", why.text);
        code = att_exit_of(status);
    }
    att_result_clear(&result);
    att_plan_drop(&plan);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_zoo = {"zoo", "",  "does the suite catch known bugs, and nothing else",
                               table, run, false};
