/* SPDX-License-Identifier: Apache-2.0 */
/* Paired comparison of kernels, or of a kernel with what it was.
 *
 * Wins w and losses l are the items that one side hit and the other missed.  One-sided exact
 * McNemar: p = P(Binomial(l + w, 1/2) >= l).  Items that share a context stand or fall together, so
 * what is judged is the same test with contexts in place of items (base/stats.h), adjusted by Holm
 * over the measures of a kernel.  The interval of the difference is core/paired's.  Complexity:
 * O(records log records + items). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/power.h"
#include "base/stats.h"
#include "gate/compare.h"

/* What one (measure, kernel) adds up to while the records are walked. */
typedef struct tally {
    const att_record *first; /* names the row */
    att_paired paired;
    double better_p; /* over contexts, before it is adjusted */
    double margin;
    size_t dark;     /* cells without power */
    uint64_t *seeds; /* distinct ones of what was paired */
    size_t n_seeds;
    double level; /* of its test, for its share of the kernel's measures */
} tally;

/* The base's records, in order. */
typedef struct bases {
    const att_compare_how *how;
    const att_record **cells;
    size_t n;
} bases;

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

static int order_with_kernels(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int c = order_cells(x, y);

    return c ? c : strcmp(x->kernel, y->kernel);
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

static bool find_bases(const att_result *result, const att_compare_how *how, bases *out)
{
    const att_result *from = how->before ? how->before : result;

    *out = (bases){how, calloc(from->n_records + 1, sizeof *out->cells), 0};
    for (size_t i = 0; out->cells && i < from->n_records; i++)
        if (is_probe(&from->records[i]) &&
            (!how->base || strcmp(from->records[i].kernel, how->base) == 0))
            out->cells[out->n++] = &from->records[i];
    if (out->n > 0)
        qsort(out->cells, out->n, sizeof *out->cells,
              how->base ? order_pointers : order_with_kernels);
    return out->cells != NULL;
}

/* The base's record of the same cell; NULL = there is none. */
static const att_record *base_of(const bases *b, const att_record *r)
{
    const att_record **found = b->n > 0
                                   ? bsearch(&r, b->cells, b->n, sizeof *b->cells,
                                             b->how->base ? order_pointers : order_with_kernels)
                                   : NULL;
    return found ? *found : NULL;
}

/* Whether a record is one to compare: the base is not compared with itself in one result. */
static bool is_own(const att_compare_how *how, const att_record *r)
{
    return is_probe(r) && (how->before || !how->base || strcmp(r->kernel, how->base) != 0);
}

static bool same_items(const att_record *a, const att_record *b)
{
    for (size_t i = 0; i < a->n_items; i++) {
        double x = a->items[i].at, y = b->items[i].at;
        if (a->items[i].cluster != b->items[i].cluster || !(x == y || (isnan(x) && isnan(y))))
            return false;
    }
    return true;
}

/* Both whole, and of equal items. */
static bool pairs(const bases *b, const att_record *base, const att_record *r)
{
    return is_measured(r) && is_measured(base) && r->n_items == base->n_items &&
           (!b->how->before || same_items(base, r));
}

/* The smallest loss that the test finds at `level`: contexts are lost or won, each with the
 * probability that one of its items is; items that fall together count as one.  The smaller of what
 * was won and lost is churn, which a loss would have beside it. */
static double detectable_of(const att_paired *p, const att_comparison *c, double level)
{
    double contexts = (double)p->contexts, won = 0, lost = 0;
    double each = fmax(1.0, (double)c->n / c->effect / contexts);

    for (size_t i = 0; i < p->contexts; i++) {
        won += p->context[i] > 0;
        lost += p->context[i] < 0;
    }
    double context = att_mcnemar_detectable((int64_t)p->contexts, fmin(won, lost) / contexts, level,
                                            ATT_COMPARE_POWER);
    return 1 - pow(1 - context, 1 / each);
}

/* How many seeds would show a loss as large as the one seen, contexts lost and won as often: as
 * detectable_of counts them. */
static int64_t seeds_of(const tally *t)
{
    const double contexts = (double)t->paired.contexts;
    double won = 0, lost = 0;

    for (size_t i = 0; i < t->paired.contexts; i++) {
        won += t->paired.context[i] > 0;
        lost += t->paired.context[i] < 0;
    }
    const int64_t n =
        att_mcnemar_items(lost / contexts, won / contexts, t->level, ATT_COMPARE_POWER);
    return n < 0 ? -1 : (int64_t)ceil((double)n * (double)t->n_seeds / contexts);
}

/* "worse" and "better" need the paired test and the interval over contexts; "same" needs that no
 * item differs, or that the interval lies within the margin. */
static const char *verdict_of(const tally *t, const att_comparison *c)
{
    if (c->n == 0)
        return t->dark > 0 ? "no power" : "cannot tell";
    if (c->p_holm <= ATT_COMPARE_LEVEL && c->hi < 0)
        return "worse";
    if (c->p_better <= ATT_COMPARE_LEVEL && c->lo > 0)
        return "better";
    if (c->wins + c->losses == 0 && isfinite(c->detectable))
        return "same";
    if (c->margin > 0 && c->lo > -c->margin && c->hi < c->margin)
        return "same";
    return "cannot tell";
}

static void judge_margin(const att_paired *p, att_comparison *c)
{
    if (!(c->margin > 0) || c->n == 0)
        return;
    c->inferior = c->lo > -c->margin ? 0 : c->hi < -c->margin ? 1 : -1;
    c->needed = att_paired_needs(p, c->margin, ATT_COMPARE_CONFIDENCE, ATT_COMPARE_POWER);
}

/* Everything but the adjusted p and what depends on it. */
static bool summarise(tally *t, att_comparison *c)
{
    const att_paired *p = &t->paired;

    *c = (att_comparison){.measure = strdup(t->first->measure),
                          .kernel = strdup(t->first->kernel),
                          .n = p->n,
                          .wins = p->wins,
                          .losses = p->losses,
                          .difference = att_paired_difference(p),
                          .lo = NAN,
                          .hi = NAN,
                          .p = NAN,
                          .p_context = NAN,
                          .p_holm = NAN,
                          .p_better = NAN,
                          .score_difference = att_paired_score_difference(p),
                          .score_p = att_paired_score_less(p),
                          .effect = att_paired_effect(p),
                          .detectable = NAN,
                          .margin = t->margin,
                          .inferior = -1,
                          .needed = -1};
    t->better_p = NAN;
    if (c->n > 0) {
        att_interval interval = att_paired_interval(p, ATT_COMPARE_CONFIDENCE);
        c->lo = interval.lo;
        c->hi = interval.hi;
        c->p = att_mcnemar_worse(c->losses, c->wins);
        c->p_context = att_paired_worse(p);
        t->better_p = att_paired_better(p);
        judge_margin(p, c);
    }
    return c->measure && c->kernel;
}

/* Holm over the measures of the kernel of row `at`, for rows at and after; done once a kernel. */
static void adjust(tally *tallies, att_comparison *rows, size_t n, size_t at, double *room)
{
    double *worse = room, *better = room + n, *adjusted = room + 2 * n;
    size_t m = 0;

    for (size_t i = at; i < n; i++)
        if (strcmp(rows[i].kernel, rows[at].kernel) == 0 && rows[i].n > 0) {
            worse[m] = rows[i].p_context;
            better[m++] = tallies[i].better_p;
        }
    if (m == 0)
        return;
    att_holm(worse, m, adjusted);
    att_holm(better, m, adjusted + m);
    for (size_t i = at, k = 0; i < n; i++)
        if (strcmp(rows[i].kernel, rows[at].kernel) == 0 && rows[i].n > 0) {
            rows[i].p_holm = adjusted[k];
            rows[i].p_better = adjusted[m + k];
            tallies[i].level = ATT_COMPARE_LEVEL / (double)m;
            rows[i].detectable = detectable_of(&tallies[i].paired, &rows[i], tallies[i].level);
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

static bool add_seed(tally *t, uint64_t seed)
{
    for (size_t i = 0; i < t->n_seeds; i++)
        if (t->seeds[i] == seed)
            return true;
    uint64_t *more = realloc(t->seeds, (t->n_seeds + 1) * sizeof *more);
    if (!more)
        return false;
    t->seeds = more;
    t->seeds[t->n_seeds++] = seed;
    return true;
}

/* Walks the records that are not the base's and adds each to its row. */
static bool walk(const att_result *result, const bases *b, tally *tallies, size_t *n_tallies)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (!is_own(b->how, r))
            continue;
        tally *t = find_tally(tallies, n_tallies, r);
        t->margin = b->how->margin > 0 ? b->how->margin : r->margin;
        const att_record *base = base_of(b, r);
        if (!base)
            continue;
        if (r->status == ATT_NO_POWER || base->status == ATT_NO_POWER)
            t->dark++;
        else if (pairs(b, base, r) &&
                 !(att_paired_add(&t->paired, base->items, r->items, r->n_items) &&
                   add_seed(t, r->seed)))
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

/* The rows of the tallies, judged; NULL = no memory. */
static att_comparison *judge(tally *tallies, size_t n)
{
    att_comparison *rows = calloc(n + 1, sizeof *rows);
    double *room = calloc(n + 1, 4 * sizeof *room);
    bool good = rows && room;

    for (size_t i = 0; i < n && good; i++)
        good = summarise(&tallies[i], &rows[i]);
    for (size_t i = 0; i < n && good; i++)
        if (first_of_kernel(rows, i))
            adjust(tallies, rows, n, i, room);
    for (size_t i = 0; i < n && good; i++) {
        good = (rows[i].verdict = strdup(verdict_of(&tallies[i], &rows[i])));
        if (good && rows[i].losses > rows[i].wins && strcmp(rows[i].verdict, "cannot tell") == 0)
            rows[i].seeds_needed = seeds_of(&tallies[i]);
    }
    free(room);
    if (good)
        return rows;
    drop_rows(rows, n);
    return NULL;
}

att_status att_compare_with(att_result *result, const att_compare_how *how, att_why *why)
{
    size_t n_rows = 0;
    bases b = {0};
    tally *tallies = calloc(result->n_records + 1, sizeof *tallies);
    att_comparison *rows = NULL;

    if (tallies && find_bases(result, how, &b) && walk(result, &b, tallies, &n_rows))
        rows = judge(tallies, n_rows);
    if (rows) {
        drop_rows(result->comparisons, result->n_comparisons);
        result->comparisons = rows;
        result->n_comparisons = n_rows;
    } else
        att_why_set(why, "comparison with %s: out of memory", how->base ? how->base : "before");
    for (size_t i = 0; tallies && i < n_rows; i++) {
        att_paired_drop(&tallies[i].paired);
        free(tallies[i].seeds);
    }
    free(tallies);
    free(b.cells);
    return rows ? ATT_OK : ATT_NO_MEMORY;
}

att_status att_compare_fill(att_result *result, const char *dense, att_why *why)
{
    return att_compare_with(result, &(att_compare_how){.base = dense}, why);
}

double att_compare_p(const att_comparison *c)
{
    return c->difference > 0 ? c->p_better : c->p_holm;
}

att_status att_compare_at(const att_result *result, const att_compare_how *how, const char *measure,
                          const char *kernel, double length, att_compare_cell *out)
{
    bases b = {0};
    bool good = find_bases(result, how, &b);

    for (size_t i = 0; i < result->n_records && good; i++) {
        const att_record *r = &result->records[i];
        if (!is_own(how, r) || strcmp(r->measure, measure) != 0 || strcmp(r->kernel, kernel) != 0 ||
            !(isnan(length) || att_record_length(r) == length))
            continue;
        const att_record *base = base_of(&b, r);
        if (!base || !pairs(&b, base, r))
            continue;
        for (size_t k = 0; k < r->n_items; k++) {
            out->base_hits += base->items[k].hit != 0;
            out->own_hits += r->items[k].hit != 0;
        }
        good = att_paired_add(&out->paired, base->items, r->items, r->n_items);
    }
    free(b.cells);
    return good ? ATT_OK : ATT_NO_MEMORY;
}
