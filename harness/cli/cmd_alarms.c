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
#include <string.h>

#include "base/json.h"
#include "gate/compare.h"
#include "trial_pool.h"

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

/* What was dealt in the last trial: how much there was to find. */
static void put_task(const att_trial_task *t, const att_comparison *c, bool json)
{
    double right = (double)t->hits / (double)t->items;
    double each = (double)t->items / (double)t->contexts;
    double differ = c->n > 0 ? (double)(c->wins + c->losses) / (double)c->n : 0;

    if (json)
        printf("{\"accuracy\":%.17g,\"differ\":%.17g,\"items\":%" PRId64
               ",\"items_a_context\":%.17g,\"task\":\"%s\"}",
               right, differ, c->n, each, c->measure);
    else
        printf("%-24s %9.3f %8" PRId64 " %15.3g %8.3f\n", c->measure, right, c->n, each, differ);
}

static void put_tasks(const att_trial_pool *pool, const att_result *last, bool json)
{
    for (size_t i = 0; i < last->n_comparisons; i++)
        for (size_t k = 0; k < pool->n; k++)
            if (strcmp(pool->tasks[k].measure, last->comparisons[i].measure) == 0) {
                fputs(!json ? "" : i ? ",\n" : "\n", stdout);
                put_task(&pool->tasks[k], &last->comparisons[i], json);
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

static void print_json(const att_trial_options *o, const char *kernel, const att_trial_pool *pool,
                       const att_result *last, const counter *counters, size_t n)
{
    fputs("{\"alarms\":[", stdout);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_counter(&counters[i], true);
    }
    fputs("\n],\"kernel\":", stdout);
    att_json_put_text(stdout, kernel);
    fputs(",\"tasks\":[", stdout);
    put_tasks(pool, last, true);
    printf("\n],\"trials\":%" PRId64 "}\n", o->trials);
}

static void print(const att_trial_options *o, const char *kernel, const att_trial_pool *pool,
                  const att_result *last, const counter *counters, size_t n)
{
    if (o->json) {
        print_json(o, kernel, pool, last, counters, n);
        return;
    }
    printf("%s against itself, %" PRId64 " comparisons, the items of %" PRId64
           " seeds dealt in pairs\n%-24s %9s %8s %15s %8s\n",
           kernel, o->trials, o->seeds, "task", "accuracy", "items", "items a context", "differ");
    put_tasks(pool, last, false);
    printf("\n%-40s %7s %8s  %-23s %8s\n", "false alarms", "alarms", "of", "share [99 %]",
           "at most");
    for (size_t i = 0; i < n; i++)
        put_counter(&counters[i], false);
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
    const size_t n = sizeof counters / sizeof *counters;
    const att_rng root = att_rng_make((uint64_t)o->seed, "alarms");
    int code = ATT_EXIT_PASS;

    for (int64_t t = 0; t < o->trials; t++) {
        att_rng rng = att_rng_split(&root, (uint64_t)t);
        att_trial trial = {0};
        att_status status = att_trial_same(pool, &rng, &trial);
        for (size_t i = 0; i < n && status == ATT_OK; i++)
            count(&counters[i], &trial.result);
        if (status == ATT_OK && t + 1 == o->trials)
            print(o, kernel, pool, &trial.result, counters, n);
        att_trial_drop(&trial);
        if (status != ATT_OK)
            return att_exit_of(status);
    }
    for (size_t i = 0; i < n; i++)
        code = is_loud(&counters[i]) ? ATT_EXIT_FAIL : code;
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
