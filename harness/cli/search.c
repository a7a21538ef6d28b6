/* SPDX-License-Identifier: Apache-2.0 */
#include "search.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/str.h"
#include "core/param.h"
#include "core/shrink.h"
#include "smallest.h"

#define PARENTS  24
#define CHILDREN 96 /* a generation: one batch for the workers */
#define NEAR     0.9

/* A case of the population. */
typedef struct climber {
    att_value *values; /* words lie in the searcher's arena */
    uint64_t seed;
    char *line;
    double height;
} climber;

typedef struct searcher {
    const att_search *how;
    const att_eval *eval;
    int n;             /* parameters */
    att_value **level; /* [n][levels[n]] what their tables say is worth covering */
    size_t *levels;
    att_arena arena;
    att_rng rng;
    climber parent[PARENTS], child[CHILDREN];
    size_t parents, children;
    att_summit *out;
    att_alike alike; /* how the summit fails */
    char fault[64];
    att_why *why;
} searcher;

double att_search_height(const att_record *r, const char **metric)
{
    double height = 0;

    *metric = NULL;
    if (r->status == ATT_HOLE || r->status == ATT_ERROR || r->status == ATT_NOT_RUN)
        return -1;
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        if (isnan(m->limit) || (m->verdict && !(m->limit > 0 && m->value > 0)))
            continue;
        const double share = !m->verdict               ? (double)INFINITY
                             : m->better == ATT_HIGHER ? m->limit / m->value
                                                       : m->value / m->limit;
        if (share > height) {
            height = share;
            *metric = m->name;
        }
    }
    return r->status == ATT_PASS ? height : (double)INFINITY;
}

static void climber_drop(climber *c)
{
    free(c->values);
    free(c->line);
    *c = (climber){0};
}

/* ------------------------------------------------------------------------------ moves */

static void draw_level(searcher *x, int i, att_value *out)
{
    *out = x->level[i][att_rng_below(&x->rng, x->levels[i])];
}

/* A number near the present one, if the domain has it. */
static void draw_near(searcher *x, int i, att_value *v)
{
    const int64_t now = v->i, of[] = {now - 1, now + 1, now / 2, now * 2, now + 7};
    char text[32];
    att_value value;

    snprintf(text, sizeof text, "%" PRId64, of[att_rng_below(&x->rng, sizeof of / sizeof *of)]);
    if (att_param_parse(&x->eval->params[i], text, &x->arena, &value, NULL) == ATT_OK)
        *v = value;
}

static void move(searcher *x, climber *c)
{
    uint64_t moves = att_rng_below(&x->rng, 4);

    if (moves == 0)
        c->seed = 1 + att_rng_below(&x->rng, ATT_SEED_MAX - 1);
    for (; moves; moves--) {
        int i = (int)att_rng_below(&x->rng, (uint64_t)x->n);
        if (x->eval->params[i].type == ATT_PARAM_INT && att_rng_below(&x->rng, 3))
            draw_near(x, i, &c->values[i]);
        else
            draw_level(x, i, &c->values[i]);
    }
}

static bool is_legal(const searcher *x, const att_value *values)
{
    bool (*legal)(const att_value *) = x->eval->covers ? x->eval->covers : x->eval->valid;

    return !legal || legal(values);
}

/* A new case: a stranger, or a parent that moved; false: none came out. */
static bool beget(searcher *x, climber *c)
{
    const bool stranger = x->parents < PARENTS || att_rng_below(&x->rng, 8) == 0;
    const size_t size = (size_t)x->n * sizeof *c->values;

    *c = (climber){.values = malloc(size + 1), .seed = 1};
    if (!c->values)
        return false;
    if (stranger) {
        for (int i = 0; i < x->n; i++)
            draw_level(x, i, &c->values[i]);
        c->seed = 1 + att_rng_below(&x->rng, ATT_SEED_MAX - 1);
    } else { /* the better of two, by rank */
        uint64_t a = att_rng_below(&x->rng, x->parents), b = att_rng_below(&x->rng, x->parents);
        const climber *from = &x->parent[a < b ? a : b];
        memcpy(c->values, from->values, size);
        c->seed = from->seed;
        move(x, c);
    }
    return is_legal(x, c->values);
}

/* The case's line, NULL where it makes none. */
static char *line_of(searcher *x, const climber *c)
{
    att_buf params = {0};
    att_case *made = NULL;
    char *line = NULL;

    for (int i = 0; i < x->n; i++) {
        att_buf_printf(&params, "%s%s=", i ? " " : "", x->eval->params[i].name);
        att_param_print(&x->eval->params[i], &c->values[i], &params);
    }
    if (!params.failed &&
        att_case_make(x->how->registry, x->how->measure, x->how->kernel,
                      params.data ? params.data : "", &c->seed, &made, NULL) == ATT_OK)
        line = strdup(made->line);
    att_case_drop(made);
    att_buf_drop(&params);
    return line;
}

static void make_children(searcher *x)
{
    for (int tries = 0; x->children < CHILDREN && tries < 100 * CHILDREN; tries++) {
        climber *c = &x->child[x->children];
        if (beget(x, c) && (c->line = line_of(x, c)))
            x->children++;
        else
            climber_drop(c);
    }
}

/* ---------------------------------------------------------------------------- climbing */

static att_status note_summit(searcher *x, const att_record *r, double height, const char *metric)
{
    att_summit *out = x->out;

    free(out->line);
    free(out->metric);
    out->line = strdup(r->line);
    out->metric = metric ? strdup(metric) : NULL;
    out->nearest = height;
    out->status = r->status;
    x->alike = att_alike_of(r);
    if (x->alike.fault) {
        snprintf(x->fault, sizeof x->fault, "%s", x->alike.fault);
        x->alike.fault = x->fault;
    }
    return out->line && (out->metric || !metric) ? ATT_OK : ATT_NO_MEMORY;
}

