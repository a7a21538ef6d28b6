/* SPDX-License-Identifier: Apache-2.0 */
/* ratio = sum over cases of (sum of d)^2 / sum of d^2, d the hits of a context minus the mean of
 * the contexts of its number in its cell (task and parameters). */
#include "gate/independence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One cell: rows are cases, columns the numbers of their contexts. */
typedef struct cell {
    double *d; /* rows x columns */
    size_t rows, columns;
} cell;

/* The column of each item, in order of appearance; their number. */
static size_t columns_of(const att_record *r, size_t *column)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_items; i++) {
        size_t k = 0;
        while (k < i && r->items[k].cluster != r->items[i].cluster)
            k++;
        column[i] = k < i ? column[k] : n++;
    }
    return n;
}

static bool grouped_alike(const att_record *a, const att_record *b)
{
    bool alike = a->n_items == b->n_items;

    for (size_t i = 0; alike && i < a->n_items; i++)
        alike = a->items[i].cluster == b->items[i].cluster;
    return alike;
}

/* The cell that begins at record `from`; *end: the first of the next.  false: no memory. */
static bool make_cell(const att_trial_task *t, size_t from, size_t *end, cell *out)
{
    const att_record *first = t->records[from];
    size_t *column = calloc(first->n_items + 1, sizeof *column);
    size_t columns = column ? columns_of(first, column) : 0, to = from;

    while (to < t->n && strcmp(first->params ? first->params : "",
                               t->records[to]->params ? t->records[to]->params : "") == 0)
        to++;
    *out = (cell){calloc((to - from) * columns + 1, sizeof *out->d), 0, columns};
    for (size_t r = from; column && out->d && r < to; r++) {
        if (!grouped_alike(first, t->records[r]))
            continue;
        for (size_t i = 0; i < first->n_items; i++)
            out->d[out->rows * columns + column[i]] += t->records[r]->items[i].hit != 0;
        out->rows++;
    }
    bool good = column && out->d;
    for (size_t c = 0; good && c < columns; c++) {
        double mean = 0;
        for (size_t r = 0; r < out->rows; r++)
            mean += out->d[r * columns + c] / (double)out->rows;
        for (size_t r = 0; r < out->rows; r++)
            out->d[r * columns + c] -= mean;
    }
    free(column);
    *end = to;
    return good;
}

static double squares_of_cases(const cell *c)
{
    double squares = 0;

    for (size_t r = 0; r < c->rows; r++) {
        double sum = 0;
        for (size_t k = 0; k < c->columns; k++)
            sum += c->d[r * c->columns + k];
        squares += sum * sum;
    }
    return squares;
}

/* Deals the contexts of each number out over the cases anew. */
static void shuffle(cell *c, att_rng *rng)
{
    for (size_t k = 0; k < c->columns; k++)
        for (size_t r = c->rows; r > 1; r--) {
            size_t other = (size_t)att_rng_below(rng, r);
            double *a = &c->d[(r - 1) * c->columns + k], *b = &c->d[other * c->columns + k];
            double kept = *a;
            *a = *b;
            *b = kept;
        }
}

static double sum_of_cases(const cell *cells, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += squares_of_cases(&cells[i]);
    return sum;
}

att_status att_independence_of(const att_trial_task *t, size_t shuffles, att_rng *rng,
                               att_independence *out)
{
    cell *cells = calloc(t->n + 1, sizeof *cells);
    size_t n = 0, most = 0, as_large = 0;
    double alone = 0;
    bool good = cells != NULL;

    for (size_t from = 0, end; from < t->n && good; from = end) {
        good = make_cell(t, from, &end, &cells[n++]);
        most = cells[n - 1].columns > most ? cells[n - 1].columns : most;
        for (size_t i = 0; good && i < cells[n - 1].rows * cells[n - 1].columns; i++)
            alone += cells[n - 1].d[i] * cells[n - 1].d[i];
    }
    *out = (att_independence){NAN, 1};
    if (good && alone > 1e-9 && most > 1) { /* hits are whole: less is rounding of means */
        double seen = sum_of_cases(cells, n);
        for (size_t s = 0; s < shuffles; s++) {
            for (size_t i = 0; i < n; i++)
                shuffle(&cells[i], rng);
            /* the same sum in another order of additions counts as as large */
            as_large += sum_of_cases(cells, n) >= seen * (1 - 1e-9);
        }
        out->ratio = seen / alone;
        out->p = (double)(as_large + 1) / (double)(shuffles + 1);
    }
    for (size_t i = 0; cells && i < n; i++)
        free(cells[i].d);
    free(cells);
    return good ? ATT_OK : ATT_NO_MEMORY;
}
