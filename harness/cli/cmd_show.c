/* SPDX-License-Identifier: Apache-2.0 */
/* attest show NAME: what a kernel, an eval or a suite declares. */
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "base/json.h"
#include "core/param.h"
#include "facts.h"
#include "heads.h"
#include "session.h"
#include "suites.h"
#include "tables.h"

extern const att_verb att_verb_show;

static void show_params(const att_param *p)
{
    if (att_param_count(p) > 0)
        puts("\nparameters");
    for (; p && p->name; p++) {
        const char *domain = p->domain && *p->domain ? p->domain : "any";
        printf("  %-12s %s%s%s\n      default %s, domain %s\n", p->name, p->help ? p->help : "",
               p->unit && *p->unit ? ", in " : "", p->unit ? p->unit : "",
               p->fallback && *p->fallback ? p->fallback : "''", domain);
    }
}

static const char *dtype(int32_t type)
{
    return type == ATT_DTYPES ? "that of the tensors" : att_dtype_name(type);
}

static void show_kernel(const att_kernel *k, const att_value *values)
{
    static const char *const words[] = {"exact", "approximates softmax attention",
                                        "a function of its own"};
    att_facts f = att_facts_of(k, values, NULL);

    printf("%s: %s\n\n", k->name, k->summary ? k->summary : "");
    for (const att_head *h = att_heads; h->kernel; h++)
        if (strcmp(h->kernel, k->name) == 0)
            printf("%s\n", h->text);
    if (k->source && *k->source)
        printf("source      %s\n", k->source);
    printf("family      %s\nclass       %s (%s)\n", k->family, f.class_,
           k->class_ >= 0 && k->class_ < 3 ? words[k->class_] : "unknown");
    printf("precision   sums %s, probabilities %s, result %s\n", dtype(k->precision.acc),
           dtype(k->precision.prob), dtype(k->precision.out));
    if (k->margin > 0)
        printf("margin      %g below dense's accuracy at most\n", k->margin);
    printf("traits      %s%s\n", k->traits & ATT_TRAIT_DETERMINISTIC ? "deterministic " : "",
           k->traits & ATT_TRAIT_THREAD_INVARIANT ? "thread_invariant" : "");
    if (k->align || k->over_read)
        printf("memory      aligned to %lld bytes, reads up to %lld bytes past the end\n",
               (long long)k->align, (long long)k->over_read);
    fputs("operators   ", stdout);
    att_facts_put(stdout, f.operators, ATT_OPS, att_facts_op, false);
    fputs("\nphases      ", stdout);
    att_facts_put(stdout, f.phases, ATT_PHASES, att_phase_name, false);
    fputs("\ndtypes      ", stdout);
    att_facts_put(stdout, f.dtypes, ATT_DTYPES, att_facts_dtype, false);
    putchar('\n');
    if (!isnan(f.keys_read_4k))
        printf("cost        a query reads %g keys of 4096, %g of 32768, %g of 131072\n"
               "            %g bytes kept a token more, %g for 131072\n",
               f.keys_read_4k, f.keys_read_32k, f.keys_read_128k, f.kv_bytes_per_token,
               f.state_bytes_128k);
    show_params(k->params);
}

static void show_eval(const att_eval *e)
{
    static const char *const signs[] = {">=", "", "<="}; /* by better: HIGHER, NEITHER, LOWER */

    printf("%s: %s\n", e->name, e->summary);
    if (e->tasks && *e->tasks)
        puts("\ntasks");
    for (const char *const *t = e->tasks; t && *t; t++)
        printf("  %s.%s\n", e->name, *t);
    if (!isnan(e->chance))
        printf("\nby guessing %g\n", e->chance);
    show_params(e->params);
    if (e->metrics && e->metrics->name)
        puts("\nmetrics");
    for (const att_metric_spec *m = e->metrics; m && m->name; m++) {
        printf("  %-28s %s (%s)\n", m->name, m->help ? m->help : "", m->unit ? m->unit : "");
        if (!isnan(m->limit))
            printf("      contract: %s %g, of classes%s%s%s\n", signs[1 - (int)m->better], m->limit,
                   m->binds & ATT_BINDS_EXACT ? " E" : "", m->binds & ATT_BINDS_APPROX ? " A" : "",
                   m->binds & ATT_BINDS_OWN ? " D" : "");
    }
}

