/* SPDX-License-Identifier: Apache-2.0 */
/* Paired comparison with dense.
 *
 * Wins w and losses l are the items that one kernel hit and the other missed.  One-sided exact
 * McNemar: p = P(Binomial(l + w, 1/2) >= l), adjusted by Holm over the measures of a kernel.  The
 * interval of the difference is core/paired's, over contexts.  Complexity: O(records log records +
 * items). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "core/paired.h"
#include "gate/compare.h"

/* What one (measure, kernel) adds up to while the records are walked. */
typedef struct tally {
    const att_record *first; /* names the row */
    att_paired paired;
    int64_t scored;
    double score_sum;
    double better_p, better_holm;
    double margin;
    size_t dark; /* cells without power */
} tally;

static int order_cells(const att_record *a, const att_record *b)
{
    int c = strcmp(a->measure, b->measure);

    if (c == 0)
        c = strcmp(a->params ? a->params : "", b->params ? b->params : "");
    if (c == 0)
        c = (a->seed > b->seed) - (a->seed < b->seed);
    return c;
}

static int order_pointers(const void *a, const void *b)
{
    return order_cells(*(const att_record *const *)a, *(const att_record *const *)b);
}

static bool is_probe(const att_record *r)
{
    return r->measure && r->kernel && (r->n_items > 0 || !isnan(r->chance));
}

/* Whether the items of a record are whole: the kernel answered all of them. */
static bool is_measured(const att_record *r)
{
    return r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_INCONCLUSIVE;
}

static tally *find_tally(tally *tallies, size_t *n, const att_record *r)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(tallies[i].first->measure, r->measure) == 0 &&
            strcmp(tallies[i].first->kernel, r->kernel) == 0)
            return &tallies[i];
    tallies[*n].first = r;
    return &tallies[(*n)++];
}

/* Adds the paired items of two records of one cell. */
static bool add_cell(tally *t, const att_record *dense, const att_record *r)
{
    for (size_t i = 0; i < r->n_items; i++)
        if (isfinite(dense->items[i].score) && isfinite(r->items[i].score)) {
            t->scored++;
            t->score_sum += r->items[i].score - dense->items[i].score;
        }
    return att_paired_add(&t->paired, dense->items, r->items, r->n_items);
}

/* The fewest losses, no wins beside them, that would be seen at `level`; as a share of n. */
static double detectable(int64_t n, double level)
{
    for (int64_t losses = 1; losses <= n && losses < 1024; losses++)
        if (att_mcnemar_worse(losses, 0) <= level)
            return (double)losses / (double)n;
    return NAN;
}

/* "worse" and "better" need the paired test and the interval over contexts; "same" needs that no
 * item differs, or that the interval lies within the margin that the kernel declares. */
static const char *verdict_of(const tally *t, const att_comparison *c)
{
    if (c->n == 0)
        return t->dark > 0 ? "no power" : "cannot tell";
    if (c->p_holm <= ATT_COMPARE_LEVEL && c->hi < 0)
        return "worse";
    if (t->better_holm <= ATT_COMPARE_LEVEL && c->lo > 0)
        return "better";
    if (c->wins + c->losses == 0 && isfinite(c->detectable))
        return "same";
    if (t->margin > 0 && c->lo > -t->margin && c->hi < t->margin)
        return "same";
    return "cannot tell";
}

/* Everything but the adjusted p and what depends on it. */
static bool summarise(tally *t, att_comparison *c)
{
    *c = (att_comparison){.measure = strdup(t->first->measure),
                          .kernel = strdup(t->first->kernel),
                          .n = t->paired.n,
                          .wins = t->paired.wins,
                          .losses = t->paired.losses,
                          .difference = NAN,
                          .lo = NAN,
                          .hi = NAN,
                          .p = NAN,
                          .p_holm = NAN,
                          .score_difference = NAN,
                          .detectable = NAN};
    t->better_p = t->better_holm = NAN;
    if (c->n > 0) {
        att_interval interval = att_paired_interval(&t->paired, ATT_COMPARE_CONFIDENCE);
        c->difference = att_paired_difference(&t->paired);
        c->lo = interval.lo;
        c->hi = interval.hi;
        c->p = att_mcnemar_worse(c->losses, c->wins);
        t->better_p = att_mcnemar_worse(c->wins, c->losses);
    }
    if (t->scored > 0)
        c->score_difference = t->score_sum / (double)t->scored;
    return c->measure && c->kernel;
}