static att_status look(searcher *x, const att_result *result)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        const char *metric;
        const double height = att_search_height(r, &metric);
        x->out->tried++;
        x->out->supported += height >= 0;
        for (size_t k = 0; k < x->children; k++)
            if (strcmp(x->child[k].line, r->line) == 0)
                x->child[k].height = height;
        if (height >= 0 && (!x->out->line || height > x->out->nearest) &&
            note_summit(x, r, height, metric) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static int by_height(const void *a, const void *b)
{
    const double m = ((const climber *)a)->height, n = ((const climber *)b)->height;

    return (m < n) - (m > n);
}

/* Children and parents together: the highest, each line once, live on. */
static void select_parents(searcher *x)
{
    climber all[PARENTS + CHILDREN];
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < x->parents; i++)
        all[n++] = x->parent[i];
    for (size_t i = 0; i < x->children; i++)
        all[n++] = x->child[i];
    memset(x->parent, 0, sizeof x->parent);
    memset(x->child, 0, sizeof x->child);
    qsort(all, n, sizeof *all, by_height);
    for (size_t i = 0; i < n; i++) {
        bool again = all[i].height < 0 || kept == PARENTS;
        for (size_t k = 0; k < kept && !again; k++)
            again = strcmp(x->parent[k].line, all[i].line) == 0;
        if (again)
            climber_drop(&all[i]);
        else
            x->parent[kept++] = all[i];
    }
    x->parents = kept;
    x->children = 0;
}

static att_status generation(searcher *x, int *number)
{
    att_run_plan plan = {0};
    att_result result = {0};
    att_status status = ATT_OK;

    make_children(x);
    for (size_t i = 0; i < x->children && status == ATT_OK; i++)
        status = att_plan_add_line(&plan, x->how->registry, x->child[i].line, x->why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, x->why);
    if (status == ATT_OK)
        status = att_run_plan_measure(&plan, x->how->run, &result, number, x->why);
    if (status == ATT_OK)
        status = look(x, &result);
    if (status == ATT_OK)
        select_parents(x);
    att_result_clear(&result);
    att_plan_drop(&plan);
    return status;
}

static bool comes_as_near(const att_record *record, void *arg)
{
    const searcher *x = arg;
    const char *metric;
    att_alike alike = x->alike;

    if (isinf(x->out->nearest))
        return att_alike_shows(record, &alike);
    return att_search_height(record, &metric) >= NEAR * x->out->nearest;
}

static att_status shrink(searcher *x)
{
    const att_shrink how = {x->how->registry, x->how->run, x->how->seconds / 5, comes_as_near, x};
    size_t tried;
    char *line;

    att_status status = att_shrink_case(&how, x->out->line, &line, &tried, x->why);
    if (status == ATT_OK) {
        free(x->out->line);
        x->out->line = line;
        x->out->tried += tried;
    }
    return status;
}

static att_status read_levels(searcher *x, int i)
{
    const att_param *p = &x->eval->params[i];
    char *save = NULL, *text = att_arena_text(&x->arena, p->levels ? p->levels : p->fallback);
    att_status status = text ? ATT_OK : ATT_NO_MEMORY;

    x->level[i] = text ? att_arena_zeros(&x->arena, strlen(text) + 1, sizeof **x->level) : NULL;
    if (!x->level[i])
        return ATT_NO_MEMORY;
    for (char *word = strtok_r(text, " ", &save); word && status == ATT_OK;
         word = strtok_r(NULL, " ", &save))
        status = att_param_parse(p, word, &x->arena, &x->level[i][x->levels[i]++], x->why);
    return status;
}

static att_status read_eval(searcher *x)
{
    att_case *c = NULL;
    att_status status =
        att_case_make(x->how->registry, x->how->measure, x->how->kernel, "", NULL, &c, x->why);

    if (status == ATT_OK) {
        x->eval = c->eval;
        x->n = (int)att_param_count(c->eval->params);
    }
    att_case_drop(c);
    if (status == ATT_OK && !x->n) {
        att_why_set(x->why, "%s has no parameter to search over", x->how->measure);
        status = ATT_INVALID;
    }
    if (status != ATT_OK)
        return status;
    x->level = att_arena_zeros(&x->arena, (size_t)x->n, sizeof *x->level);
    x->levels = att_arena_zeros(&x->arena, (size_t)x->n, sizeof *x->levels);
    if (!x->level || !x->levels)
        return ATT_NO_MEMORY;
    for (int i = 0; i < x->n && status == ATT_OK; i++)
        status = read_levels(x, i);
    return status;
}

att_status att_search_climb(const att_search *how, att_summit *out, int *number, att_why *why)
{
    searcher x = {.how = how, .out = out, .rng = att_rng_make(how->seed, "search"), .why = why};
    const double end = att_clock_now() + how->seconds;

    *out = (att_summit){0};
    *number = 0;
    att_status status = read_eval(&x);
    while (status == ATT_OK && !*number && !isinf(out->nearest) && att_clock_now() < end)
        status = generation(&x, number);
    if (status == ATT_OK && !*number && out->line && out->nearest > 0 && out->status != ATT_TIMEOUT)
        status = shrink(&x);
    for (size_t i = 0; i < PARENTS; i++)
        climber_drop(&x.parent[i]);
    for (size_t i = 0; i < CHILDREN; i++)
        climber_drop(&x.child[i]);
    att_arena_drop(&x.arena);
    if (status != ATT_OK)
        att_summit_clear(out);
    return status;
}

void att_summit_clear(att_summit *summit)
{
    free(summit->line);
    free(summit->metric);
    *summit = (att_summit){0};
}
