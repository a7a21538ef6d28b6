/* SPDX-License-Identifier: Apache-2.0 */
/* Cases that share inputs stand together in a plan, and so a worker measures both sides of a case
 * one after the other; who comes first changes from round to round.  Dense is measured beside them
 * on the probes, since it says where there is power. */
#include "gate_two.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "base/str.h"
#include "core/declare.h"
#include "core/verdict.h"
#include "session.h"
#include "tables.h"

#define MOST_PAIRS  32
#define SPEED_LEVEL 0.001 /* of all intervals of speed together */

/* Kernels of one side, canonical texts in the arena. */
typedef struct side {
    const char *text[MOST_PAIRS], *name[MOST_PAIRS];
    size_t n;
} side;

typedef struct two {
    const att_gate_two *ask;
    att_registry *registry;
    att_arena arena;
    side base, head; /* paired by place */
} two;

typedef struct taker {
    two *t;
    side *side;
} taker;

/* ----------------------------------------------------------------------------- who is who */

static att_status take(void *arg, const char *text, att_why *why)
{
    taker *x = arg;
    const att_variant *v = NULL;
    att_status status = att_variant_parse(x->t->registry, text, &x->t->arena, &v, why);

    if (status != ATT_OK)
        return status;
    if (x->side->n == MOST_PAIRS) {
        att_why_set(why, "more than %d kernels on one side", MOST_PAIRS);
        return ATT_INVALID;
    }
    x->side->text[x->side->n] = v->text;
    x->side->name[x->side->n++] = v->part[0].kernel->name;
    return ATT_OK;
}

static bool is_file(const char *text)
{
    const size_t n = strcspn(text, "#");

    return strncmp(text, "plugin:", 7) != 0 && n > 3 && strncmp(text + n - 3, ".so", 3) == 0;
}

static att_status find_side(two *t, const char *asked, side *out, att_why *why)
{
    att_buf text = {0};
    taker x = {t, out};

    att_buf_printf(&text, "%s%s", is_file(asked) ? "plugin:" : "", asked);
    att_status status = text.failed ? ATT_NO_MEMORY
                                    : att_registry_match(t->registry, text.data, take, &x, why);
    att_buf_drop(&text);
    return status;
}

/* One kernel a side, or kernels of equal names. */
static att_status pair_sides(two *t, att_why *why)
{
    side paired = {.n = t->base.n};

    if (t->base.n == 1 && t->head.n == 1 && strcmp(t->base.text[0], t->head.text[0]) != 0)
        return ATT_OK;
    for (size_t i = 0; i < t->base.n; i++)
        for (size_t k = 0; k < t->head.n && !paired.text[i]; k++)
            if (strcmp(t->base.name[i], t->head.name[k]) == 0 &&
                strcmp(t->base.text[i], t->head.text[k]) != 0) {
                paired.text[i] = t->head.text[k];
                paired.name[i] = t->head.name[k];
            }
    for (size_t i = 0; i < paired.n; i++)
        if (!paired.text[i] || t->base.n != t->head.n) {
            att_why_set(why,
                        "%s (%zu kernels) and %s (%zu) do not pair: there must be one other "
                        "kernel on each side, or the same names",
                        t->ask->base, t->base.n, t->ask->head, t->head.n);
            return ATT_INVALID;
        }
    t->head = paired;
    return ATT_OK;
}

static bool has(const side *s, const char *text)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->text[i], text) == 0)
            return true;
    return false;
}

/* -------------------------------------------------------------------------------- the plan */

/* Both sides, and dense on the probes. */
static bool is_asked(const two *t, const att_case *c)
{
    return has(&t->base, c->variant->text) || has(&t->head, c->variant->text) ||
           (strcmp(c->variant->text, ATT_VERDICT_DENSE) == 0 && !isnan(c->eval->chance));
}

