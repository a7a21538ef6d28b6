/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy covering arrays with constraints (AETG: Cohen, Dalal, Fredman, Patton 1997).
 *
 * A row starts from an uncovered pair or triple in a valid row around it; then each other factor,
 * in a random order, takes the level that covers most of what is missing and keeps the row valid.
 * Of a few such candidates the best is kept.  About (largest levels product) * ln(targets) rows. */
#include "core/cover.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define CANDIDATES 6
#define ATTEMPTS   400

/* A pair (third == SIZE_MAX) or triple of factors with its block of targets. */
typedef struct block {
    size_t f[3], size, start;
} block;

typedef struct work {
    const att_cover_factor *factors;
    size_t n;
    att_cover_valid valid;
    const void *arg;
    att_rng rng;
    block *blocks;
    size_t n_blocks, targets, left;
    unsigned char *missing;            /* [targets] */
    size_t *order, *row, *best, *base; /* [n] */
    bool *decided;                     /* [n] */
    size_t *rows, n_rows, room;
    size_t unreachable;
} work;

static size_t width(const block *b)
{
    return b->f[2] == SIZE_MAX ? 2 : 3;
}

static size_t target_of(const work *w, const block *b, const size_t *row)
{
    size_t at = 0;

    for (size_t i = 0; i < width(b); i++)
        at = at * w->factors[b->f[i]].levels + row[b->f[i]];
    return b->start + at;
}

static void add_block(work *w, size_t i, size_t j, size_t k)
{
    block b = {.f = {i, j, k}, .start = w->targets};

    b.size = w->factors[i].levels * w->factors[j].levels;
    if (k != SIZE_MAX)
        b.size *= w->factors[k].levels;
    w->blocks[w->n_blocks++] = b;
    w->targets += b.size;
}

static void list_blocks(work *w)
{
    const att_cover_factor *f = w->factors;

    for (size_t i = 0; i < w->n; i++)
        for (size_t j = i + 1; j < w->n; j++) {
            add_block(w, i, j, SIZE_MAX);
            for (size_t k = j + 1; f[i].strong && f[j].strong && k < w->n; k++)
                if (f[k].strong)
                    add_block(w, i, j, k);
        }
}

static bool is_valid(const work *w, const size_t *row)
{
    return !w->valid || w->valid(w->arg, row);
}

/* What deciding factor f at its present level would newly cover among the decided ones. */
static size_t gain_of(const work *w, size_t f)
{
    size_t gain = 0;

    for (size_t n = 0; n < w->n_blocks; n++) {
        const block *b = &w->blocks[n];
        bool has = false, all = true;
        for (size_t i = 0; i < width(b); i++) {
            has = has || b->f[i] == f;
            all = all && (b->f[i] == f || w->decided[b->f[i]]);
        }
        gain += has && all && w->missing[target_of(w, b, w->row)];
    }
    return gain;
}

/* Covers what the row holds; returns how much was new. */
static size_t cover_row(work *w, const size_t *row, bool mark)
{
    size_t gain = 0;

    for (size_t n = 0; n < w->n_blocks; n++) {
        size_t at = target_of(w, &w->blocks[n], row);
        gain += w->missing[at];
        if (mark) {
            w->left -= w->missing[at];
            w->missing[at] = 0;
        }
    }
    return gain;
}

/* A valid row that holds target `at` of block b, in base: around the resting levels where possible.
 */
static bool find_base(work *w, const block *b, size_t at)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        size_t rest = at - b->start;
        for (size_t f = 0; f < w->n; f++) {
            bool stay = attempt == 0 || att_rng_below(&w->rng, 2) == 0;
            w->base[f] = stay ? 0 : att_rng_below(&w->rng, w->factors[f].levels);
        }
        for (size_t i = width(b); i-- > 0; rest /= w->factors[b->f[i]].levels)
            w->base[b->f[i]] = rest % w->factors[b->f[i]].levels;
        if (is_valid(w, w->base))
            return true;
    }
    return false;
}

/* One candidate row around base, in w->row. */
static void grow(work *w, const block *b)
{
    memcpy(w->row, w->base, w->n * sizeof *w->row);
    memset(w->decided, 0, w->n * sizeof *w->decided);
    for (size_t i = 0; i < width(b); i++)
        w->decided[b->f[i]] = true;
    att_rng_shuffle(&w->rng, w->order, w->n, sizeof *w->order);
    for (size_t n = 0; n < w->n; n++) {
        size_t f = w->order[n], levels = w->factors[f].levels, kept = w->row[f], most = 0;
        if (w->decided[f])
            continue;
        size_t first = att_rng_below(&w->rng, levels);
        for (size_t l = 0; l < levels; l++) {
            w->row[f] = (first + l) % levels;
            size_t gain = gain_of(w, f);
            if (gain > most && is_valid(w, w->row)) {
                most = gain;
                kept = w->row[f];
            }
        }
        w->row[f] = kept;
        w->decided[f] = true;
    }
}

