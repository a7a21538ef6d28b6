/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a comparison. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare_view.h"

#define LABEL 32 /* columns before the numbers */

static void put_label(const char *text)
{
    printf("%-*s", LABEL, text);
    if (strlen(text) >= LABEL)
        printf("\n%-*s", LABEL, "");
}

/* One column: a number, or why there is none. */
static void put_share(double x, const char *note)
{
    if (isnan(x))
        printf(" %9.9s", *note ? note : "-");
    else
        printf(" %9.3f", x);
}

static void put_amount(double x)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t u = 0;

    if (isnan(x)) {
        printf(" %9s", "-");
        return;
    }
    for (; fabs(x) >= 9999.5 && u + 1 < sizeof units / sizeof *units; u++)
        x /= 1000;
    printf(u ? " %8.4g%s" : " %9.4g%s", x, units[u]);
}

/* ------------------------------------------------------------------------- a task by length */

static void put_columns(const char *label, const att_view_row *row,
                        void (*put)(const att_view_cell *))
{
    put_label(label);
    put(&row->all);
    for (size_t i = 0; i < row->n_at; i++)
        put(&row->at[i]);
    putchar('\n');
}

static void put_base(const att_view_cell *c)
{
    put_share(c->base, c->note);
}

static void put_own(const att_view_cell *c)
{
    put_share(c->own, c->note);
}

static void put_difference(const att_view_cell *c)
{
    if (isnan(c->own))
        printf(" %9s", "-");
    else
        printf(" %+9.3f", c->own - c->base);
}

static void put_lower(const att_view_cell *c)
{
    isnan(c->lo) ? (void)printf(" %9s", "-") : (void)printf(" %+9.3f", c->lo);
}

static void put_upper(const att_view_cell *c)
{
    isnan(c->hi) ? (void)printf(" %9s", "-") : (void)printf(" %+9.3f", c->hi);
}

static void put_counts(const att_view_cell *c)
{
    char text[64];

    snprintf(text, sizeof text, "%" PRId64 "/%" PRId64 "/%" PRId64, c->wins, c->losses,
             c->n - c->wins - c->losses);
    printf(" %9s", c->n > 0 ? text : "-");
}

static void put_keys(const att_view_cell *c)
{
    if (isnan(c->length))
        printf(" %9s", "");
    else if (isnan(c->keys))
        printf(" %9s", "-");
    else
        printf(" %8.3g%%", 100 * c->keys);
}

static void put_margin(const att_comparison *c)
{
    printf("  not inferior by %g: %s", c->margin,
           c->inferior == 0  ? "holds"
           : c->inferior > 0 ? "violated"
                             : "inconclusive");
    if (c->inferior < 0 && c->needed > 0)
        printf(", needs %" PRId64 " items", c->needed);
    else if (c->inferior < 0)
        printf(c->difference > -c->margin ? ", needs more contexts"
                                          : ", which no number of items would show at this loss");
    putchar('\n');
}

static void put_tests(const att_view_row *row)
{
    const att_comparison *c = row->c;

    if (c->n == 0) {
        printf("  %s\n", c->verdict);
        return;
    }
    printf("  %s: p (Holm) %.2g", c->verdict, att_compare_p(c));
    if (!isnan(c->score_p))
        printf("; scores %+.3g, p %.2g", c->score_difference, c->score_p);
    if (isnan(c->detectable))
        printf("; no loss would be found");
    else
        printf("; a true loss of %.3f would be found", c->detectable);
    if (c->seeds_needed > 0)
        printf("; this one with %" PRId64 " seeds", c->seeds_needed);
    putchar('\n');
    if (c->margin > 0)
        put_margin(c);
    if (row->effective) {
        char text[96];
        att_effective_text(row->effective, text, sizeof text);
        printf("  effective length %s\n", text);
    }
}

static void put_head(const att_view *v, const att_view_row *row)
{
    char label[160];

    snprintf(label, sizeof label, "%s", row->c->measure);
    put_label(label);
    printf(" %9s", "all");
    for (size_t i = 0; i < row->n_at; i++)
        printf(" %9g", row->at[i].length);
    putchar('\n');
    put_columns(v->how.base ? v->how.base : "before", row, put_base);
}

static void put_row(const att_view *v, const att_view_row *row)
{
    put_columns(row->c->kernel, row, put_own);
    put_columns(v->how.base ? "  minus base" : "  minus before", row, put_difference);
    put_columns("    95 %, from", row, put_lower);
    put_columns("          to", row, put_upper);
    put_columns("  won/lost/tied", row, put_counts);
    put_columns("  keys read", row, put_keys);
    put_tests(row);
}

