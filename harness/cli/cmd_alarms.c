/* SPDX-License-Identifier: Apache-2.0 */
/* attest alarms: how often does the paired comparison call a kernel worse than itself?
 *
 * A/A trials: one kernel, with real losses so that items differ, answers the probes of many seeds.
 * Each trial deals the seeds of every cell out in pairs at random; one of a pair plays dense, the
 * other the kernel, and the comparison that judges every run judges them (gate/trial.h).  The two
 * are exchangeable, so each "worse" is false.  By how much the shares stay below their levels says
 * how conservative the exact tests are. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "gate/compare.h"
#include "gate/independence.h"
#include "trial_pool.h"

#define SHUFFLES 19999
#define TIED     1e-4 /* p from which on contexts of a case are called dependent */

static const att_option table[] = {ATT_TRIAL_OPTIONS, {.name = NULL}};

extern const att_verb att_verb_alarms;

/* What is counted: a trial (all tasks together), or a row (one task of one trial). */
typedef struct counter {
    const char *what;
    double level;
    bool by_trial;
    bool (*alarm)(const att_comparison *c, double level);
    int64_t alarms, n;
} counter;

/* What is printed. */
typedef struct report {
    const att_trial_options *o;
    const char *kernel;
    const att_trial_pool *pool;
    const att_result *last;  /* of the last trial */
    att_independence *cases; /* a task of the pool each */
    counter *counters;
    size_t n;
} report;

static bool called_worse(const att_comparison *c, double level)
{
    (void)level;
    return strcmp(c->verdict, "worse") == 0;
}

static bool called_better(const att_comparison *c, double level)
{
    (void)level;
    return strcmp(c->verdict, "better") == 0;
}

static bool holm(const att_comparison *c, double level)
{
    return c->p_holm <= level;
}

static bool contexts(const att_comparison *c, double level)
{
    return c->p_context <= level;
}

static bool scores(const att_comparison *c, double level)
{
    return c->score_p <= level;
}

static bool misses_zero(const att_comparison *c, double level)
{
    (void)level;
    return c->lo > 0 || c->hi < 0;
}

/* The true difference is 0, so a margin of 0.02 is kept, and the upper bound fell below it by
 * chance. */
static bool violates(const att_comparison *c, double level)
{
    (void)level;
    return c->hi < -0.02;
}

static void count(counter *k, const att_result *r)
{
    bool any = false;

    for (size_t i = 0; i < r->n_comparisons; i++) {
        bool one = r->comparisons[i].n > 0 && k->alarm(&r->comparisons[i], k->level);
        any |= one;
        if (!k->by_trial) {
            k->n++;
            k->alarms += one;
        }
    }
    if (k->by_trial) {
        k->n++;
        k->alarms += any;
    }
}

static att_interval interval_of(const counter *k)
{
    return att_wilson((double)k->alarms, (double)k->n, ATT_TRIAL_SURE);
}

/* More alarms than the level allows, beyond chance. */
static bool is_loud(const counter *k)
{
    return !(interval_of(k).lo <= k->level);
}

static bool is_tied(const att_independence *cases)
{
    return cases->p <= TIED;
}

/* What was dealt in the last trial: how much there was to find, and whether contexts are what may
 * be counted. */
static void put_task(const att_trial_task *t, const att_independence *cases,
                     const att_comparison *c, bool json)
{
    double right = (double)t->hits / (double)t->items;
    double each = (double)t->items / (double)t->contexts;
    double differ = c->n > 0 ? (double)(c->wins + c->losses) / (double)c->n : 0;

    if (json) {
        printf("{\"accuracy\":%.17g,\"case_p\":%.17g,\"case_ratio\":", right, cases->p);
        isnan(cases->ratio) ? (void)fputs("null", stdout) : att_json_put_real(stdout, cases->ratio);
        printf(",\"differ\":%.17g,\"items\":%" PRId64 ",\"items_a_context\":%.17g,\"task\":\"%s\"}",
               differ, c->n, each, c->measure);
        return;
    }
    printf("%-24s %9.3f %8" PRId64 " %15.3g %8.3f", c->measure, right, c->n, each, differ);
    if (isnan(cases->ratio))
        printf(" %7s\n", "-");
    else
        printf(" %7.2f  p %.2g%s\n", cases->ratio, cases->p,
               is_tied(cases) ? "  CONTEXTS OF A CASE ARE NOT INDEPENDENT" : "");
}

static void put_tasks(const report *r, bool json)
{
    for (size_t i = 0; i < r->last->n_comparisons; i++)
        for (size_t k = 0; k < r->pool->n; k++)
            if (strcmp(r->pool->tasks[k].measure, r->last->comparisons[i].measure) == 0) {
                fputs(!json ? "" : i ? ",\n" : "\n", stdout);
                put_task(&r->pool->tasks[k], &r->cases[k], &r->last->comparisons[i], json);
            }
}

static void put_counter(const counter *k, bool json)
{
    const att_interval ci = interval_of(k);
    double share = (double)k->alarms / (double)k->n;

    if (json)
        printf("{\"alarms\":%" PRId64 ",\"ci\":[%.17g,%.17g],\"level\":%.17g,\"of\":%" PRId64
               ",\"share\":%.17g,\"what\":\"%s\"}",
               k->alarms, ci.lo, ci.hi, k->level, k->n, share, k->what);
    else
        printf("%-40s %7" PRId64 " %8" PRId64 "  %.4f [%.4f, %.4f] %8g%s\n", k->what, k->alarms,
               k->n, share, ci.lo, ci.hi, k->level, is_loud(k) ? "  TOO MANY" : "");
}