static bool keep(work *w, const size_t *row)
{
    if (w->n_rows == w->room) {
        size_t room = w->room ? 2 * w->room : 64;
        size_t *more = realloc(w->rows, room * w->n * sizeof *more);
        if (!more)
            return false;
        w->rows = more;
        w->room = room;
    }
    memcpy(w->rows + w->n_rows++ * w->n, row, w->n * sizeof *row);
    cover_row(w, row, true);
    return true;
}

/* Rows until nothing reachable is missing; the widest blocks first. */
static bool cover_block(work *w, const block *b)
{
    for (size_t at = b->start; at < b->start + b->size; at++) {
        size_t most = 0;
        if (!w->missing[at])
            continue;
        if (!find_base(w, b, at)) {
            w->missing[at] = 0;
            w->left--;
            w->unreachable++;
            continue;
        }
        for (int candidate = 0; candidate < CANDIDATES; candidate++) {
            grow(w, b);
            size_t gain = cover_row(w, w->row, false);
            if (gain > most) {
                most = gain;
                memcpy(w->best, w->row, w->n * sizeof *w->row);
            }
        }
        if (!keep(w, w->best))
            return false;
    }
    return true;
}

static int by_size(const void *x, const void *y)
{
    const block *a = x, *b = y;

    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    return a->start < b->start ? -1 : 1;
}

static att_status check(const att_cover_factor *factors, size_t n, att_why *why)
{
    for (size_t i = 0; i < n; i++)
        if (factors[i].levels < 1 || factors[i].levels > 1000) {
            att_why_set(why, "factor %zu has %zu levels; 1 to 1000 are possible", i,
                        factors[i].levels);
            return ATT_INVALID;
        }
    if (n > 200) {
        att_why_set(why, "%zu factors; at most 200 are possible", n);
        return ATT_INVALID;
    }
    return ATT_OK;
}

static att_status cover_all(work *w)
{
    if (w->n == 1) /* no pairs: each valid level once */
        for (size_t l = 0; l < w->factors[0].levels; l++)
            if (is_valid(w, &l) && !keep(w, &l))
                return ATT_NO_MEMORY;
    for (size_t n = 0; n < w->n_blocks; n++)
        if (!cover_block(w, &w->blocks[n]))
            return ATT_NO_MEMORY;
    return ATT_OK;
}

att_status att_cover_make(const att_cover_factor *factors, size_t n, att_cover_valid valid,
                          const void *arg, uint64_t seed, att_cover *out, att_why *why)
{
    work w = {
        .factors = factors, .n = n, .valid = valid, .arg = arg, .rng = att_rng_make(seed, "cover")};
    size_t strong = 0, room = n ? n : 1;
    att_status status = check(factors, n, why);

    if (status != ATT_OK || n == 0) {
        *out = (att_cover){.factors = n};
        return status;
    }
    for (size_t i = 0; i < n; i++)
        strong += factors[i].strong;
    w.blocks = malloc((n * n + strong * strong * strong + 1) * sizeof *w.blocks);
    w.order = malloc(4 * room * sizeof *w.order);
    w.decided = malloc(room * sizeof *w.decided);
    status = ATT_NO_MEMORY;
    if (!w.blocks || !w.order || !w.decided)
        goto done;
    w.row = w.order + n;
    w.best = w.row + n;
    w.base = w.best + n;
    for (size_t i = 0; i < n; i++)
        w.order[i] = i;
    list_blocks(&w);
    qsort(w.blocks, w.n_blocks, sizeof *w.blocks, by_size);
    w.left = w.targets;
    w.missing = malloc(w.targets ? w.targets : 1);
    if (!w.missing)
        goto done;
    memset(w.missing, 1, w.targets);
    status = cover_all(&w);
done:
    if (status == ATT_OK)
        *out = (att_cover){.factors = n,
                           .rows = w.n_rows,
                           .level = w.rows,
                           .targets = w.targets,
                           .unreachable = w.unreachable};
    else
        free(w.rows);
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory for a covering array of %zu factors", n);
    free(w.blocks);
    free(w.order);
    free(w.decided);
    free(w.missing);
    return status;
}

void att_cover_drop(att_cover *cover)
{
    free(cover->level);
    *cover = (att_cover){0};
}

