/* SPDX-License-Identifier: Apache-2.0 */
#include "shrink.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/json.h"
#include "core/ctx_own.h"
#include "core/param.h"
#include "core/record.h"
#include "core/verdict.h"
#include "core/wire.h"

/* A worker looks into the causes of its first dozen failures only. */
#define CASES_A_WORKER 10
#define PASSES         4

typedef struct shrinker {
    const att_shrink *how;
    att_pool_worker w;
    int used; /* cases of this worker */
    double until;
    att_case *best;
    size_t tried;
    att_status status; /* what ended the search before its time */
    att_why *why;
} shrinker;

static bool over(const shrinker *x)
{
    return x->status != ATT_OK || att_clock_now() >= x->until;
}

/* How the worker ended; 0 where it was made to. */
static int stop(shrinker *x, bool kill_it)
{
    int status = 0;

    att_pool_stop(&x->w, kill_it, &status);
    x->used = 0;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* The next message; NULL where the worker died or time ran out. */
static char *hear(shrinker *x, bool *dead)
{
    char *text = NULL;
    size_t length = 0;
    struct pollfd fd = {x->w.out, POLLIN, 0};
    const double left = x->until - att_clock_now();

    *dead = false;
    if (left <= 0 || poll(&fd, 1, (int)ceil(left * 1000)) <= 0)
        return NULL;
    *dead = att_wire_receive(x->w.out, &text, &length) != ATT_OK;
    return *dead ? NULL : text;
}

/* The worker's answer to a case as text; NULL where it has none. */
static char *answer_to(shrinker *x, const att_case *c, bool *dead)
{
    char *text = NULL;

    *dead = false;
    if (att_wire_send(x->w.in, c->line, strlen(c->line)) != ATT_OK)
        return NULL;
    text = hear(x, dead);
    if (!text || strcmp(text, "start") != 0)
        return text;
    free(text);
    return hear(x, dead);
}

/* Measures and judges; false: there is nothing to say of the case. */
static bool ask(shrinker *x, const att_case *c, att_record *r)
{
    bool dead;
    cJSON *json = NULL;

    if (x->used >= CASES_A_WORKER)
        stop(x, false);
    if (!x->w.pid)
        x->status = att_pool_start(&x->how->run->command, &x->w, x->why);
    if (x->status != ATT_OK)
        return false;
    x->used++;
    x->tried++;
    char *text = answer_to(x, c, &dead);
    if (!text) { /* a deadlock ends by SIGALRM */
        if (stop(x, !dead) == SIGALRM || !dead || !att_record_identify(r, c))
            return false;
        r->status = ATT_CRASH;
        return true;
    }
    const bool read = att_json_parse(text, strlen(text), "worker", &json, NULL) == ATT_OK &&
                      att_record_parse(json, r, NULL) == ATT_OK;
    cJSON_Delete(json);
    free(text);
    if (read)
        att_verdict_case(c->eval, r);
    return read;
}

/* Takes the case for the best one if it still shows what is looked for. */
static bool take(shrinker *x, att_case *c)
{
    att_record r = {.chance = (double)NAN};
    const bool shows = !over(x) && ask(x, c, &r) && x->how->shows(&r, x->how->arg);

    att_record_clear(&r);
    att_case_drop(shows ? x->best : c);
    if (shows)
        x->best = c;
    return shows;
}

/* The best case with another value of parameter i; NULL where that makes none. */
static att_case *changed(shrinker *x, size_t i, att_value value)
{
    const att_param *table = x->best->eval->params;
    att_buf params = {0};
    att_case *c = NULL;

    att_buf_puts(&params, "");
    for (size_t k = 0; k < att_param_count(table); k++) {
        att_buf_printf(&params, "%s%s=", k ? " " : "", table[k].name);
        att_param_print(&table[k], k == i ? &value : &x->best->values[k], &params);
    }
    if (params.failed || att_case_make(x->how->registry, x->best->measure, x->best->variant->text,
                                       params.data, &x->best->seed, &c, NULL) != ATT_OK)
        c = NULL;
    att_buf_drop(&params);
    return c;
}

static bool set(shrinker *x, size_t i, att_value value)
{
    att_case *c = changed(x, i, value);

    return c && take(x, c);
}

static bool set_int(shrinker *x, size_t i, int64_t n)
{
    return set(x, i, (att_value){.i = n, .f = (double)n});
}

/* Between a number that does not show it and the one that does. */
static bool bisect(shrinker *x, size_t i)
{
    bool moved = false;
    int64_t low = 1;

    while (x->best->values[i].i - low > 1 && !over(x)) {
        const int64_t middle = low + (x->best->values[i].i - low) / 2;
        if (set_int(x, i, middle))
            moved = true;
        else
            low = middle;
    }
    return moved;
}

/* Would 1 in parameter i make the case cheaper?  If not, it is no size of anything. */
static bool is_size(shrinker *x, size_t i)
{
    att_case *c = changed(x, i, (att_value){.i = 1, .f = 1.0});
    const bool cheaper = c && c->seconds < x->best->seconds;

    att_case_drop(c);
    return cheaper;
}

/* Down to the default, and below it only where that makes the case cheaper. */
static bool smaller(shrinker *x, size_t i, const att_value *fallback)
{
    const att_value now = x->best->values[i];

    if (now.i != fallback->i && (fallback->i <= 0 || fallback->i < now.i || now.i <= 0) &&
        set_int(x, i, fallback->i))
        return true;
    if (now.i <= 1 || (now.i <= fallback->i && !is_size(x, i)))
        return false;
    return set_int(x, i, 1) || (now.i > 2 && (bisect(x, i) || set_int(x, i, now.i - 1)));
}

/* Words and reals: the default, then what stands before the present one among the levels. */
static bool plainer(shrinker *x, size_t i, const att_value *fallback)
{
    const att_param *p = &x->best->eval->params[i];
    const att_value now = x->best->values[i];
    att_arena arena = {0};
    bool moved = false;

    if (att_param_same(p, &now, fallback))
        return false;
    if (set(x, i, *fallback))
        return true;
    char *save = NULL, *levels = att_arena_text(&arena, p->levels ? p->levels : "");
    for (char *word = levels ? strtok_r(levels, " ", &save) : NULL; word && !moved && !over(x);
         word = strtok_r(NULL, " ", &save)) {
        att_value value;
        if (att_param_parse(p, word, &arena, &value, NULL) != ATT_OK ||
            att_param_same(p, &value, fallback))
            continue;
        if (att_param_same(p, &value, &now))
            break;
        moved = set(x, i, value);
    }
    att_arena_drop(&arena);
    return moved;
}

static void search(shrinker *x, const att_value *fallback)
{
    const att_param *table = x->best->eval->params;
    bool moved = true;

    for (int pass = 0; pass < PASSES && moved && !over(x); pass++) {
        moved = false;
        for (size_t i = 0; i < att_param_count(table) && !over(x); i++)
            moved |= table[i].type == ATT_PARAM_INT ? smaller(x, i, &fallback[i])
                                                    : plainer(x, i, &fallback[i]);
    }
}

att_status att_shrink_case(const att_shrink *how, const char *line, char **smallest, size_t *tried,
                           att_why *why)
{
    shrinker x = {.how = how, .until = att_clock_now() + how->seconds, .why = why};
    att_arena arena = {0};
    att_value *fallback = NULL;

    *smallest = NULL;
    x.status = att_case_parse(how->registry, line, &x.best, why);
    if (x.status == ATT_OK)
        x.status = att_param_defaults(x.best->eval->params, &arena, &fallback, why);
    if (x.status == ATT_OK)
        search(&x, fallback);
    stop(&x, true);
    *tried = x.tried;
    if (x.status == ATT_OK && !(*smallest = strdup(x.best->line))) {
        x.status = ATT_NO_MEMORY;
        att_why_set(why, "no memory to shrink the case");
    }
    att_case_drop(x.best);
    att_arena_drop(&arena);
    return x.status;
}
