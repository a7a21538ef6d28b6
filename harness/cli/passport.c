/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs: every level of every parameter has a number; a square of bytes says of each two how far
 * they came together.  Which of them a valid case can hold is what a covering array holds. */
#include "passport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/case.h"
#include "core/cover.h"
#include "core/param.h"

/* One measure while it is filled. */
typedef struct filler {
    att_passport *passport;
    att_passport_measure *m;
    size_t *first;                   /* [params + 1] number of a parameter's first level */
    unsigned char *possible, *reach; /* [levels][levels] */
    size_t levels;
} filler;

/* The level of a value, added if `grow`; NULL: not there, or no memory. */
static att_passport_level *level_of(att_passport *p, att_passport_param *param, const char *value,
                                    bool grow)
{
    for (size_t i = 0; i < param->n; i++)
        if (strcmp(param->levels[i].value, value) == 0)
            return &param->levels[i];
    if (!grow)
        return NULL;
    if (param->n == param->room) {
        size_t room = 2 * param->room + 8;
        att_passport_level *more = att_arena_zeros(&p->arena, room, sizeof *more);
        if (!more)
            return NULL;
        if (param->n > 0)
            memcpy(more, param->levels, param->n * sizeof *more);
        param->levels = more;
        param->room = room;
    }
    param->levels[param->n] = (att_passport_level){.value = att_arena_text(&p->arena, value)};
    return param->levels[param->n].value ? &param->levels[param->n++] : NULL;
}

/* A value as case lines write it. */
static bool canonical(const att_param *p, const char *text, char *out, size_t size)
{
    att_arena arena = {0};
    att_buf b = {0};
    att_value value;
    bool good = att_param_parse(p, text, &arena, &value, NULL) == ATT_OK;

    if (good)
        att_param_print(p, &value, &b);
    good = good && !b.failed && b.length < size;
    if (good)
        memcpy(out, b.data, b.length + 1);
    att_buf_drop(&b);
    att_arena_drop(&arena);
    return good;
}

/* ------------------------------------------------------------------------------- pairs */

static att_status number_levels(filler *f)
{
    f->first = calloc(f->m->n_params + 1, sizeof *f->first);
    if (!f->first)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < f->m->n_params; i++)
        f->first[i + 1] = f->first[i] + f->m->params[i].n;
    f->levels = f->first[f->m->n_params];
    f->possible = calloc(f->levels * f->levels + 1, 1);
    f->reach = calloc(f->levels * f->levels + 1, 1);
    return f->possible && f->reach ? ATT_OK : ATT_NO_MEMORY;
}

/* Raises what every two of a case's levels came to.  at: their numbers, SIZE_MAX = no level. */
static void lift(const filler *f, const size_t *at, unsigned char *to, unsigned char reach)
{
    for (size_t i = 0; i < f->m->n_params; i++)
        for (size_t k = i + 1; k < f->m->n_params; k++)
            if (at[i] != SIZE_MAX && at[k] != SIZE_MAX) {
                unsigned char *cell = &to[at[i] * f->levels + at[k]];
                *cell = *cell < reach ? reach : *cell;
            }
}

static size_t number_of(const filler *f, size_t param, const char *value)
{
    const att_passport_param *p = &f->m->params[param];

    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->levels[i].value, value) == 0)
            return f->first[param] + i;
    return SIZE_MAX;
}

/* The declared levels, in their order. */
static att_status take_declared(filler *f)
{
    for (size_t i = 0; i < f->m->n_params; i++) {
        const att_param *p = &f->m->eval->params[i];
        char word[256], text[256];
        for (const char *at = p->levels ? p->levels : ""; *at;) {
            size_t length = strcspn(at, " ");
            snprintf(word, sizeof word, "%.*s", (int)length, at);
            if (canonical(p, word, text, sizeof text) &&
                !level_of(f->passport, &f->m->params[i], text, true))
                return ATT_NO_MEMORY;
            at += length + (at[length] == ' ');
        }
    }
    return ATT_OK;
}

