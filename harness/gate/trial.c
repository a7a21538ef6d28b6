/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/power.h"
#include "base/stats.h"
#include "gate/compare.h"

/* Names within a trial: they never meet those of a run. */
#define BASE "dense"
#define OWN  "own"

/* ----------------------------------------------------------------------------------- the pool */

static bool is_item_record(const att_record *r, const char *kernel)
{
    return r->measure && r->kernel && strcmp(r->kernel, kernel) == 0 && r->n_items > 0 &&
           (r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_INCONCLUSIVE ||
            r->status == ATT_NO_POWER);
}

static const char *params_of(const att_record *r)
{
    return r->params ? r->params : "";
}

static int by_cell(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int c = strcmp(params_of(x), params_of(y));

    return c ? c : (x->seed > y->seed) - (x->seed < y->seed);
}

/* Adds the contexts of a record.  false: no memory. */
static bool add_contexts(att_trial_task *t, const att_record *r)
{
    if (t->contexts + r->n_items > t->room) {
        size_t room = 2 * (t->contexts + r->n_items);
        att_trial_context *grown = realloc(t->context, room * sizeof *grown);
        if (!grown)
            return false;
        t->context = grown;
        t->room = room;
    }
    for (size_t i = 0; i < r->n_items; i++) {
        att_trial_context c = {0, 0};
        bool known = false;
        for (size_t k = 0; k < r->n_items; k++) {
            bool same = r->items[k].cluster == r->items[i].cluster;
            known |= same && k < i;
            c.items += same;
            c.hits += same && r->items[k].hit;
        }
        if (!known)
            t->context[t->contexts++] = c;
    }
    return true;
}

static bool add(att_trial_pool *pool, const att_record *r, size_t room)
{
    att_trial_task *t = NULL;

    for (size_t i = 0; i < pool->n && !t; i++)
        if (strcmp(pool->tasks[i].measure, r->measure) == 0)
            t = &pool->tasks[i];
    if (!t) {
        t = &pool->tasks[pool->n++];
        *t = (att_trial_task){.measure = r->measure, .records = calloc(room, sizeof *t->records)};
    }
    if (!t->records || !add_contexts(t, r))
        return false;
    t->records[t->n++] = r;
    t->items += r->n_items;
    for (size_t i = 0; i < r->n_items; i++)
        t->hits += r->items[i].hit != 0;
    return true;
}

att_status att_trial_pool_make(const att_result *result, const char *kernel, att_trial_pool *out,
                               att_why *why)
{
    att_trial_pool pool = {calloc(result->n_records + 1, sizeof *pool.tasks), 0};
    bool good = pool.tasks != NULL;

    for (size_t i = 0; i < result->n_records && good; i++)
        if (is_item_record(&result->records[i], kernel))
            good = add(&pool, &result->records[i], result->n_records);
    for (size_t i = 0; i < pool.n && good; i++)
        qsort(pool.tasks[i].records, pool.tasks[i].n, sizeof(const att_record *), by_cell);
    if (good && pool.n > 0) {
        *out = pool;
        return ATT_OK;
    }
    att_why_set(why, good ? "%s answered no probe" : "%s: no memory for its items", kernel);
    att_trial_pool_drop(&pool);
    return good ? ATT_INVALID : ATT_NO_MEMORY;
}

void att_trial_pool_drop(att_trial_pool *pool)
{
    for (size_t i = 0; pool->tasks && i < pool->n; i++) {
        free(pool->tasks[i].records);
        free(pool->tasks[i].context);
    }
    free(pool->tasks);
    *pool = (att_trial_pool){0};
}

/* ----------------------------------------------------------------------------------- a trial */

void att_trial_drop(att_trial *t)
{
    for (size_t i = 0; i < t->result.n_comparisons; i++) {
        free(t->result.comparisons[i].measure);
        free(t->result.comparisons[i].kernel);
        free(t->result.comparisons[i].verdict);
    }
    free(t->result.comparisons);
    free(t->result.records); /* what they point to is the pool's */
    free(t->items);
    *t = (att_trial){0};
}

