/* SPDX-License-Identifier: Apache-2.0 */
/* All probes of a run in one table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/compare.h"
#include "reports/matrix.h"
#include "reports/sheet.h"

/* Whether a record's items are whole: they were answered and show something. */
static bool is_answered(const att_record *r)
{
    return r->n_items > 0 &&
           (r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_INCONCLUSIVE);
}

static bool is_shown(const char *kernel, const char *base, const char *const *kernels)
{
    bool shown = !kernels || strcmp(kernel, base) == 0;

    for (; !shown && *kernels; kernels++)
        shown = strcmp(kernel, *kernels) == 0;
    return shown;
}

/* ------------------------------------------------------------------------ rows and columns */

/* needle: need; needle_multi_key: nmk; a code that is taken gets a number. */
static void make_code(const att_matrix *m, att_matrix_column *c)
{
    const char *dot = strrchr(c->measure, '.'), *name = dot ? dot + 1 : c->measure;
    const bool words = strchr(name, '_') != NULL;
    char stem[8];
    size_t n = 0;
    int number = 1;

    for (size_t i = 0; name[i] && n < 4; i++)
        if (words ? name[i] != '_' && (i == 0 || name[i - 1] == '_') : name[i] != ' ')
            stem[n++] = name[i];
    stem[n] = '\0';
    snprintf(c->code, sizeof c->code, "%s", stem);
    for (size_t i = 0; i < m->n_columns; i++)
        if (strcmp(m->columns[i].code, c->code) == 0) {
            snprintf(c->code, sizeof c->code, "%s%d", stem, ++number);
            i = (size_t)-1; /* from the first again */
        }
}

/* n_columns, n_kernels: it is not there. */
static size_t column_at(const att_matrix *m, const char *measure)
{
    size_t i = 0;

    while (i < m->n_columns && strcmp(m->columns[i].measure, measure) != 0)
        i++;
    return i;
}

static size_t kernel_at(const att_matrix *m, const char *kernel)
{
    size_t i = 0;

    while (i < m->n_kernels && strcmp(m->kernels[i], kernel) != 0)
        i++;
    return i;
}

static int wider(int width, const char *text)
{
    return (int)strlen(text) > width ? (int)strlen(text) : width;
}

static void add_column(att_matrix *m, const char *measure)
{
    if (column_at(m, measure) < m->n_columns)
        return;
    att_matrix_column *c = &m->columns[m->n_columns];
    *c = (att_matrix_column){.measure = measure, .longest = -1};
    make_code(m, c);
    m->n_columns++;
}

static void add_kernel(att_matrix *m, const char *kernel)
{
    if (kernel_at(m, kernel) == m->n_kernels)
        m->kernels[m->n_kernels++] = kernel;
}

/* A probe without a length stands at 0. */
static double length_of(const att_record *r)
{
    const double length = att_record_length(r);

    return isnan(length) ? 0 : length;
}

static void length_text(double length, char *out, size_t size)
{
    if (!(length > 0))
        snprintf(out, size, "-");
    else if (fmod(length, 1024) == 0)
        snprintf(out, size, "%gk", length / 1024);
    else
        snprintf(out, size, "%g", length);
}

static void find_bases(att_matrix *m)
{
    const att_record **next = m->records;

    for (size_t i = 0; i < m->n_columns; i++) {
        att_matrix_column *c = &m->columns[i];
        c->base = next;
        for (size_t k = 0; k < m->result->n_records; k++) {
            const att_record *r = &m->result->records[k];
            if (strcmp(r->measure, c->measure) != 0 || strcmp(r->kernel, m->base) != 0)
                continue;
            c->base[c->n_base++] = r;
            if (is_answered(r))
                c->longest = fmax(c->longest, length_of(r));
        }
        length_text(c->longest, c->span, sizeof c->span);
        c->width = wider((int)strlen(c->code), c->span);
        next += c->n_base;
    }
}

/* ----------------------------------------------------------------------------------- cells */

static const att_record *base_of(const att_matrix_column *c, const att_record *r)
{
    for (size_t i = 0; i < c->n_base; i++)
        if (c->base[i]->seed == r->seed && c->base[i]->params && r->params &&
            strcmp(c->base[i]->params, r->params) == 0)
            return c->base[i];
    return NULL;
}

/* What one cell adds up to. */
typedef struct sum {
    double length; /* the longest that both answered, where n > 0 */
    int64_t n, own, base;
    bool unsupported, dark, lost, left; /* seen among what was not answered */
} sum;

static int64_t hits_of(const att_record *r)
{
    int64_t hits = 0;

    for (size_t i = 0; i < r->n_items; i++)
        hits += r->items[i].hit != 0;
    return hits;
}

