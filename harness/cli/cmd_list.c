/* SPDX-License-Identifier: Apache-2.0 */
/* attest list: what there is, as lines for people or one JSON array for scripts. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "cli.h"
#include "core/env.h"
#include "core/param.h"
#include "facts.h"

#define SUITES     "ci/suites"
#define SUITE_MOST ((size_t)16 << 20)

typedef struct options {
    bool json;
} options;

static const att_option table[] = {
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one array of objects"}, {0}};

static void put_number(const char *key, double x)
{
    printf("\"%s\": ", key);
    if (isnan(x))
        fputs("null", stdout);
    else
        att_json_put_real(stdout, x);
}

static void put_text(const char *key, const char *text)
{
    printf("\"%s\": ", key);
    att_json_put_text(stdout, text ? text : "");
}

static void json_kernel(const att_kernel *k)
{
    att_arena arena = {0};
    att_value *values = NULL;

    if (att_param_defaults(k->params, &arena, &values, NULL) != ATT_OK)
        values = NULL;
    att_facts f = att_facts_of(k, values, NULL);
    printf("{\"class\": \"%s\", \"cost\": {", f.class_);
    put_number("flops_4k", f.flops_4k);
    fputs(", ", stdout);
    put_number("keys_read_128k", f.keys_read_128k);
    fputs(", ", stdout);
    put_number("keys_read_32k", f.keys_read_32k);
    fputs(", ", stdout);
    put_number("keys_read_4k", f.keys_read_4k);
    fputs(", ", stdout);
    put_number("kv_bytes_per_token", f.kv_bytes_per_token);
    fputs(", ", stdout);
    put_number("state_bytes_128k", f.state_bytes_128k);
    fputs("}, \"dtypes\": [", stdout);
    att_facts_put(stdout, f.dtypes, ATT_DTYPES, att_facts_dtype, true);
    fputs("], ", stdout);
    put_text("family", k->family);
    fputs(", ", stdout);
    put_text("name", k->name);
    fputs(", \"operators\": [", stdout);
    att_facts_put(stdout, f.operators, ATT_OPS, att_facts_op, true);
    fputs("], \"phases\": [", stdout);
    att_facts_put(stdout, f.phases, ATT_PHASES, att_phase_name, true);
    fputs("], ", stdout);
    put_text("source", k->source);
    fputs(", ", stdout);
    put_text("summary", k->summary);
    putchar('}');
    att_arena_drop(&arena);
}

/* A number for people: 4096 as 4096, what is not declared as "-". */
static void put_short(double x, int width)
{
    if (isnan(x))
        printf(" %*s", width, "-");
    else
        printf(" %*.6g", width, x);
}

static void print_kernel(const att_kernel *k)
{
    att_arena arena = {0};
    att_value *values = NULL;

    if (att_param_defaults(k->params, &arena, &values, NULL) != ATT_OK)
        values = NULL;
    const att_facts f = att_facts_of(k, values, NULL);
    printf("%-18s %-7s %-5s", k->name, k->family, f.class_);
    put_short(f.keys_read_4k, 7);
    put_short(f.keys_read_128k, 9);
    put_short(f.kv_bytes_per_token, 10);
    fputs("  ", stdout);
    att_facts_put(stdout, f.operators, ATT_OPS, att_facts_op, false);
    fputs(" | ", stdout);
    att_facts_put(stdout, f.phases, ATT_PHASES, att_phase_name, false);
    fputs(" | ", stdout);
    att_facts_put(stdout, f.dtypes, ATT_DTYPES, att_facts_dtype, false);
    printf("\n    %s\n", k->summary);
    att_arena_drop(&arena);
}

static void list_kernels(const att_kernel *const *kernels, bool json, bool costs)
{
    if (!json && costs)
        printf("%-18s %-7s %-5s %7s %9s %10s  %s\n", "kernel", "family", "class", "keys 4k",
               "keys 128k", "KV B/token", "operators | phases | dtypes");
    for (size_t i = 0; kernels[i]; i++) {
        if (json) {
            fputs(i ? ",\n" : "", stdout);
            json_kernel(kernels[i]);
            continue;
        }
        if (costs)
            print_kernel(kernels[i]);
        else
            printf("%-20s %-8s %s\n", kernels[i]->name, kernels[i]->family, kernels[i]->summary);
    }
}

static void list_variants(bool json)
{
    for (const att_variant_row *v = att_variant_rows; v->need; v++) {
        if (!json) {
            printf("%-2s %-36s %-16s %s\n", v->need, v->name, *v->kernel ? v->kernel : "-",
                   v->shown);
            continue;
        }
        fputs(v == att_variant_rows ? "{" : ",\n{", stdout);
        put_text("case", *v->kernel ? v->shown : "");
        fputs(", ", stdout);
        put_text("kernel", v->kernel);
        fputs(", ", stdout);
        put_text("name", v->name);
        fputs(", ", stdout);
        put_text("need", v->need);
        fputs(", ", stdout);
        put_text("why", *v->kernel ? "" : v->shown);
        putchar('}');
    }
}