static void show_row(const cJSON *row)
{
    const cJSON *kernels = att_json_get(row, "kernels"), *k;
    const cJSON *params = att_json_get(row, "params"), *seeds = att_json_get(row, "seeds");
    const char *measure = "?";
    double budget = NAN;

    att_json_text(row, "measure", &measure);
    printf("  %s of", measure);
    for (k = kernels ? kernels->child : NULL; k; k = k->next)
        printf(" %s", cJSON_IsString(k) ? k->valuestring : "?");
    char *text = params ? cJSON_PrintUnformatted(params) : NULL;
    printf("\n      params %s, seeds", text ? text : "{}");
    cJSON_free(text);
    for (k = seeds ? seeds->child : NULL; k; k = k->next)
        printf(" %.17g", cJSON_IsNumber(k) ? k->valuedouble : (double)NAN);
    if (att_json_real(row, "budget", &budget))
        printf(", %g s", budget);
    puts(cJSON_IsTrue(att_json_get(row, "required")) ? ", required" : "");
}

/* INVALID where there is no such suite. */
static att_status show_suite(const char *name, att_why *why)
{
    char path[4096];
    cJSON *suite = NULL;
    const cJSON *row;

    att_status st = att_suites_path(name, path, sizeof path, why);
    if (st == ATT_OK)
        st = att_json_read(path, (size_t)16 << 20, &suite, why);
    if (st)
        return st;
    printf("%s: a suite, %s\n\nrows\n", name, path);
    const cJSON *rows = att_json_get(suite, "rows");
    for (row = rows ? rows->child : NULL; row; row = row->next)
        show_row(row);
    cJSON_Delete(suite);
    return ATT_OK;
}

static bool has_task(const att_eval *e, const char *name)
{
    const char *dot = strchr(name, '.');

    for (const char *const *t = e->tasks; dot && t && *t; t++)
        if (strcmp(*t, dot + 1) == 0)
            return true;
    return !dot;
}

/* An eval, one of its tasks, a kernel with or without parameters, or a suite. */
static att_status show(const att_cli *cli, const char *name, att_why *why)
{
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_registry *registry = NULL;
    att_arena arena = {0};
    const att_variant *v = NULL;
    att_why no_eval = {""}, no_kernel = {""}, no_suite = {""};
    att_status st = att_registry_make(&tables, &plugins, &registry, why);

    if (st)
        return st;
    char *stem = att_arena_span(&arena, name, strcspn(name, "."));
    const att_eval *e = stem ? att_registry_eval(registry, stem, &no_eval) : NULL;
    if (e && !has_task(e, name)) {
        att_why_set(why, "%s has no task %s", e->name, strchr(name, '.') + 1);
        st = ATT_INVALID;
    } else if (e) {
        show_eval(e);
    } else if ((st = att_variant_parse(registry, name, &arena, &v, &no_kernel)) == ATT_INVALID &&
               !strpbrk(name, "/{:")) {
        st = show_suite(name, &no_suite); /* last: its messages may name a file */
        *why = no_suite;
    }
    if (st == ATT_INVALID && !e)
        att_why_set(why, "%.200s, and %.200s%s%.200s", no_eval.text, no_kernel.text,
                    *no_suite.text ? ", and " : "", no_suite.text);
    for (size_t i = 0; v && i < v->parts; i++) {
        fputs(i ? "\n" : "", stdout);
        show_kernel(v->part[i].kernel, v->part[i].values);
    }
    att_arena_drop(&arena);
    att_registry_drop(registry);
    return st;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    att_why why = {""};
    int first = 0, code = att_options_read(&att_verb_show, argc, argv, NULL, &first);

    if (code >= 0)
        return code;
    if (first + 1 != argc)
        return att_usage(&att_verb_show, "the name of one kernel, eval or suite is expected");
    att_status st = show(cli, argv[first], &why);
    if (st == ATT_INVALID)
        return att_usage(&att_verb_show, "%s", why.text);
    if (st)
        fprintf(stderr, "attest show: %s\n", why.text);
    return att_exit_of(st);
}

const att_verb att_verb_show = {.name = "show",
                                .operands = "NAME",
                                .summary = "what a kernel, an eval or a suite declares",
                                .run = run};