static void add_record(sum *s, const att_matrix_column *c, const att_record *r)
{
    const att_record *base = base_of(c, r);
    const double length = length_of(r);

    if (!base || !is_answered(r) || !is_answered(base)) {
        s->unsupported |= r->status == ATT_HOLE;
        s->dark |= r->status == ATT_NO_POWER || (base && base->status == ATT_NO_POWER);
        s->lost |= att_outcome_bad(r->status) && r->status != ATT_FAIL;
        s->left |= r->status == ATT_NOT_RUN || !base || base->status == ATT_NOT_RUN;
        return;
    }
    if (s->n == 0 || length > s->length) {
        s->length = length;
        s->n = s->own = s->base = 0;
    }
    if (length == s->length) {
        s->n += (int64_t)r->n_items;
        s->own += hits_of(r);
        s->base += hits_of(base);
    }
}

static const att_comparison *comparison_of(const att_result *result, const char *measure,
                                           const char *kernel)
{
    for (size_t i = 0; i < result->n_comparisons; i++)
        if (strcmp(result->comparisons[i].measure, measure) == 0 &&
            strcmp(result->comparisons[i].kernel, kernel) == 0)
            return &result->comparisons[i];
    return NULL;
}

static void put_mark(const att_comparison *c, char *out, size_t size)
{
    const double p = c && c->n > 0 ? att_compare_p(c) : (double)NAN;

    *out = '\0';
    if (!c || c->n == 0)
        return;
    if (strcmp(c->verdict, "worse") == 0)
        snprintf(out, size, "w%.0f", p > 0 ? fmin(floor(-log10(p)), 99) : 99);
    else if (strcmp(c->verdict, "better") == 0)
        snprintf(out, size, "+");
    else if (strcmp(c->verdict, "cannot tell") == 0)
        snprintf(out, size, "?");
}

static att_matrix_cell cell_of(const att_matrix *m, const att_matrix_column *c, const char *kernel,
                               const sum *s)
{
    const bool is_base = strcmp(kernel, m->base) == 0;
    const att_comparison *judged = is_base ? NULL : comparison_of(m->result, c->measure, kernel);
    char mark[8];
    att_matrix_cell out = {"."};

    put_mark(judged, mark, sizeof mark);
    if (s->n > 0 && (s->base > 0 || is_base))
        snprintf(out.text, sizeof out.text, "%s%.0f%s", s->length < c->longest ? "<" : "",
                 100 * (double)s->own / (double)(is_base ? s->n : s->base), mark);
    else if (s->n > 0 || s->unsupported || s->dark || s->lost || s->left)
        snprintf(out.text, sizeof out.text, "%s",
                 s->lost               ? "!"
                 : s->unsupported      ? "u"
                 : s->left && !s->dark ? "nr"
                                       : "np");
    return out;
}

/* Fills the cells; false: no memory. */
static bool make_cells(att_matrix *m)
{
    sum *sums = calloc(m->n_kernels * m->n_columns + 1, sizeof *sums);

    m->cells = calloc(m->n_kernels * m->n_columns + 1, sizeof *m->cells);
    for (size_t i = 0; sums && m->cells && i < m->result->n_records; i++) {
        const att_record *r = &m->result->records[i];
        const size_t k = kernel_at(m, r->kernel), c = column_at(m, r->measure);
        if (k < m->n_kernels && c < m->n_columns)
            add_record(&sums[k * m->n_columns + c], &m->columns[c], r);
    }
    for (size_t i = 0; sums && m->cells && i < m->n_kernels * m->n_columns; i++) {
        att_matrix_column *c = &m->columns[i % m->n_columns];
        m->cells[i] = cell_of(m, c, m->kernels[i / m->n_columns], &sums[i]);
        c->width = wider(c->width, m->cells[i].text);
    }
    const bool made = sums && m->cells;
    free(sums);
    return made;
}

att_status att_matrix_make(const att_result *result, const char *base, const char *const *kernels,
                           att_matrix *m)
{
    const size_t n = result->n_records;

    *m = (att_matrix){.result = result, .base = base};

    m->columns = calloc(n + 1, sizeof *m->columns);
    m->kernels = calloc(n + 2, sizeof *m->kernels);
    m->records = calloc(n + 1, sizeof *m->records);
    if (!m->columns || !m->kernels || !m->records)
        return ATT_NO_MEMORY;
    add_kernel(m, m->base);
    for (size_t i = 0; i < n; i++) {
        const att_record *r = &m->result->records[i];
        if (!att_record_is_probe(r) || !is_shown(r->kernel, m->base, kernels))
            continue;
        add_column(m, r->measure);
        add_kernel(m, r->kernel);
    }
    find_bases(m);
    return make_cells(m) ? ATT_OK : ATT_NO_MEMORY;
}

void att_matrix_drop(att_matrix *m)
{
    free(m->columns);
    free(m->kernels);
    free(m->records);
    free(m->cells);
    *m = (att_matrix){0};
}
