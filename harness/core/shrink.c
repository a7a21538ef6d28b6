/* SPDX-License-Identifier: Apache-2.0 */
#include "shrink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/param.h"

/* One parameter brought to one simpler value. */
typedef struct step {
    int param;
    att_value value;
    char *line; /* of the case with this step alone; owned */
    bool shows;
} step;

typedef struct shrinker {
    const att_shrink *how;
    att_arena arena; /* words of levels */
    att_case *begin; /* the case as it was given */
    att_value *now;  /* [n] values of the smallest case so far */
    char *line;      /* its line; owned */
    int n;           /* parameters */
    step *steps;
    size_t n_steps, room, tried;
    double end;
    att_why *why;
} shrinker;

/* The line with these values; NULL where they make no case. */
static char *line_of(shrinker *x, const att_value *values)
{
    const att_eval *eval = x->begin->eval;
    att_buf params = {0};
    att_case *c = NULL;
    char *line = NULL;

    if (eval->valid && !eval->valid(values))
        return NULL;
    for (int i = 0; i < x->n; i++) {
        att_buf_printf(&params, "%s%s=", i ? " " : "", eval->params[i].name);
        att_param_print(&eval->params[i], &values[i], &params);
    }
    if (!params.failed &&
        att_case_make(x->how->registry, x->begin->measure, x->begin->variant->text,
                      params.data ? params.data : "", &x->begin->seed, &c, NULL) == ATT_OK)
        line = strdup(c->line);
    att_case_drop(c);
    att_buf_drop(&params);
    return line;
}

static void forget_steps(shrinker *x)
{
    for (size_t i = 0; i < x->n_steps; i++)
        free(x->steps[i].line);
    x->n_steps = 0;
}

/* Remembers the step if it leads to a case. */
static att_status offer(shrinker *x, int param, const att_value *value)
{
    const att_value kept = x->now[param];

    if (x->n_steps == x->room) {
        size_t room = x->room ? 2 * x->room : 64;
        step *bigger = realloc(x->steps, room * sizeof *bigger);
        if (!bigger)
            return ATT_NO_MEMORY;
        x->steps = bigger;
        x->room = room;
    }
    x->now[param] = *value;
    char *line = line_of(x, x->now);
    x->now[param] = kept;
    if (line)
        x->steps[x->n_steps++] = (step){param, *value, line, false};
    return ATT_OK;
}

static int by_value(const void *a, const void *b)
{
    const int64_t m = ((const step *)a)->value.i, n = ((const step *)b)->value.i;

    return (m > n) - (m < n);
}

/* Numbers: whatever is smaller among the default, the levels and halves, the smallest first. */
static att_status offer_smaller(shrinker *x, int i, const att_value *value)
{
    const int64_t now = x->now[i].i;

    return value->i < now ? offer(x, i, value) : ATT_OK;
}

static att_status offer_halves(shrinker *x, int i)
{
    const int64_t now = x->now[i].i;
    att_status status = ATT_OK;

    for (int64_t less = now / 2; now > 2 && less < now && status == ATT_OK;
         less += (now - less + 1) / 2)
        status = offer(x, i, &(att_value){.i = less, .f = (double)less});
    return status;
}

/* Simpler values of a parameter, the simplest first.  One that is at its default stays there; of
 * words and reals, those before the present one in the table's order of levels are simpler. */
static att_status offer_values(shrinker *x, int i)
{
    const att_param *p = &x->begin->eval->params[i];
    const att_value now = x->now[i];
    const size_t first = x->n_steps;
    const bool counts = p->type == ATT_PARAM_INT;
    att_value value;

    att_status status = att_param_parse(p, p->fallback, &x->arena, &value, x->why);
    if (status != ATT_OK || att_param_same(p, &value, &now))
        return status;
    status = counts ? offer_smaller(x, i, &value) : offer(x, i, &value);
    char *save = NULL, *levels = att_arena_text(&x->arena, p->levels ? p->levels : "");
    if (!levels)
        return ATT_NO_MEMORY;
    for (char *word = strtok_r(levels, " ", &save); word && status == ATT_OK;
         word = strtok_r(NULL, " ", &save)) {
        status = att_param_parse(p, word, &x->arena, &value, x->why);
        const bool same = status == ATT_OK && att_param_same(p, &value, &now);
        if (same && !counts)
            break;
        if (status == ATT_OK && !same)
            status = counts ? offer_smaller(x, i, &value) : offer(x, i, &value);
    }
    if (status == ATT_OK && counts)
        status = offer_halves(x, i);
    if (counts)
        qsort(x->steps + first, x->n_steps - first, sizeof *x->steps, by_value);
    return status;
}

static const att_record *record_of(const att_result *result, const char *line)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (strcmp(result->records[i].line, line) == 0)
            return &result->records[i];
    return NULL;
}