static void print_json(const report *r)
{
    fputs("{\"alarms\":[", stdout);
    for (size_t i = 0; i < r->n; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_counter(&r->counters[i], true);
    }
    fputs("\n],\"kernel\":", stdout);
    att_json_put_text(stdout, r->kernel);
    fputs(",\"tasks\":[", stdout);
    put_tasks(r, true);
    printf("\n],\"trials\":%" PRId64 "}\n", r->o->trials);
}

static void print_text(const report *r)
{
    printf("%s against itself, %" PRId64 " comparisons, the items of %" PRId64
           " seeds dealt in pairs\n%-24s %9s %8s %15s %8s %7s\n",
           r->kernel, r->o->trials, r->o->seeds, "task", "accuracy", "items", "items a context",
           "differ", "cases");
    put_tasks(r, false);
    printf("cases: variance of a case's hits over that of contexts on their own; p: of so large a "
           "one\n\n%-40s %7s %8s  %-23s %8s\n",
           "false alarms", "alarms", "of", "share [99 %]", "at most");
    for (size_t i = 0; i < r->n; i++)
        put_counter(&r->counters[i], false);
}

/* Whether the contexts of a case are independent, a task each. */
static att_status look_at_cases(report *r)
{
    const att_rng root = att_rng_make((uint64_t)r->o->seed, "cases");
    att_status status = ATT_OK;

    r->cases = calloc(r->pool->n + 1, sizeof *r->cases);
    if (!r->cases)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < r->pool->n && status == ATT_OK; i++) {
        att_rng rng = att_rng_split(&root, i);
        status = att_independence_of(&r->pool->tasks[i], SHUFFLES, &rng, &r->cases[i]);
    }
    return status;
}

static int exit_of(const report *r)
{
    int code = ATT_EXIT_PASS;

    for (size_t i = 0; i < r->n; i++)
        code = is_loud(&r->counters[i]) ? ATT_EXIT_FAIL : code;
    for (size_t i = 0; i < r->pool->n; i++)
        code = is_tied(&r->cases[i]) ? ATT_EXIT_FAIL : code;
    return code;
}

static int rehearse(const att_trial_options *o, const char *kernel, const att_trial_pool *pool)
{
    counter counters[] = {
        {"worse (the verdict), in any task", ATT_COMPARE_LEVEL, true, called_worse, 0, 0},
        {"better (the verdict), in any task", ATT_COMPARE_LEVEL, true, called_better, 0, 0},
        {"p (Holm) <= 0.001, in any task", 0.001, true, holm, 0, 0},
        {"p (Holm) <= 0.01, in any task", 0.01, true, holm, 0, 0},
        {"p (Holm) <= 0.05, in any task", 0.05, true, holm, 0, 0},
        {"p <= 0.05, of one task", 0.05, false, contexts, 0, 0},
        {"scores lower, p <= 0.05, of one task", 0.05, false, scores, 0, 0},
        {"interval (95 %) without 0, of one task", 1 - ATT_COMPARE_CONFIDENCE, false, misses_zero,
         0, 0},
        {"margin of 0.02 violated, of one task", (1 - ATT_COMPARE_CONFIDENCE) / 2, false, violates,
         0, 0}};
    report r = {o, kernel, pool, NULL, NULL, counters, sizeof counters / sizeof *counters};
    const att_rng root = att_rng_make((uint64_t)o->seed, "alarms");
    att_status status = look_at_cases(&r);

    for (int64_t t = 0; t < o->trials && status == ATT_OK; t++) {
        att_rng rng = att_rng_split(&root, (uint64_t)t);
        att_trial trial = {0};
        status = att_trial_same(pool, &rng, &trial);
        for (size_t i = 0; i < r.n && status == ATT_OK; i++)
            count(&counters[i], &trial.result);
        r.last = &trial.result;
        if (status == ATT_OK && t + 1 == o->trials)
            (o->json ? print_json : print_text)(&r);
        att_trial_drop(&trial);
    }
    int code = status == ATT_OK ? exit_of(&r) : att_exit_of(status);
    free(r.cases);
    return code;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    att_trial_options o = {.seeds = 40, .from = 1, .trials = 1000, .seed = 1};
    att_result result = {0};
    att_trial_pool pool = {0};
    int first = 0, code = att_options_read(&att_verb_alarms, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (argc - first > 1)
        return att_usage(&att_verb_alarms, "one kernel, not %d", argc - first);
    const char *kernel = first < argc ? argv[first] : "based";
    att_trial_measure(cli, &att_verb_alarms, &o, kernel, &result, &pool, &code);
    if (code < 0)
        code = rehearse(&o, kernel, &pool);
    att_trial_pool_drop(&pool);
    att_result_clear(&result);
    return code;
}

const att_verb att_verb_alarms = {
    .name = "alarms",
    .operands = "[KERNEL]",
    .summary = "how often the comparison calls a kernel worse than itself",
    .options = table,
    .run = run};
