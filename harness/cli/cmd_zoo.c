/* SPDX-License-Identifier: Apache-2.0 */
/* attest zoo: does the suite bite, and does it cry wolf?  Every numeric case of a suite runs on
 * every deliberate bug of the zoo, which must fail at least one, and on every right kernel, which
 * must fail none.  Probes and the language model are left out: they ask what a variant loses, not
 * whether it keeps its contract. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/env.h"
#include "core/run.h"
#include "session.h"
#include "tables.h"
#include "zoo.h"
#include "zoo_judges.h"

#define GRACE   10.0 /* seconds beside the estimate until a case counts as hung */
#define PATIENT 60.0 /* the same for the judges: a slow machine is no finding of theirs */
#define GIVE_UP 3    /* crashes and timeouts after which a bug is well enough known */

typedef struct options {
    const char *suite, *popular, *plot, *against;
    att_list kernels, judges;
    double keep;
    int64_t seed, workers;
    bool first, json, quiet;
} options;

static const att_option table[] = {
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "whose numeric cases; default: gate"},
    {"kernel", ATT_OPTION_LIST, offsetof(options, kernels), "GLOB", NULL,
     "only these; default: '*', 'zoo:*' and 'different:*'"},
    {"seed", ATT_OPTION_INT, offsetof(options, seed), "N", "0:9007199254740991",
     "in place of the suite's seeds"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"judges", ATT_OPTION_LIST, offsetof(options, judges), "NAME", NULL,
     "what other people's rules would say, \"all\" or by name: the kill matrix"},
    {"popular", ATT_OPTION_TEXT, offsetof(options, popular), "NAME", NULL,
     "the judges' other inputs; default: popular"},
    {"against", ATT_OPTION_TEXT, offsetof(options, against), "FILE", NULL,
     "a fuller suite's summary as JSON: which share of its catches this one keeps"},
    {"keep", ATT_OPTION_REAL, offsetof(options, keep), "SHARE", "0:1",
     "fail below this share; default: 0"},
    {"first", ATT_OPTION_FLAG, offsetof(options, first), NULL, NULL,
     "leave a bug at its first failure: what is caught, not how it is named"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "the summary as JSON"},
    {"plot", ATT_OPTION_TEXT, offsetof(options, plot), "FILE.svg", NULL, "a bar a class"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

static void print_alarms(const att_result *result, const att_kernel *const *zoo)
{
    size_t told = 0;

    for (size_t i = 0; i < result->n_records && told < 10; i++) {
        const att_record *r = &result->records[i];
        bool bug = false;
        for (const att_kernel *const *k = zoo; *k; k++)
            bug |= strcmp((*k)->name, r->kernel) == 0;
        if (bug || !(att_zoo_failed(r) || r->status == ATT_ERROR))
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
    char datasets[4096];
    att_run_options run = {
        .command = {cli->self, NULL, datasets, "/dev/null", ATT_MEMORY_GIB * 0x1p30},
        .workers = o->workers ? (int)o->workers : (int)processors,
        .grace = o->judges.n > 0 ? PATIENT : GRACE,
        .give_up = o->first ? 1 : GIVE_UP,
        .give_up_on_failure = o->first,
        .stamp = "",
        .quiet = o->quiet};

    att_env_find("datasets", datasets, sizeof datasets);
    for (size_t i = 0; i < plan->n_rows; i++)
        plan->rows[i].budget = 0; /* a zoo costs what it costs */
    return att_run_plan_measure(plan, &run, result, number, why);
}

static att_status make_plan(const options *o, att_registry *registry, const char *const *evals,
                            att_run_plan *plan, att_why *why)
{
    const char *kernels[66] = {"*", "zoo:*", "different:*", NULL};
    uint64_t seed = (uint64_t)o->seed;
    const char *right[] = {"*", "different:*", NULL};
    att_plan_filter filter = {evals, kernels, o->seed >= 0 ? &seed : NULL};
    att_plan_filter calm = {evals, right, NULL};

    for (size_t i = 0; i < o->kernels.n; i++) {
        kernels[i] = o->kernels.at[i];
        kernels[i + 1] = NULL;
    }
    att_status status = att_cli_add_suite(plan, registry, o->suite, &filter, why);
    if (status == ATT_OK && o->kernels.n == 0) /* what right kernels must not stumble over */
        status = att_cli_add_suite(plan, registry, "different", &calm, why);
    if (status == ATT_OK)
        status = att_plan_finish(plan, why);
    if (status == ATT_OK && plan->n == 0) {
        status = ATT_INVALID;
        att_why_set(why, "suite %s has no numeric cases for these kernels", o->suite);
    }
    return status;
}

static int exit_code(const options *o, const att_zoo_score *t, int number)
{
    size_t judged = t->clean;

    for (size_t i = 0; i < t->n; i++)
        judged += t->bugs[i].judged;
    if (number)
        return number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
    if (judged == 0 || (t->clean == 0 && o->kernels.n == 0))
        return ATT_EXIT_NOTHING;
    if (t->lost && !t->alarms)
        return ATT_EXIT_INCOMPLETE;
    if (o->against) /* what a smaller suite misses counts through the share it keeps */
        return t->alarms ? ATT_EXIT_FAIL : ATT_EXIT_PASS;
    return t->alarms || t->caught < t->n ? ATT_EXIT_FAIL : ATT_EXIT_PASS;
}

static int report(const att_cli *cli, const options *o, const att_result *result, int number)
{
    att_zoo_score t;
    att_zoo_kept kept;
    att_why why = {""};
    att_status status = att_zoo_score_make(result, cli->kernels->zoo, &t);
    int code;

    if (status == ATT_OK && o->against)
        status = att_zoo_kept_read(o->against, &t, &kept, &why);
    if (status != ATT_OK) {
        fprintf(stderr, "attest zoo: %s\n", why.text);
        att_zoo_score_drop(&t);
        return att_exit_of(status);
    }
    (o->json ? att_zoo_print_json : att_zoo_print_text)(&t, o->against ? &kept : NULL);
    print_alarms(result, cli->kernels->zoo);
    code = exit_code(o, &t, number);
    if (o->against && !(att_zoo_kept_share(&kept) >= o->keep))
        code = att_exit_worse(code, ATT_EXIT_FAIL);
    if (o->plot && (status = att_zoo_plot(&t, o->plot, &why)) != ATT_OK) {
        fprintf(stderr, "attest zoo: %s\n", why.text);
        code = att_exit_worse(code, att_exit_of(status));
    }
    att_zoo_score_drop(&t);
    return code;
}

/* Parity's cases of the suite as cases of the judges; or the popular suite's. */
static att_status plan_judged(const options *o, att_registry *registry, int inputs,
                              att_run_plan *plan, att_why *why)
{
    static const char *const parity[] = {"parity", NULL}, *const judges[] = {"judges", NULL};
    bool own = inputs == ATT_INPUTS_OWN;
    att_run_plan from = {0};
    att_status status = make_plan(o, registry, own ? parity : judges, &from, why);

    for (size_t i = 0; status == ATT_OK && i < from.n; i++) {
        char line[4096];
        const char *rest = strchr(from.cases[i].c->line, ' ');
        snprintf(line, sizeof line, "judges%s", rest ? rest : "");
        status = att_plan_add_line(plan, registry, line, why);
    }
    att_plan_drop(&from);
    return status == ATT_OK ? att_plan_finish(plan, why) : status;
}

/* The kill matrix.  Its verdicts are other people's, so whatever they are it ends well. */
static int run_judges(const att_cli *cli, const options *o, att_registry *registry)
{
    const att_eval *eval = att_registry_eval(registry, "judges", NULL);
    att_run_plan plans[ATT_INPUTS] = {0};
    att_result results[ATT_INPUTS] = {0};
    att_judges_matrix matrix = {0};
    att_why why = {""};
    int number = 0, code = ATT_EXIT_PASS;
    att_status status = att_judges_choose(eval, &o->judges, &matrix, &why);

    for (int i = 0; status == ATT_OK && !number && i < ATT_INPUTS; i++) {
        options its = *o;
        its.suite = i == ATT_INPUTS_OWN ? o->suite : o->popular;
        status = plan_judged(&its, registry, i, &plans[i], &why);
        if (status == ATT_OK)
            status = measure(cli, o, &plans[i], &results[i], &number, &why);
    }
    if (status == ATT_OK)
        status = att_judges_count(results, cli->kernels->zoo, &matrix);
    if (status != ATT_OK) {
        fprintf(stderr, "attest zoo: %s\n", why.text);
        code = att_exit_of(status);
    } else if (number) {
        code = number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
    } else if (o->json) {
        att_judges_print_json(&matrix);
    } else {
        att_judges_print_text(&matrix);
    }
    for (int i = 0; i < ATT_INPUTS; i++) {
        att_result_clear(&results[i]);
        att_plan_drop(&plans[i]);
    }
    att_judges_drop(&matrix);
    return code;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.suite = "gate", .popular = "popular", .seed = -1};
    att_registry *registry = NULL;
    att_run_plan plan = {0};
    att_result result = {0};
    att_arena arena = {0};
    att_why why = {""};
    int first = 0, number = 0, code = att_options_read(&att_verb_zoo, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_zoo, "unexpected operand %s", argv[first]);
    if (o.plot && !att_zoo_plottable(o.plot))
        return att_usage(&att_verb_zoo, "--plot %s: a path that ends in .svg is expected", o.plot);
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK && o.judges.n > 0) {
        code = run_judges(cli, &o, registry);
        att_registry_drop(registry);
        return code;
    }
    const char **evals = att_cli_numeric(cli, &arena);
    if (status == ATT_OK)
        status = evals ? make_plan(&o, registry, evals, &plan, &why) : ATT_NO_MEMORY;
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
    att_arena_drop(&arena);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_zoo = {"zoo", "",  "does the suite catch known bugs, and nothing else",
                               table, run, false};