/* Measures the lines; sets shows[i]. */
static att_status measure(shrinker *x, char *const *lines, bool *shows, size_t n)
{
    att_run_plan plan = {0};
    att_result result = {0};
    att_status status = ATT_OK;
    int number = 0;

    for (size_t i = 0; i < n && status == ATT_OK; i++)
        status = att_plan_add_line(&plan, x->how->registry, lines[i], x->why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, x->why);
    if (status == ATT_OK)
        status = att_run_plan_measure(&plan, x->how->run, &result, &number, x->why);
    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        const att_record *r = record_of(&result, lines[i]);
        shows[i] = r && x->how->shows(r, x->how->arg);
    }
    x->tried += n;
    if (number)
        x->end = 0; /* interrupted: what was found so far */
    att_result_clear(&result);
    att_plan_drop(&plan);
    return status;
}

static att_status measure_steps(shrinker *x)
{
    char **lines = calloc(x->n_steps + 1, sizeof *lines);
    bool *shows = calloc(x->n_steps + 1, sizeof *shows);
    att_status status = lines && shows ? ATT_OK : ATT_NO_MEMORY;

    for (size_t i = 0; i < x->n_steps && status == ATT_OK; i++)
        lines[i] = x->steps[i].line;
    if (status == ATT_OK && x->n_steps)
        status = measure(x, lines, shows, x->n_steps);
    for (size_t i = 0; i < x->n_steps && status == ATT_OK; i++)
        x->steps[i].shows = shows[i];
    free(lines);
    free(shows);
    return status;
}

/* Takes steps [first, end) at once, the simplest of each parameter, if that still shows it. */
static att_status take(shrinker *x, size_t first, size_t end, bool *taken)
{
    att_value *next = malloc(((size_t)x->n + 1) * sizeof *next);
    char *line = NULL;
    att_status status = next ? ATT_OK : ATT_NO_MEMORY;

    *taken = false;
    if (status == ATT_OK) {
        memcpy(next, x->now, (size_t)x->n * sizeof *next);
        for (size_t i = first; i < end; i++)
            next[x->steps[i].param] = x->steps[i].value;
        line = line_of(x, next);
    }
    if (line && strcmp(line, x->line) != 0)
        status = measure(x, &line, taken, 1);
    if (*taken) {
        memcpy(x->now, next, (size_t)x->n * sizeof *next);
        free(x->line);
        x->line = line;
    } else
        free(line);
    free(next);
    return status;
}

/* All of them, else half by half. */
static att_status take_most(shrinker *x, size_t first, size_t end, bool *any)
{
    bool taken = false;

    if (first == end || att_clock_now() > x->end)
        return ATT_OK;
    att_status status = take(x, first, end, &taken);
    *any |= taken;
    if (status != ATT_OK || taken || end - first == 1)
        return status;
    size_t middle = first + (end - first) / 2;
    status = take_most(x, first, middle, any);
    return status == ATT_OK ? take_most(x, middle, end, any) : status;
}

/* Keeps the first step of each parameter that shows it: the simplest. */
static void keep_best(shrinker *x)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->n_steps; i++) {
        if (x->steps[i].shows && (!kept || x->steps[kept - 1].param != x->steps[i].param)) {
            step keep = x->steps[i];
            x->steps[i] = x->steps[kept];
            x->steps[kept++] = keep;
        }
    }
    for (size_t i = kept; i < x->n_steps; i++)
        free(x->steps[i].line);
    x->n_steps = kept;
}

static att_status one_round(shrinker *x, bool *any)
{
    att_status status = ATT_OK;

    *any = false;
    forget_steps(x);
    for (int i = 0; i < x->n && status == ATT_OK; i++)
        status = offer_values(x, i);
    if (status == ATT_OK)
        status = measure_steps(x);
    keep_best(x);
    return status == ATT_OK ? take_most(x, 0, x->n_steps, any) : status;
}

att_status att_shrink_case(const att_shrink *how, const char *line, char **smallest, size_t *tried,
                           att_why *why)
{
    shrinker x = {.how = how, .end = att_clock_now() + how->seconds, .why = why};
    bool any = true;

    *smallest = NULL;
    att_status status = att_case_parse(how->registry, line, &x.begin, why);
    if (status != ATT_OK)
        return status;
    x.n = (int)att_param_count(x.begin->eval->params);
    x.now = malloc(((size_t)x.n + 1) * sizeof *x.now);
    x.line = strdup(x.begin->line);
    if (!x.now || !x.line)
        status = ATT_NO_MEMORY;
    else
        memcpy(x.now, x.begin->values, (size_t)x.n * sizeof *x.now);
    while (status == ATT_OK && any && att_clock_now() < x.end)
        status = one_round(&x, &any);
    forget_steps(&x);
    free(x.steps);
    free(x.now);
    att_arena_drop(&x.arena);
    att_case_drop(x.begin);
    *tried = x.tried;
    if (status == ATT_OK)
        *smallest = x.line;
    else
        free(x.line);
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory to shrink the case");
    return status;
}