static att_status make_plan(two *t, bool turned, att_run_plan *plan, att_why *why)
{
    const char *kernels[2 * MOST_PAIRS + 2] = {NULL};
    const uint64_t seed = (uint64_t)t->ask->seed;
    const side *first = turned ? &t->head : &t->base, *second = turned ? &t->base : &t->head;
    const att_plan_filter filter = {t->ask->evals, kernels, t->ask->seed >= 0 ? &seed : NULL};
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < first->n; i++) {
        kernels[n++] = first->text[i];
        kernels[n++] = second->text[i];
    }
    if (!has(first, ATT_VERDICT_DENSE) && !has(second, ATT_VERDICT_DENSE))
        kernels[n++] = ATT_VERDICT_DENSE;
    att_status status = att_cli_add_suite(plan, t->registry, t->ask->suite, &filter, why);
    for (size_t i = 0; i < plan->n && status == ATT_OK; i++) {
        if (is_asked(t, plan->cases[i].c))
            plan->cases[kept++] = plan->cases[i];
        else
            att_case_drop(plan->cases[i].c);
    }
    if (status == ATT_OK)
        plan->n = kept;
    for (size_t i = 0; i < plan->n_rows; i++)
        plan->rows[i].budget = 0; /* what is compared is compared on all cases */
    if (status == ATT_OK && plan->n == 0) {
        att_why_set(why, "suite %s has no case of %s and %s", t->ask->suite, t->ask->base,
                    t->ask->head);
        return ATT_INVALID;
    }
    return status == ATT_OK ? att_plan_finish(plan, why) : status;
}

/* ----------------------------------------------------------------------------------- speed */

/* Seconds inside kernels of one measure of the head's kernel, in each round and side. */
typedef struct clocked {
    const char *measure;
    size_t pair;
    double *base, *own; /* one a round */
} clocked;

typedef struct clocks {
    clocked *at;
    size_t n;
    double *room;
} clocks;

static clocked *clock_of(clocks *all, const char *measure, size_t pair)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].pair == pair && strcmp(all->at[i].measure, measure) == 0)
            return &all->at[i];
    return NULL;
}

/* A clock for every measure of every pair, in the order of the head's records. */
static bool make_clocks(const two *t, const att_result *all, clocks *out)
{
    const size_t rounds = (size_t)t->ask->rounds;

    out->at = calloc(all->n_records + 1, sizeof *out->at);
    for (size_t i = 0; out->at && i < all->n_records; i++)
        for (size_t p = 0; p < t->head.n; p++)
            if (strcmp(all->records[i].kernel, t->head.text[p]) == 0 &&
                !clock_of(out, all->records[i].measure, p))
                out->at[out->n++] = (clocked){.measure = all->records[i].measure, .pair = p};
    out->room = calloc(2 * rounds * (out->n + 1), sizeof *out->room);
    for (size_t i = 0; out->room && i < out->n; i++) {
        out->at[i].base = out->room + 2 * rounds * i;
        out->at[i].own = out->at[i].base + rounds;
    }
    return out->at && out->room;
}

static void add_round(const two *t, const att_result *all, size_t round, clocks *out)
{
    for (size_t i = 0; i < all->n_records; i++) {
        const att_record *r = &all->records[i];
        for (size_t p = 0; p < t->base.n && r->status == ATT_PASS; p++) {
            const bool base = strcmp(r->kernel, t->base.text[p]) == 0;
            clocked *c = base || strcmp(r->kernel, t->head.text[p]) == 0
                             ? clock_of(out, r->measure, p)
                             : NULL;
            if (c)
                (base ? c->base : c->own)[round] += r->kernel_seconds;
        }
    }
}

static const att_record *record_of(const att_result *head, const char *kernel, const char *measure)
{
    for (size_t i = 0; i < head->n_records; i++)
        if (strcmp(head->records[i].kernel, kernel) == 0 &&
            strcmp(head->records[i].measure, measure) == 0)
            return &head->records[i];
    return NULL;
}

/* The interval of the mean log ratio over the rounds, level shared by all clocks. */
static bool conclude(const two *t, clocks *all, const att_result *head, att_gate_time *out,
                     size_t *n)
{
    const size_t rounds = (size_t)t->ask->rounds;
    double *logs = calloc(rounds, sizeof *logs);

    *n = 0;
    for (size_t i = 0; logs && i < all->n; i++) {
        const clocked *c = &all->at[i];
        const att_record *r = record_of(head, t->head.text[c->pair], c->measure);
        bool whole = r != NULL;
        for (size_t k = 0; k < rounds && whole; k++) {
            whole = c->base[k] > 0 && c->own[k] > 0;
            logs[k] = log(c->own[k] / c->base[k]);
        }
        if (!whole)
            continue;
        const att_interval l = att_mean_interval(logs, rounds, 1 - SPEED_LEVEL / (double)all->n);
        out[(*n)++] = (att_gate_time){.record = r,
                                      .base = att_quantile(c->base, rounds, 0.5),
                                      .own = att_quantile(c->own, rounds, 0.5),
                                      .lo = exp(l.lo),
                                      .hi = exp(l.hi)};
    }
    free(logs);
    return logs != NULL;
}

