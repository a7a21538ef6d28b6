/* SPDX-License-Identifier: Apache-2.0 */
/* attest list: what there is, as lines for people or one JSON array for scripts. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "cli.h"
#include "core/param.h"
#include "facts.h"
#include "suites.h"

#define SUITE_MOST ((size_t)16 << 20)
#define CHOICES    "kernels|variants|evals|suites|zoo|controls|different"

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

static att_status list_suite(const char *folder, const char *name, bool json, bool first,
                             att_why *why)
{
    att_buf path = {0};
    cJSON *tree = NULL;

    att_buf_printf(&path, "%s/%s.json", folder, name);
    att_status st = path.failed ? ATT_NO_MEMORY : att_json_read(path.data, SUITE_MOST, &tree, why);
    if (st == ATT_OK) {
        const cJSON *rows = att_json_get(tree, "rows");
        const int n = cJSON_IsArray(rows) ? cJSON_GetArraySize(rows) : 0;
        if (json) {
            fputs(first ? "{" : ",\n{", stdout);
            put_text("name", name);
            fputs(", ", stdout);
            put_text("path", path.data);
            printf(", \"rows\": %d}", n);
        } else {
            printf("%-12s %d row%s  %s\n", name, n, n == 1 ? "" : "s", path.data);
        }
    }
    cJSON_Delete(tree);
    att_buf_drop(&path);
    return st;
}

static int list_suites(bool json)
{
    att_why why = {""};
    att_suites all;
    att_status st = att_suites_find(&all, &why);

    for (size_t i = 0; i < all.n && st == ATT_OK; i++)
        st = list_suite(all.folder, all.name[i], json, i == 0, &why);
    att_suites_drop(&all);
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
    if (at == n) {
        char nearest[64];
        att_str_choice(CHOICES, what, nearest);
        return att_usage(&att_verb_list, "%s: one of " CHOICES " is expected; the nearest is %s",
                         what, nearest);
    }
    if (first + 1 < argc)
        return att_usage(&att_verb_list, "unexpected operand %s", argv[first + 1]);
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

const att_verb att_verb_list = {.name = "list",
                                .operands = "[" CHOICES "]",
                                .summary = "what there is",
                                .options = table,
                                .run = run};