void att_view_print_blocks(const att_view *v)
{
    for (size_t i = 0; i < v->n_rows; i++) {
        const char *measure = v->rows[i].c->measure;
        bool done = false;
        for (size_t k = 0; k < i && !done; k++)
            done = strcmp(v->rows[k].c->measure, measure) == 0;
        if (done)
            continue;
        put_head(v, &v->rows[i]);
        for (size_t k = i; k < v->n_rows; k++)
            if (strcmp(v->rows[k].c->measure, measure) == 0) {
                if (k > i && !v->how.base) /* each kernel has a base of its own */
                    put_columns("before", &v->rows[k], put_base);
                put_row(v, &v->rows[k]);
            }
        putchar('\n');
    }
}

/* ---------------------------------------------------------------------------------- summary */

static void put_summary_row(const att_view_row *row)
{
    const att_comparison *c = row->c;
    char difference[64] = "-", counts[64] = "-", p[24] = "-", found[24] = "-", reach[40] = "-";

    if (c->n > 0) {
        snprintf(difference, sizeof difference, "%+.3f [%+.3f, %+.3f]", c->difference, c->lo,
                 c->hi);
        snprintf(counts, sizeof counts, "%" PRId64 "/%" PRId64 "/%" PRId64, c->wins, c->losses,
                 c->n - c->wins - c->losses);
        snprintf(p, sizeof p, "%.2g", att_compare_p(c));
        if (!isnan(c->detectable))
            snprintf(found, sizeof found, "%.3f", c->detectable);
    }
    if (row->effective && !isnan(row->effective->length))
        snprintf(reach, sizeof reach, "%g%s", row->effective->length,
                 isnan(row->effective->next) ? "+" : "");
    else if (row->effective)
        snprintf(reach, sizeof reach, "%s", att_effective_why(row->effective->end));
    printf("%-22s %-28s", c->measure, c->kernel);
    put_share(row->all.base, row->all.note);
    put_share(row->all.own, row->all.note);
    printf("  %-24s %13s %8s %7s %13s  %s", difference, counts, p, found, reach, c->verdict);
    if (c->seeds_needed > 0)
        printf(", needs %" PRId64 " seeds", c->seeds_needed);
    putchar('\n');
}

static void put_cost(const att_view *v, const att_view_cost *cost)
{
    printf("%-28s KV bytes a token", cost->kernel);
    put_amount(cost->kv_bytes_per_token);
    fputs("\n  keys a query reads           ", stdout);
    for (size_t i = 0; i < v->n_lengths; i++)
        put_amount(cost->at[i].keys);
    fputs("\n  FLOPs of a call for it       ", stdout);
    for (size_t i = 0; i < v->n_lengths; i++)
        put_amount(cost->at[i].flops);
    fputs("\n  bytes kept                   ", stdout);
    for (size_t i = 0; i < v->n_lengths; i++)
        put_amount(cost->at[i].state_bytes);
    putchar('\n');
}

void att_view_print_summary(const att_view *v)
{
    printf("%-22s %-28s %9s %9s  %-24s %13s %8s %7s %13s  %s\n", "task", "kernel",
           v->how.base ? "base" : "before", "own", "difference [95 %]", "won/lost/tied", "p (Holm)",
           "found", "effective len", "verdict");
    for (size_t i = 0; i < v->n_rows; i++)
        put_summary_row(&v->rows[i]);
    printf("base: %s.  p: exact one-sided McNemar over contexts, of the side that the difference "
           "is on,\nHolm over a kernel's tasks; worse or better from %g on.  found: the smallest "
           "true loss found with probability %g.\n"
           "needs N seeds: so many would find a loss like the one seen with that probability "
           "(--seeds N).\neffective len: the longest length that, with "
           "every shorter one, keeps %g of the accuracy at the shortest\n(lower bound); a recovery "
           "further out does not count.\n\n",
           v->how.base ? v->how.base : "each kernel before", ATT_COMPARE_LEVEL, ATT_COMPARE_POWER,
           ATT_EFFECTIVE_SHARE);
    if (v->n_lengths == 0)
        return;
    printf("%-31s", "cost, of one head of 64, after");
    for (size_t i = 0; i < v->n_lengths; i++)
        printf(" %9g", v->lengths[i]);
    putchar('\n');
    for (size_t i = 0; i < v->n_costs; i++)
        put_cost(v, &v->costs[i]);
}
