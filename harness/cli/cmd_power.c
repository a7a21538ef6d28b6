/* SPDX-License-Identifier: Apache-2.0 */
/* attest power: does the paired comparison find a loss of known size as often as it says?
 *
 * A/B trials on real items: records of a kernel, and copies of them in which hits were lost at
 * random so that the expected loss is `--loss`; the number of items is the one that the exact test
 * needs for `--power` at the level that Holm leaves it (base/power.h), and is printed.  The
 * comparison that judges every run judges each trial; a loss counts as found where its verdict is
 * "worse".  Planted in single items; in single items, with as many won and lost besides; and in
 * whole contexts. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "gate/compare.h"
#include "trial_pool.h"

static const att_option table[] = {
    {"loss", ATT_OPTION_REAL, offsetof(att_trial_options, loss), "SHARE", "0.001:1",
     "of all items, planted; default: 0.02"},
    {"power", ATT_OPTION_REAL, offsetof(att_trial_options, power), "SHARE", "0.01:0.999",
     "with which it is to be found; default: 0.8"},
    {"churn", ATT_OPTION_REAL, offsetof(att_trial_options, churn), "SHARE", "0:0.5",
     "of all items won, and as many lost beyond the loss, in the second planting; default: 0.01"},
    ATT_TRIAL_OPTIONS,
    {.name = NULL}};

extern const att_verb att_verb_power;

enum { PLANTINGS = 3 };
static const char *const plantings[PLANTINGS] = {"single items", "with churn", "whole contexts"};

/* One task and planting. */
typedef struct outcome {
    const char *task, *planting;
    int64_t needed, found, trials;
    double mean_loss; /* what was really lost, on average */
} outcome;

static att_trial_plant plant_of(const att_trial_options *o, int planting)
{
    return (att_trial_plant){
        .loss = o->loss, .churn = planting == 1 ? o->churn : 0, .contexts = planting == 2};
}

static bool found(const att_result *r, const char *task, double *difference)
{
    for (size_t i = 0; i < r->n_comparisons; i++)
        if (strcmp(r->comparisons[i].measure, task) == 0) {
            *difference = r->comparisons[i].difference;
            return strcmp(r->comparisons[i].verdict, "worse") == 0;
        }
    return false;
}

static att_status try(const att_trial_options *o, const att_trial_pool *pool, size_t at,
                      int planting, outcome *out, att_why *why)
{
    att_trial_plant plant = plant_of(o, planting);
    att_rng root = att_rng_make((uint64_t)o->seed, plantings[planting]);
    att_status status = ATT_OK;

    *out = (outcome){pool->tasks[at].measure, plantings[planting], -1, 0, 0, 0};
    plant.items = out->needed = att_trial_needs(pool, at, &plant, o->power);
    root = att_rng_split(&root, at);
    for (int64_t t = 0; t < o->trials && plant.items > 0 && status == ATT_OK; t++) {
        att_rng rng = att_rng_split(&root, (uint64_t)t);
        att_trial trial = {0};
        double difference = 0;
        status = att_trial_planted(pool, at, &plant, &rng, &trial, why);
        if (status == ATT_OK) {
            out->found += found(&trial.result, out->task, &difference);
            out->mean_loss -= difference / (double)o->trials;
            out->trials++;
        }
        att_trial_drop(&trial);
    }
    return status;
}

static att_interval interval_of(const outcome *r)
{
    return att_wilson((double)r->found, (double)r->trials, ATT_TRIAL_SURE);
}

/* Found less often than declared, beyond chance. */
static bool is_weak(const att_trial_options *o, const outcome *r)
{
    return r->trials > 0 && !(interval_of(r).hi >= o->power);
}

static void put_json(const outcome *r)
{
    const att_interval ci = interval_of(r);

    printf("{\"ci\":[%.17g,%.17g],\"found\":%" PRId64 ",\"loss\":%.17g,\"needed\":%" PRId64
           ",\"planting\":\"%s\",\"task\":\"%s\",\"trials\":%" PRId64 "}",
           ci.lo, ci.hi, r->found, r->mean_loss, r->needed, r->planting, r->task, r->trials);
}

static void put_text(const att_trial_options *o, const outcome *r)
{
    const att_interval ci = interval_of(r);

    if (r->trials == 0) {
        printf("%-24s %-16s %9s  its hits and misses leave no room for it\n", r->task, r->planting,
               "-");
        return;
    }
    printf("%-24s %-16s %9" PRId64 " %8.4f %7" PRId64 " %7" PRId64 "  %.3f [%.3f, %.3f]%s\n",
           r->task, r->planting, r->needed, r->mean_loss, r->found, r->trials,
           (double)r->found / (double)r->trials, ci.lo, ci.hi, is_weak(o, r) ? "  TOO FEW" : "");
}

static int rehearse(const att_trial_options *o, const char *kernel, const att_trial_pool *pool)
{
    int code = ATT_EXIT_NOTHING;
    const char *gap = "\n";
    att_why why = {""};

    if (o->json)
        printf("{\"declared\":%.17g,\"rows\":[", o->power);
    else
        printf("a loss of %g planted in items of %s: found (\"worse\", Holm over %zu tasks, level "
               "%g) with power %g?\n%-24s %-16s %9s %8s %7s %7s  %s\n",
               o->loss, kernel, pool->n, ATT_COMPARE_LEVEL, o->power, "task", "planted in",
               "n needed", "lost", "found", "of", "share [99 %]");
    for (size_t i = 0; i < pool->n; i++)
        for (int p = 0; p < PLANTINGS; p++) {
            outcome r;
            att_status status = try(o, pool, i, p, &r, &why);
            if (status != ATT_OK) {
                fprintf(stderr, "attest power: %s\n", why.text);
                return att_exit_of(status);
            }
            if (o->json) {
                fputs(gap, stdout);
                put_json(&r);
                gap = ",\n";
            } else
                put_text(o, &r);
            code = is_weak(o, &r)                             ? ATT_EXIT_FAIL
                   : r.trials > 0 && code == ATT_EXIT_NOTHING ? ATT_EXIT_PASS
                                                              : code;
        }
    fputs(o->json ? "\n]}\n" : "", stdout);
    return code;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    att_trial_options o = {.seeds = 40,
                           .from = 1,
                           .trials = 1000,
                           .seed = 1,
                           .loss = 0.02,
                           .power = ATT_COMPARE_POWER,
                           .churn = 0.01};
    att_result result = {0};
    att_trial_pool pool = {0};
    int first = 0, code = att_options_read(&att_verb_power, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (argc - first > 1)
        return att_usage(&att_verb_power, "one kernel, not %d", argc - first);
    const char *kernel = first < argc ? argv[first] : "based";
    att_trial_measure(cli, &att_verb_power, &o, kernel, &result, &pool, &code);
    if (code < 0)
        code = rehearse(&o, kernel, &pool);
    att_trial_pool_drop(&pool);
    att_result_clear(&result);
    return code;
}

const att_verb att_verb_power = {.name = "power",
                                 .operands = "[KERNEL]",
                                 .summary = "how often the comparison finds a loss of known size",
                                 .options = table,
                                 .run = run};