/* Adds `r` under another name; its items are borrowed. */
static void put(att_trial *t, const att_record *r, const char *kernel, uint64_t seed,
                att_item *items)
{
    t->result.records[t->result.n_records++] = (att_record){.measure = r->measure,
                                                            .kernel = (char *)(uintptr_t)kernel,
                                                            .params = r->params,
                                                            .seed = seed,
                                                            .status = ATT_PASS,
                                                            .items = items ? items : r->items,
                                                            .n_items = r->n_items,
                                                            .chance = r->chance};
}

static bool same_contexts(const att_record *a, const att_record *b)
{
    if (a->n_items != b->n_items)
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (a->items[i].cluster != b->items[i].cluster)
            return false;
    return true;
}

/* Deals the records of one cell, n of equal contexts, into pairs; `order`: room for n. */
static void deal(att_trial *t, const att_record *const *records, size_t n, size_t *order,
                 att_rng *rng)
{
    const att_record *first = records[0];
    const size_t items = first->n_items, pairs = n / 2;
    att_item *to = t->items;

    for (size_t i = 0; i < items; i++) {
        bool known = false;
        for (size_t k = 0; k < i && !known; k++)
            known = first->items[k].cluster == first->items[i].cluster;
        if (known)
            continue;
        for (size_t k = 0; k < n; k++)
            order[k] = k;
        att_rng_shuffle(rng, order, n, sizeof *order);
        for (size_t k = i; k < items; k++)
            if (first->items[k].cluster == first->items[i].cluster)
                for (size_t s = 0; s < 2 * pairs; s++)
                    to[s * items + k] = records[order[s]]->items[k];
    }
    for (size_t p = 0; p < pairs; p++) {
        put(t, first, BASE, p, to + 2 * p * items);
        put(t, first, OWN, p, to + (2 * p + 1) * items);
    }
}

/* Deals every cell of a task; `alike` and `order` have room for its records. */
static att_item *deal_task(att_trial *out, const att_trial_task *t, att_item *to,
                           const att_record **alike, size_t *order, att_rng *rng)
{
    for (size_t from = 0, end; from < t->n; from = end) {
        size_t n = 0;
        for (end = from;
             end < t->n && strcmp(params_of(t->records[from]), params_of(t->records[end])) == 0;
             end++)
            if (same_contexts(t->records[from], t->records[end]))
                alike[n++] = t->records[end];
        att_item *all = out->items;
        out->items = to;
        deal(out, alike, n, order, rng);
        out->items = all;
        to += n * t->records[from]->n_items;
    }
    return to;
}

att_status att_trial_same(const att_trial_pool *pool, att_rng *rng, att_trial *out)
{
    size_t most = 1, all = 0, items = 0;

    for (size_t i = 0; i < pool->n; i++) {
        most = pool->tasks[i].n > most ? pool->tasks[i].n : most;
        all += pool->tasks[i].n;
        items += pool->tasks[i].items;
    }
    const att_record **alike = calloc(most, sizeof *alike);
    size_t *order = calloc(most, sizeof *order);
    out->items = calloc(items + 1, sizeof *out->items);
    out->result.records = calloc(all + 1, sizeof *out->result.records);
    bool good = alike && order && out->items && out->result.records;
    att_item *to = out->items;
    for (size_t i = 0; i < pool->n && good; i++)
        to = deal_task(out, &pool->tasks[i], to, alike, order, rng);
    free(alike);
    free(order);
    return good ? att_compare_fill(&out->result, BASE, NULL) : ATT_NO_MEMORY;
}

/* ---------------------------------------------------------------------------------- planting */

/* The share of hits to lose, and of misses to win. */
static bool rates_of(const att_trial_task *t, const att_trial_plant *p, double *lose, double *win)
{
    double right = (double)t->hits / (double)t->items;

    *lose = right > 0 ? (p->loss + p->churn) / right : 2;
    *win = p->churn > 0 ? p->churn / (1 - right) : 0;
    return *lose <= 1 && *win <= 1;
}

/* A copy of a record's items with the loss planted.  Scores say nothing of it and are left out. */
static void plant_in(const att_record *r, const att_trial_plant *p, double lose, double win,
                     att_rng *rng, att_item *to)
{
    const att_rng coins = att_rng_make(att_rng_u64(rng), "contexts"); /* one a cluster number */

    for (size_t i = 0; i < r->n_items; i++) {
        att_rng coin = att_rng_split(&coins, (uint64_t)r->items[i].cluster);
        to[i] = r->items[i];
        to[i].score = NAN;
        if (to[i].hit)
            to[i].hit = !(att_rng_unit(p->contexts ? &coin : rng) < lose);
        else if (win > 0)
            to[i].hit = att_rng_unit(rng) < win;
    }
}

