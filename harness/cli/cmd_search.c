/* SPDX-License-Identifier: Apache-2.0 */
/* attest search: where does a kernel come nearest to breaking its contract?  For each kernel the
 * nearest miss that could be found within the time, or the smallest failure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "core/env.h"
#include "search.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *measure;
    att_list kernels;
    double seconds;
    int64_t seed, workers;
    bool json;
} options;

static const att_option table[] = {
    {"kernel", ATT_OPTION_LIST, offsetof(options, kernels), "GLOB", NULL,
     "only these; default: '*'"},
    {"eval", ATT_OPTION_TEXT, offsetof(options, measure), "MEASURE", NULL,
     "whose limits; default: parity"},
    {"seconds", ATT_OPTION_REAL, offsetof(options, seconds), "N", "0.1:86400",
     "a kernel; default: 10"},
    {"seed", ATT_OPTION_INT, offsetof(options, seed), "N", "0:9007199254740991",
     "of the search; default: 1"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one JSON object on stdout"},
    {0}};

extern const att_verb att_verb_search;

typedef struct searching {
    const options *o;
    att_registry *registry;
    att_run_options run;
    size_t kernels;
    int code, number;
} searching;

static void print_json(const searching *s, const char *kernel, const att_summit *found)
{
    fputs(s->kernels ? ",\n{\"kernel\":" : "\n{\"kernel\":", stdout);
    att_json_put_text(stdout, kernel);
    if (found->line) {
        fputs(",\"line\":", stdout);
        att_json_put_text(stdout, found->line);
    }
    if (found->metric) {
        fputs(",\"metric\":", stdout);
        att_json_put_text(stdout, found->metric);
    }
    if (found->line) {
        fputs(",\"nearest\":", stdout);
        att_json_put_real(stdout, found->nearest);
        printf(",\"status\":\"%s\"", att_outcome_name(found->status));
    }
    printf(",\"supported\":%zu,\"tried\":%zu}", found->supported, found->tried);
}

static void print_text(const char *kernel, const att_summit *found)
{
    printf("%-24s %6zu cases, %zu supported", kernel, found->tried, found->supported);
    if (!found->line)
        puts(": nothing to say");
    else if (isinf(found->nearest))
        printf(": %s, %s\n    attest repro '%s'\n", att_outcome_name(found->status),
               found->metric ? found->metric : "no answer", found->line);
    else
        printf(": at most %.3f of a limit, %s\n    attest repro '%s'\n", found->nearest,
               found->metric ? found->metric : "none", found->line);
    fflush(stdout);
}

static att_status one_kernel(void *arg, const char *text, att_why *why)
{
    searching *s = arg;
    const att_search how = {.registry = s->registry,
                            .run = &s->run,
                            .measure = s->o->measure,
                            .kernel = text,
                            .seconds = s->o->seconds,
                            .seed = (uint64_t)s->o->seed};
    att_summit found;

    if (s->number)
        return ATT_OK;
    att_status status = att_search_climb(&how, &found, &s->number, why);
    if (status != ATT_OK)
        return status;
    if (s->o->json)
        print_json(s, text, &found);
    else
        print_text(text, &found);
    s->kernels++;
    if (found.line && isinf(found.nearest))
        s->code = ATT_EXIT_FAIL;
    else if (found.line && s->code == ATT_EXIT_NOTHING)
        s->code = ATT_EXIT_PASS;
    att_summit_clear(&found);
    return ATT_OK;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.measure = "parity", .seconds = 10, .seed = 1};
    att_why why = {""};
    char datasets[4096];
    int first = 0, code = att_options_read(&att_verb_search, argc, argv, &o, &first);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_search, "unexpected operand %s", argv[first]);
    att_env_find("datasets", datasets, sizeof datasets);
    searching s = {
        .o = &o,
        .run = {.command = {cli->self, NULL, datasets, "/dev/null", ATT_MEMORY_GIB * 0x1p30},
                .workers = o.workers ? (int)o.workers : (int)processors,
                .grace = 10,
                .stamp = "",
                .quiet = true},
        .code = ATT_EXIT_NOTHING};
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &s.registry, &why);
    if (o.json)
        fputs("{\"kernels\":[", stdout);
    if (status == ATT_OK && !o.kernels.n)
        status = att_registry_match(s.registry, "*", one_kernel, &s, &why);
    for (size_t i = 0; i < o.kernels.n && status == ATT_OK; i++)
        status = att_registry_match(s.registry, o.kernels.at[i], one_kernel, &s, &why);
    if (o.json)
        puts("\n]}");
    att_registry_drop(s.registry);
    if (status != ATT_OK) {
        fprintf(stderr, "attest search: %s\n", why.text);
        return att_exit_of(status);
    }
    return s.number ? ATT_EXIT_INTERRUPT : s.code;
}

const att_verb att_verb_search = {"search", "",  "climb to where a kernel comes nearest to a limit",
                                  table,    run, false};