/* -------------------------------------------------------------------------------- measuring */

/* Leaves in the result the head's records and declarations. */
static void keep_head(const two *t, att_result *r)
{
    size_t n = 0, d = 0;

    for (size_t i = 0; i < r->n_records; i++) {
        if (has(&t->head, r->records[i].kernel))
            r->records[n++] = r->records[i];
        else
            att_record_clear(&r->records[i]);
    }
    r->n_records = n;
    for (size_t i = 0; i < r->n_declarations; i++) {
        if (has(&t->head, r->declarations[i].kernel))
            r->declarations[d++] = r->declarations[i];
        else
            free(r->declarations[i].kernel);
    }
    r->n_declarations = d;
}

/* The base's cases, each under the name of its pair. */
static att_status make_baseline(const two *t, const att_result *all, att_baseline *out,
                                att_why *why)
{
    att_status status = ATT_OK;
    size_t taken = 0;

    for (size_t i = 0; i < t->base.n && status == ATT_OK; i++) {
        att_baseline one = {0};
        status = att_baseline_make(all, t->base.text[i], t->head.text[i], &one, why);
        if (status == ATT_OK &&
            (status = att_baseline_accept(out, &one, NULL, "measured beside it", &taken)) != ATT_OK)
            att_why_set(why, "no memory for the base's cases");
        att_baseline_drop(&one);
    }
    return status;
}

static att_status measure_round(const att_cli *cli, two *t, size_t round, att_result *out,
                                int *number, att_why *why)
{
    att_run_plan plan = {0};
    att_status status = make_plan(t, round % 2, &plan, why);

    if (status == ATT_OK)
        status = att_cli_measure(cli, &plan, t->ask->model, t->ask->workers, t->ask->quiet, out,
                                 number, why);
    att_plan_drop(&plan);
    return status;
}

/* Every round after the first only adds to the clocks. */
static att_status time_rounds(const att_cli *cli, two *t, clocks *all, int *number, att_why *why)
{
    att_status status = ATT_OK;

    for (size_t k = 1; k < (size_t)t->ask->rounds && status == ATT_OK && !*number; k++) {
        att_result again = {0};
        status = measure_round(cli, t, k, &again, number, why);
        if (status == ATT_OK)
            add_round(t, &again, k, all);
        att_result_clear(&again);
    }
    return status;
}

static att_status measure(const att_cli *cli, two *t, att_result *head, att_baseline *baseline,
                          att_gate_time **times, size_t *n_times, int *number, att_why *why)
{
    clocks all = {0};
    att_status status = measure_round(cli, t, 0, head, number, why);
    const bool timed = t->ask->rounds >= 3;

    if (status == ATT_OK && (!(head->suite = strdup(t->ask->suite)) ||
                             !(head->status = strdup(*number ? "interrupted" : "complete"))))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK && !*number)
        status = make_baseline(t, head, baseline, why);
    if (status == ATT_OK && timed && !*number) {
        *times = calloc(head->n_records + 1, sizeof **times);
        if (!*times || !make_clocks(t, head, &all))
            status = ATT_NO_MEMORY;
        else {
            add_round(t, head, 0, &all);
            status = time_rounds(cli, t, &all, number, why);
        }
    }
    if (status == ATT_OK)
        keep_head(t, head);
    if (status == ATT_OK && timed && !*number && !conclude(t, &all, head, *times, n_times))
        status = ATT_NO_MEMORY;
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory for two sides");
    free(all.at);
    free(all.room);
    return status;
}

att_status att_gate_two_measure(const att_cli *cli, const att_gate_two *ask, att_result *head,
                                att_baseline *baseline, att_gate_time **times, size_t *n_times,
                                int *number, att_why *why)
{
    two t = {.ask = ask};
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &t.registry, why);

    if (status == ATT_OK)
        status = find_side(&t, ask->base, &t.base, why);
    if (status == ATT_OK)
        status = find_side(&t, ask->head, &t.head, why);
    if (status == ATT_OK)
        status = pair_sides(&t, why);
    if (status == ATT_OK)
        status = measure(cli, &t, head, baseline, times, n_times, number, why);
    att_arena_drop(&t.arena);
    att_registry_drop(t.registry);
    return status;
}