/* The levels a covering array uses beside them, and which pairs it holds. */
static att_status cover(filler *f, att_why *why)
{
    const att_eval *eval = f->m->eval;
    att_cover_cases cases = {0};
    char text[256];
    size_t *at = calloc(f->m->n_params + 1, sizeof *at);
    att_status status = !at ? ATT_NO_MEMORY
                            : att_cover_params(eval->params, NULL, NULL,
                                               eval->covers ? eval->covers : eval->valid, 1, &cases,
                                               why);

    if (status == ATT_OK)
        status = take_declared(f);
    for (size_t n = 0; status == ATT_OK && n < cases.count * cases.params; n++) {
        size_t i = n % cases.params;
        if (!canonical(&eval->params[i], cases.value[n], text, sizeof text) ||
            !level_of(f->passport, &f->m->params[i], text, true))
            status = ATT_NO_MEMORY;
    }
    if (status == ATT_OK)
        status = number_levels(f);
    for (size_t n = 0; status == ATT_OK && n < cases.count; n++) {
        for (size_t i = 0; i < cases.params; i++)
            at[i] =
                canonical(&eval->params[i], cases.value[n * cases.params + i], text, sizeof text)
                    ? number_of(f, i, text)
                    : SIZE_MAX;
        lift(f, at, f->possible, 1);
    }
    att_cover_cases_drop(&cases);
    free(at);
    return status;
}

static void count_pairs(const filler *f)
{
    for (size_t n = 0; n < f->levels * f->levels; n++) {
        f->m->pairs += f->possible[n];
        f->m->pairs_ran += f->possible[n] && f->reach[n] == ATT_REACH_RAN;
        f->m->pairs_refused += f->possible[n] && f->reach[n] == ATT_REACH_REFUSED;
    }
}

/* ------------------------------------------------------------------------------- traps */

static const struct {
    const char *name, *param, *values, *text;
} traps[] = {
#define TRAP(name, param, values, text) {name, param, values, text},
#include "passport_traps.def"
#undef TRAP
};
#define TRAPS (sizeof traps / sizeof *traps)

/* Is the value one of "a|b", or not x where they are "!x"? */
static bool sets(const char *values, const char *value)
{
    size_t length = strlen(value);

    if (*values == '!')
        return strcmp(values + 1, value) != 0;
    for (const char *v = values; *v; v += strcspn(v, "|"), v += *v == '|')
        if (strcspn(v, "|") == length && strncmp(v, value, length) == 0)
            return true;
    return false;
}

static void add_count(att_passport_count *c, att_reach reach)
{
    c->ran += reach == ATT_REACH_RAN;
    c->refused += reach == ATT_REACH_REFUSED;
}

static void count_traps(att_passport_measure *m, const att_record *r, att_reach reach)
{
    size_t n = 0;

    for (size_t t = 0; t < TRAPS; t++) {
        char value[256];
        if (att_param_index(m->eval->params, traps[t].param) < 0)
            continue;
        att_passport_trap *trap = &m->traps[n++];
        trap->name = traps[t].name;
        trap->text = traps[t].text;
        if (!att_record_param(r, traps[t].param, value, sizeof value) ||
            !sets(traps[t].values, value))
            continue;
        add_count(&trap->cases, reach);
        if (reach == ATT_REACH_REFUSED && !trap->why)
            trap->why = r->reason;
    }
    m->n_traps = n;
}

/* ----------------------------------------------------------------------------- records */

static att_reach reach_of(att_outcome outcome)
{
    return outcome == ATT_HOLE      ? ATT_REACH_REFUSED
           : outcome == ATT_NOT_RUN ? ATT_REACH_NONE
                                    : ATT_REACH_RAN;
}

static void count_reason(att_passport_measure *m, const char *text)
{
    size_t i = 0;

    while (i < m->n_reasons && strcmp(m->reasons[i].text, text) != 0)
        i++;
    if (i == m->n_reasons)
        m->reasons[m->n_reasons++] = (att_passport_reason){.text = text};
    m->reasons[i].cases++;
}