/* Room for the records and planted items of a trial. */
static bool reserve(const att_trial_pool *pool, size_t at, const att_trial_plant *p, att_trial *out)
{
    const att_trial_task *t = &pool->tasks[at];
    size_t most = 0;

    for (size_t i = 0; i < t->n; i++)
        most = t->records[i]->n_items > most ? t->records[i]->n_items : most;
    out->items = calloc((size_t)p->items + most + 1, sizeof *out->items);
    out->result.records = calloc(2 * ((size_t)p->items + 1 + pool->n), sizeof *out->result.records);
    return out->items && out->result.records;
}

att_status att_trial_planted(const att_trial_pool *pool, size_t at, const att_trial_plant *plant,
                             att_rng *rng, att_trial *out, att_why *why)
{
    const att_trial_task *t = &pool->tasks[at];
    const att_record **drawn = calloc(t->n, sizeof *drawn);
    double lose = 0, win = 0;
    size_t used = 0, next = t->n;

    if (!drawn || !reserve(pool, at, plant, out)) {
        free(drawn);
        return ATT_NO_MEMORY;
    }
    if (!rates_of(t, plant, &lose, &win)) {
        att_why_set(why, "%s: %zu hits of %zu items are too few to plant in", t->measure, t->hits,
                    t->items);
        free(drawn);
        return ATT_INVALID;
    }
    memcpy(drawn, t->records, t->n * sizeof *drawn);
    for (uint64_t seed = 1; used < (size_t)plant->items; seed++) {
        if (next == t->n) {
            att_rng_shuffle(rng, drawn, t->n, sizeof *drawn);
            next = 0;
        }
        const att_record *r = drawn[next++];
        plant_in(r, plant, lose, win, rng, out->items + used);
        put(out, r, BASE, seed, NULL);
        put(out, r, OWN, seed, out->items + used);
        used += r->n_items;
    }
    for (size_t i = 0; i < pool->n; i++)
        if (i != at) {
            put(out, pool->tasks[i].records[0], BASE, 1, NULL);
            put(out, pool->tasks[i].records[0], OWN, 1, NULL);
        }
    free(drawn);
    return att_compare_fill(&out->result, BASE, why);
}

/* P(Binomial(n, p) = k). */
static double term(size_t n, size_t k, double p)
{
    return att_binomial_tail((int64_t)k, (int64_t)n, p) -
           att_binomial_tail((int64_t)k + 1, (int64_t)n, p);
}

/* The probability that a context loses more than it wins, and the reverse. */
static void sides_of(const att_trial_context *c, const att_trial_plant *p, double lose, double win,
                     double *worse, double *better)
{
    size_t misses = c->items - c->hits;

    if (p->contexts) {
        *worse = c->hits > 0 ? lose : 0;
        *better = 0;
        return;
    }
    *worse = *better = 0;
    for (size_t won = 0; won <= misses; won++) {
        double here = win > 0 ? term(misses, won, win) : won == 0;
        if (here > 0) {
            *worse += here * att_binomial_tail((int64_t)won + 1, (int64_t)c->hits, lose);
            *better += here * (1 - att_binomial_tail((int64_t)won, (int64_t)c->hits, lose));
        }
    }
}

int64_t att_trial_needs(const att_trial_pool *pool, size_t at, const att_trial_plant *plant,
                        double power)
{
    const att_trial_task *t = &pool->tasks[at];
    double level = ATT_COMPARE_LEVEL / (double)pool->n, lose = 0, win = 0, worse = 0, better = 0;

    if (!rates_of(t, plant, &lose, &win))
        return -1;
    for (size_t i = 0; i < t->contexts; i++) {
        double w, b;
        sides_of(&t->context[i], plant, lose, win, &w, &b);
        worse += w / (double)t->contexts;
        better += b / (double)t->contexts;
    }
    int64_t contexts = att_mcnemar_items(worse, better, level, power);
    double each = (double)t->items / (double)t->contexts;
    return contexts < 0 ? -1 : (int64_t)ceil((double)contexts * each);
}
