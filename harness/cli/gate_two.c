/* SPDX-License-Identifier: Apache-2.0 */
/* Cases that share inputs stand together in a plan, and so a worker measures both sides of a case
 * one after the other; who comes first changes from round to round.  Dense is measured beside them
 * on the probes, since it says where there is power. */
#include "gate_two.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/verdict.h"
#include "gate/speed.h"
#include "session.h"
#include "tables.h"

#define MOST_PAIRS 32

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

/* -------------------------------------------------------------------------------- measuring */

/* Leaves in the result the head's records and declarations; times follow their records. */
static void keep_head(const two *t, att_result *r, att_gate_time *times, size_t n_times)
{
    size_t n = 0, d = 0;

    for (size_t i = 0; i < r->n_records; i++) {
        if (!has(&t->head, r->records[i].kernel)) {
            att_record_clear(&r->records[i]);
            continue;
        }
        for (size_t k = 0; k < n_times; k++)
            if (times[k].record == &r->records[i])
                times[k].record = &r->records[n];
        r->records[n++] = r->records[i];
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
static att_status time_rounds(const att_cli *cli, two *t, const att_result *first, att_speed *all,
                              int *number, att_why *why)
{
    att_status status =
        att_speed_add(all, first, t->base.text, t->head.text, t->base.n) ? ATT_OK : ATT_NO_MEMORY;

    for (size_t k = 1; k < (size_t)t->ask->rounds && status == ATT_OK && !*number; k++) {
        att_result again = {0};
        status = measure_round(cli, t, k, &again, number, why);
        if (status == ATT_OK && !att_speed_add(all, &again, t->base.text, t->head.text, t->base.n))
            status = ATT_NO_MEMORY;
        att_result_clear(&again);
    }
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory for what was timed");
    return status;
}

static att_status measure(const att_cli *cli, two *t, att_result *all, att_baseline *baseline,
                          att_gate_time **times, size_t *n_times, int *number, att_why *why)
{
    att_speed speed = {0};
    att_status status = measure_round(cli, t, 0, all, number, why);

    if (status == ATT_OK && (!(all->suite = strdup(t->ask->suite)) ||
                             !(all->status = strdup(*number ? "interrupted" : "complete")))) {
        att_why_set(why, "no memory for two sides");
        status = ATT_NO_MEMORY;
    }
    if (status == ATT_OK && !*number)
        status = make_baseline(t, all, baseline, why);
    if (status == ATT_OK && t->ask->rounds > 1 && !*number) {
        status = time_rounds(cli, t, all, &speed, number, why);
        if (status == ATT_OK && !(*times = att_speed_conclude(&speed, all, n_times)))
            status = ATT_NO_MEMORY;
    }
    att_speed_drop(&speed);
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
    if (status == ATT_OK)
        keep_head(&t, head, *times, *n_times);
    att_arena_drop(&t.arena);
    att_registry_drop(t.registry);
    return status;
}