static void count_record(filler *f, const att_record *r, size_t *at)
{
    att_reach reach = reach_of(r->status);

    f->m->outcome[r->status]++;
    for (size_t i = 0; i < f->m->n_params; i++) {
        char value[256] = "";
        att_passport_level *level = NULL;
        att_record_param(r, f->m->params[i].name, value, sizeof value);
        at[i] = number_of(f, i, value);
        level = level_of(f->passport, &f->m->params[i], value, false);
        if (level)
            add_count(&level->cases, reach);
    }
    lift(f, at, f->reach, (unsigned char)reach);
    count_traps(f->m, r, reach);
    if (reach == ATT_REACH_REFUSED)
        count_reason(f->m, r->reason ? r->reason : "");
}

static int by_frequency(const void *a, const void *b)
{
    const att_passport_reason *x = a, *y = b;

    return x->cases != y->cases ? (x->cases < y->cases) - (x->cases > y->cases)
                                : strcmp(x->text, y->text);
}

static bool is_of(const att_record *r, const char *measure, const char *kernel)
{
    return strcmp(r->measure, measure) == 0 && strcmp(r->kernel, kernel) == 0;
}

static att_status fill(filler *f, const att_result *result, att_why *why)
{
    att_passport_measure *m = f->m;
    size_t *at = NULL;
    att_status status = ATT_NO_MEMORY;

    m->n_params = att_param_count(m->eval->params);
    m->params = att_arena_zeros(&f->passport->arena, m->n_params + 1, sizeof *m->params);
    m->reasons = att_arena_zeros(&f->passport->arena, result->n_records, sizeof *m->reasons);
    m->traps = att_arena_zeros(&f->passport->arena, TRAPS, sizeof *m->traps);
    at = calloc(m->n_params + 1, sizeof *at);
    if (!m->params || !m->reasons || !m->traps || !at)
        goto done;
    for (size_t i = 0; i < m->n_params; i++)
        m->params[i].name = m->eval->params[i].name;
    status = cover(f, why);
    for (size_t i = 0; status == ATT_OK && i < result->n_records; i++)
        if (is_of(&result->records[i], m->name, f->passport->kernel))
            count_record(f, &result->records[i], at);
    if (status == ATT_OK)
        count_pairs(f);
    if (m->n_reasons > 0)
        qsort(m->reasons, m->n_reasons, sizeof *m->reasons, by_frequency);
done:
    free(at);
    free(f->first);
    free(f->possible);
    free(f->reach);
    return status;
}

static bool known(const att_passport *p, const char *measure)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->measures[i].name, measure) == 0)
            return true;
    return false;
}

att_status att_passport_make(att_registry *registry, const att_result *result, const char *kernel,
                             att_passport *out, att_why *why)
{
    att_status status = ATT_OK;

    *out = (att_passport){.kernel = kernel};
    out->measures = att_arena_zeros(&out->arena, result->n_records + 1, sizeof *out->measures);
    if (!out->measures)
        return ATT_NO_MEMORY;
    for (size_t i = 0; status == ATT_OK && i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(r->measure, "."), r->measure);
        const att_eval *eval = att_registry_eval(registry, name, NULL);
        if (!eval || eval->track != ATT_TRACK_NUMERIC || strcmp(r->kernel, kernel) != 0 ||
            known(out, r->measure))
            continue;
        filler f = {.passport = out, .m = &out->measures[out->n++]};
        f.m->name = r->measure;
        f.m->eval = eval;
        status = fill(&f, result, why);
    }
    if (status == ATT_OK && out->n == 0) {
        att_why_set(why, "the run has no numeric case of the kernel %s", kernel);
        status = ATT_INVALID;
    }
    if (status != ATT_OK)
        att_passport_drop(out);
    return status;
}

void att_passport_drop(att_passport *p)
{
    att_arena_drop(&p->arena);
    *p = (att_passport){0};
}