/* Holm over the measures of the kernel of row `at`, for rows at and after; done once a kernel. */
static void adjust(tally *tallies, att_comparison *rows, size_t n, size_t at, double *room)
{
    double *worse = room, *better = room + n, *adjusted = room + 2 * n;
    size_t m = 0;

    for (size_t i = at; i < n; i++)
        if (strcmp(rows[i].kernel, rows[at].kernel) == 0 && rows[i].n > 0) {
            worse[m] = rows[i].p;
            better[m++] = tallies[i].better_p;
        }
    if (m == 0)
        return;
    att_holm(worse, m, adjusted);
    att_holm(better, m, adjusted + m);
    for (size_t i = at, k = 0; i < n; i++)
        if (strcmp(rows[i].kernel, rows[at].kernel) == 0 && rows[i].n > 0) {
            rows[i].p_holm = adjusted[k];
            tallies[i].better_holm = adjusted[m + k];
            rows[i].detectable = detectable(rows[i].n, ATT_COMPARE_LEVEL / (double)m);
            k++;
        }
}

static bool first_of_kernel(const att_comparison *rows, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(rows[j].kernel, rows[i].kernel) == 0)
            return false;
    return true;
}

/* Walks the records that are not dense's and adds each to its row. */
static bool walk(const att_result *result, const char *dense, const att_record **cells,
                 size_t n_cells, tally *tallies, size_t *n_tallies)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (!is_probe(r) || strcmp(r->kernel, dense) == 0)
            continue;
        tally *t = find_tally(tallies, n_tallies, r);
        t->margin = r->margin;
        const att_record **found =
            n_cells ? bsearch(&r, cells, n_cells, sizeof *cells, order_pointers) : NULL;
        if (!found)
            continue;
        if (r->status == ATT_NO_POWER || (*found)->status == ATT_NO_POWER)
            t->dark++;
        else if (is_measured(r) && is_measured(*found) && r->n_items == (*found)->n_items &&
                 !add_cell(t, *found, r))
            return false;
    }
    return true;
}

static void drop_rows(att_comparison *rows, size_t n)
{
    for (size_t i = 0; rows && i < n; i++) {
        free(rows[i].measure);
        free(rows[i].kernel);
        free(rows[i].verdict);
    }
    free(rows);
}

att_status att_compare_fill(att_result *result, const char *dense, att_why *why)
{
    att_status status = ATT_NO_MEMORY;
    size_t n = result->n_records ? result->n_records : 1, n_cells = 0, n_rows = 0;
    const att_record **cells = calloc(n, sizeof *cells);
    tally *tallies = calloc(n, sizeof *tallies);
    att_comparison *rows = NULL;
    double *room = NULL;

    if (!cells || !tallies)
        goto done;
    for (size_t i = 0; i < result->n_records; i++)
        if (is_probe(&result->records[i]) && strcmp(result->records[i].kernel, dense) == 0)
            cells[n_cells++] = &result->records[i];
    qsort(cells, n_cells, sizeof *cells, order_pointers);
    if (!walk(result, dense, cells, n_cells, tallies, &n_rows))
        goto done;
    rows = calloc(n_rows ? n_rows : 1, sizeof *rows);
    room = calloc(n_rows ? n_rows : 1, 4 * sizeof *room);
    if (!rows || !room)
        goto done;
    for (size_t i = 0; i < n_rows; i++)
        if (!summarise(&tallies[i], &rows[i]))
            goto done;
    for (size_t i = 0; i < n_rows; i++)
        if (first_of_kernel(rows, i))
            adjust(tallies, rows, n_rows, i, room);
    for (size_t i = 0; i < n_rows; i++)
        if (!(rows[i].verdict = strdup(verdict_of(&tallies[i], &rows[i]))))
            goto done;
    drop_rows(result->comparisons, result->n_comparisons);
    result->comparisons = rows;
    result->n_comparisons = n_rows;
    rows = NULL;
    status = ATT_OK;
done:
    if (status != ATT_OK)
        att_why_set(why, "comparison with %s: out of memory", dense);
    drop_rows(rows, n_rows);
    for (size_t i = 0; tallies && i < n; i++)
        att_paired_drop(&tallies[i].paired);
    free(tallies);
    free(cells);
    free(room);
    return status;
}