/* ------------------------------------------------------------- parameter tables */

typedef struct axis {
    char *text; /* the levels, cut into words */
    char **word;
    att_value *value;
    size_t count;
} axis;

typedef struct table {
    axis *axes;
    size_t n;
    att_value *values; /* room for one case */
    bool (*valid)(const att_value *params);
} table;

static att_value value_of(const att_param *param, char *text)
{
    att_value v = {0};

    if (param->type == ATT_PARAM_INT) {
        v.i = strtoll(text, NULL, 10);
        v.f = (double)v.i;
    } else if (param->type == ATT_PARAM_REAL) {
        v.f = strtod(text, NULL);
    } else {
        v.s = text;
    }
    return v;
}

/* The default first, where it is among the levels: it is the resting level. */
static bool make_axis(const att_param *param, const char *levels, axis *a)
{
    const char *source = levels ? levels : param->levels ? param->levels : param->fallback;
    char *save = NULL;

    a->text = strdup(source);
    a->word = calloc(strlen(source) / 2 + 2, sizeof *a->word);
    a->value = calloc(strlen(source) / 2 + 2, sizeof *a->value);
    if (!a->text || !a->word || !a->value)
        return false;
    for (char *word = strtok_r(a->text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        a->word[a->count++] = word;
    if (a->count == 0) /* a text parameter whose default is empty */
        a->word[a->count++] = a->text;
    for (size_t i = 1; i < a->count; i++)
        if (strcmp(a->word[i], param->fallback) == 0) {
            char *first = a->word[0];
            a->word[0] = a->word[i];
            a->word[i] = first;
        }
    for (size_t i = 0; i < a->count; i++)
        a->value[i] = value_of(param, a->word[i]);
    return true;
}

static bool table_valid(const void *arg, const size_t *row)
{
    const table *t = arg;

    for (size_t i = 0; i < t->n; i++)
        t->values[i] = t->axes[i].value[row[i]];
    return !t->valid || t->valid(t->values);
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (list && *list) {
        size_t span = strcspn(list, " ");
        if (span == length && strncmp(list, word, span) == 0)
            return true;
        list += span + (list[span] == ' ');
    }
    return false;
}

static att_status copy_cases(const table *t, att_cover_cases *out)
{
    out->count = out->cover.rows;
    out->params = t->n;
    out->value = calloc(out->count * t->n + 1, sizeof *out->value);
    if (!out->value)
        return ATT_NO_MEMORY;
    for (size_t r = 0; r < out->count; r++)
        for (size_t i = 0; i < t->n; i++) {
            char **at = &out->value[r * t->n + i];
            *at = strdup(t->axes[i].word[out->cover.level[r * t->n + i]]);
            if (!*at)
                return ATT_NO_MEMORY;
        }
    return ATT_OK;
}

att_status att_cover_params(const att_param *params, const char *const *levels, const char *strong,
                            bool (*valid)(const att_value *params), uint64_t seed,
                            att_cover_cases *out, att_why *why)
{
    table t = {.valid = valid};
    att_cover_factor *factors = NULL;
    att_status status = ATT_NO_MEMORY;

    *out = (att_cover_cases){0};
    while (params && params[t.n].name)
        t.n++;
    t.axes = calloc(t.n + 1, sizeof *t.axes);
    t.values = calloc(t.n + 1, sizeof *t.values);
    factors = calloc(t.n + 1, sizeof *factors);
    if (!t.axes || !t.values || !factors)
        goto done;
    for (size_t i = 0; i < t.n; i++) {
        if (!make_axis(&params[i], levels ? levels[i] : NULL, &t.axes[i]))
            goto done;
        factors[i] = (att_cover_factor){t.axes[i].count, has_word(strong, params[i].name)};
    }
    status = att_cover_make(factors, t.n, table_valid, &t, seed, &out->cover, why);
    if (status == ATT_OK)
        status = copy_cases(&t, out);
done:
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory for a covering array of %zu parameters", t.n);
    if (status != ATT_OK)
        att_cover_cases_drop(out);
    for (size_t i = 0; t.axes && i < t.n; i++) {
        free(t.axes[i].text);
        free(t.axes[i].word);
        free(t.axes[i].value);
    }
    free(t.axes);
    free(t.values);
    free(factors);
    return status;
}

void att_cover_cases_drop(att_cover_cases *cases)
{
    for (size_t i = 0; cases->value && i < cases->count * cases->params; i++)
        free(cases->value[i]);
    free(cases->value);
    att_cover_drop(&cases->cover);
    *cases = (att_cover_cases){0};
}