static void json_eval(const att_eval *e)
{
    fputs("{\"chance\": ", stdout);
    if (isnan(e->chance))
        fputs("null", stdout);
    else
        att_json_put_real(stdout, e->chance);
    fputs(", \"metrics\": [", stdout);
    for (const att_metric_spec *m = e->metrics; m && m->name; m++) {
        fputs(m == e->metrics ? "" : ", ", stdout);
        att_json_put_text(stdout, m->name);
    }
    fputs("], ", stdout);
    put_text("name", e->name);
    fputs(", \"params\": [", stdout);
    for (size_t i = 0; i < att_param_count(e->params); i++) {
        fputs(i ? ", " : "", stdout);
        att_json_put_text(stdout, e->params[i].name);
    }
    fputs("], ", stdout);
    put_text("summary", e->summary);
    fputs(", \"tasks\": [", stdout);
    for (const char *const *t = e->tasks; t && *t; t++) {
        fputs(t == e->tasks ? "" : ", ", stdout);
        att_json_put_text(stdout, *t);
    }
    fputs("]}", stdout);
}

static void list_evals(const att_eval *const *evals, bool json)
{
    for (size_t i = 0; evals[i]; i++) {
        if (json) {
            fputs(i ? ",\n" : "", stdout);
            json_eval(evals[i]);
            continue;
        }
        printf("%-20s %s\n", evals[i]->name, evals[i]->summary);
        for (const char *const *t = evals[i]->tasks; t && *t; t++)
            printf("  %s.%s\n", evals[i]->name, *t);
    }
}

static int is_suite(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

static att_status list_suite(const char *folder, const char *file, bool json, bool first,
                             att_why *why)
{
    char path[1024];
    cJSON *tree = NULL;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    att_status st = att_json_read(path, SUITE_MOST, &tree, why);
    if (st)
        return st;
    const cJSON *rows = att_json_get(tree, "rows");
    int n = cJSON_IsArray(rows) ? cJSON_GetArraySize(rows) : 0;
    if (json) {
        fputs(first ? "{" : ",\n{", stdout);
        printf("\"name\": \"");
        printf("%.*s\", ", (int)(strlen(file) - 5), file);
        put_text("path", path);
        printf(", \"rows\": %d}", n);
    } else {
        printf("%-12.*s %d row%s  %s\n", (int)(strlen(file) - 5), file, n, n == 1 ? "" : "s", path);
    }
    cJSON_Delete(tree);
    return ATT_OK;
}

static int list_suites(bool json)
{
    char folder[512];
    struct dirent **names = NULL;
    att_why why = {""};
    att_status st = ATT_OK;

    att_env_find(SUITES, folder, sizeof folder);
    int n = scandir(folder, &names, is_suite, alphasort);
    if (n < 0) {
        fprintf(stderr, "attest list: %s: %s\n", folder, strerror(errno));
        return ATT_EXIT_INCOMPLETE;
    }
    for (int i = 0; i < n; i++) {
        if (!st)
            st = list_suite(folder, names[i]->d_name, json, i == 0, &why);
        free(names[i]);
    }
    free(names);
    if (st)
        fprintf(stderr, "attest list: %s\n", why.text);
    return att_exit_of(st);
}

extern const att_verb att_verb_list;

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {0};
    int first = 0, code = att_options_read(&att_verb_list, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    const char *what = first < argc ? argv[first] : "kernels";
    const struct {
        const char *name;
        const att_kernel *const *kernels;
    } tables[] = {{"kernels", cli->kernels->kernels},
                  {"zoo", cli->kernels->zoo},
                  {"controls", cli->kernels->controls},
                  {"different", cli->kernels->different},
                  {"variants", NULL},
                  {"evals", NULL},
                  {"suites", NULL}};
    size_t n = sizeof tables / sizeof *tables, at = 0;
    while (at < n && strcmp(tables[at].name, what) != 0)
        at++;
    if (at == n || first + 1 < argc)
        return att_usage(&att_verb_list,
                         "%s: one of kernels, variants, evals, suites, zoo, controls, different",
                         at == n ? what : argv[first + 1]);
    code = ATT_EXIT_PASS;
    if (o.json)
        putchar('[');
    if (tables[at].kernels)
        list_kernels(tables[at].kernels, o.json, at == 0);
    else if (strcmp(what, "variants") == 0)
        list_variants(o.json);
    else if (strcmp(what, "evals") == 0)
        list_evals(cli->evals, o.json);
    else
        code = list_suites(o.json);
    if (o.json)
        puts("]");
    return code;
}

const att_verb att_verb_list = {
    .name = "list",
    .operands = "[kernels|variants|evals|suites|zoo|controls|different]",
    .summary = "what there is",
    .options = table,
    .run = run};
