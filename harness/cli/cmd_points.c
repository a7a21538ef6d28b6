/* SPDX-License-Identifier: Apache-2.0 */
/* attest points: recall that theory or a paper gives (points.def), measured again, side by side.
 *
 * Cases of a point weigh alike; the interval is Wilson's, with as many items as its variance is
 * worth: of each case by the design effect of items that share a context, then of the mean. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/stats.h"
#include "base/str.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *suite;
    int64_t workers;
    bool json, quiet;
} options;

static const att_option table[] = {
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "whose cases; default: points"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one array of objects"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

typedef struct point {
    const char *ids, *what;
    double known, within;
    /* measured: */
    int64_t cases, items;
    double sum, variance; /* over cases */
    double form;          /* sum of what the mask itself predicts, item by item; NAN = none */
    double mean;
    att_interval interval;
    bool held;
} point;

static const point points[] = {
#define ATT_POINT(pattern, value, near, text)                                                      \
    {.ids = (pattern), .known = (value), .within = (near), .what = (text)},
#include "points.def"
#undef ATT_POINT
};
#define POINTS (sizeof points / sizeof *points)

static void add(point *p, const att_record *r)
{
    const att_metric *accuracy = att_record_metric(r, "accuracy");
    const att_metric *form = att_record_metric(r, "accuracy_predicted");
    uint8_t *hit = malloc(r->n_items + 1);
    int32_t *cluster = malloc((r->n_items + 1) * sizeof *cluster);

    if (accuracy && accuracy->n > 0 && hit && cluster) {
        for (size_t i = 0; i < r->n_items; i++) {
            hit[i] = r->items[i].hit;
            cluster[i] = r->items[i].cluster;
        }
        const double effect = r->n_items ? att_design_effect(hit, cluster, r->n_items) : 1;
        p->cases++;
        p->items += accuracy->n;
        p->sum += accuracy->value;
        p->variance += accuracy->value * (1 - accuracy->value) * effect / (double)accuracy->n;
        p->form += form ? form->value : (double)NAN;
    }
    free(hit);
    free(cluster);
}

static void finish(point *p)
{
    const double n = (double)p->cases, variance = p->variance / (n * n);

    p->mean = p->cases ? p->sum / n : (double)NAN;
    p->form = p->cases ? p->form / n : (double)NAN;
    const double worth = variance > 0 ? p->mean * (1 - p->mean) / variance : (double)p->items;
    p->interval = att_wilson(p->cases ? p->mean * worth : 0, p->cases ? worth : 0, 0.95);
    p->held = fabs(p->mean - p->known) <= p->within; /* false where nothing was measured */
}

static void print_text(const point *at)
{
    printf("%-30s %6s %6s %8s  %-14s %6s %6s  %s\n", "recall", "known", "form", "measured", "95 %",
           "items", "within", "");
    for (size_t i = 0; i < POINTS; i++) {
        const point *p = &at[i];
        char form[16] = "-";
        if (!isnan(p->form))
            snprintf(form, sizeof form, "%.3f", p->form);
        printf("%-30s %6.3f %6s %8.3f  [%.3f, %.3f] %6lld %6.2f  %s\n", p->what, p->known, form,
               p->mean, p->interval.lo, p->interval.hi, (long long)p->items, p->within,
               p->held    ? "holds"
               : p->cases ? "OFF"
                          : "NOT MEASURED");
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

static void print_json(const point *at)
{
    for (size_t i = 0; i < POINTS; i++) {
        const point *p = &at[i];
        printf("%s{\"cases\": %lld, \"ci\": [", i ? ",\n" : "[", (long long)p->cases);
        att_json_put_real(stdout, p->interval.lo);
        fputs(", ", stdout);
        att_json_put_real(stdout, p->interval.hi);
        putchar(']');
        put_member("form", p->form);
        printf(", \"held\": %s, \"items\": %lld", p->held ? "true" : "false", (long long)p->items);
        put_member("known", p->known);
        put_member("measured", p->mean);
        fputs(", \"what\": ", stdout);
        att_json_put_text(stdout, p->what);
        put_member("within", p->within);
        putchar('}');
    }
    puts("]");
}

static att_status measure(const att_cli *cli, const options *o, att_registry *registry,
                          att_result *result, int *number, att_why *why)
{
    const att_plan_filter all = {0};
    att_run_plan plan = {0};

    att_status status = att_cli_add_suite(&plan, registry, o->suite, &all, why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, why);
    if (status == ATT_OK)
        status = att_cli_measure(cli, &plan, NULL, o->workers, o->quiet, result, number, why);
    att_plan_drop(&plan);
    return status;
}

extern const att_verb att_verb_points;

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.suite = "points"};
    att_registry *registry = NULL;
    att_result result = {0};
    att_why why = {""};
    point at[POINTS];
    int first = 0, number = 0, code = att_options_read(&att_verb_points, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_points, "unexpected operand %s", argv[first]);
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = measure(cli, &o, registry, &result, &number, &why);
    if (status != ATT_OK) {
        fprintf(stderr, "attest points: %s\n", why.text);
        code = att_exit_of(status);
    } else if (number) {
        code = number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
    } else {
        code = ATT_EXIT_PASS;
        memcpy(at, points, sizeof at);
        for (size_t i = 0; i < POINTS; i++) {
            for (size_t r = 0; r < result.n_records; r++)
                if (att_glob(at[i].ids, result.records[r].id))
                    add(&at[i], &result.records[r]);
            finish(&at[i]);
            code = at[i].held ? code : ATT_EXIT_FAIL;
        }
        (o.json ? print_json : print_text)(at);
    }
    att_result_clear(&result);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_points = {.name = "points",
                                  .operands = "",
                                  .summary = "recall that theory or papers give, measured again",
                                  .options = table,
                                  .run = run};
