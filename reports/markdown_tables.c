/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of summary.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gate/compare.h"
#include "reports/escape.h"
#include "reports/markdown.h"
#include "reports/standing.h"

#define MOST_BYTES   (850u * 1024u)
#define MOST_SAMPLED 8u
#define MOST_HOLES   60u

/* Whether there is room for another block; says once what is left out. */
bool att_md_room(att_buf *out, const char *what)
{
    if (out->length < MOST_BYTES)
        return true;
    att_buf_printf(out, "\n%s are left out here: this file is full; see result.json.\n", what);
    return false;
}

static void put_real(att_buf *out, double x, const char *format)
{
    if (isnan(x))
        att_buf_puts(out, "-");
    else
        att_buf_printf(out, format, x);
}

/* ------------------------------------------------------------------------------ kernels */

static void put_standing(att_buf *out, const att_standing *s)
{
    const size_t *by = s->by_outcome;

    att_buf_puts(out, "| ");
    att_md_code(out, s->kernel, true);
    att_buf_printf(out, " | %s | %s%s%s | %zu | %zu | %zu | %zu | %zu | %zu |\n",
                   att_class_name(s->class_), s->bad ? "**" : "", s->word, s->bad ? "**" : "",
                   by[ATT_PASS], by[ATT_FAIL], by[ATT_ERROR] + by[ATT_CRASH] + by[ATT_TIMEOUT],
                   by[ATT_NOT_RUN] + by[ATT_INCONCLUSIVE], by[ATT_NO_POWER], by[ATT_HOLE]);
}

void att_md_kernels(att_buf *out, const att_result *result)
{
    size_t n = 0;
    att_standing *all = NULL;

    out->failed |= att_standings_make(result, &all, &n) != ATT_OK;
    if (n > 0)
        att_buf_puts(out,
                     "\n## Every kernel, by its own contract\n\n"
                     "*not judged*: it was measured, and nothing that it declares puts a limit "
                     "on what was measured.\n\n"
                     "| kernel | class | contract | pass | fail | crash, timeout, error | open "
                     "| no power | unsupported |\n|---|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (size_t k = 0; k < n && att_md_room(out, "further kernels"); k++)
        put_standing(out, &all[k]);
    free(all);
}

/* ------------------------------------------------------------------------------ numeric */

void att_md_numerics(att_buf *out, const att_sheet *sheet)
{
    if (sheet->n_numerics == 0)
        return;
    att_buf_puts(out,
                 "\n## Numbers: each kernel against the float64 oracle\n\n"
                 "The worst value of each measurement stands over its limit; at or below 1 the "
                 "contract holds. Unsupported is a hole in coverage, not a pass.\n\n"
                 "| measure | kernel | class | cases | pass | fail | lost | unsupported "
                 "| worst, over its limit |\n|---|---|---|---:|---:|---:|---:|---:|---|\n");
    for (size_t i = 0; i < sheet->n_numerics && att_md_room(out, "further kernels"); i++) {
        const att_numeric *row = &sheet->numerics[i];
        att_buf_puts(out, "| ");
        att_md_put(out, row->measure);
        att_buf_puts(out, " | ");
        att_md_code(out, row->kernel, true);
        att_buf_printf(out, " | %s | %zu | %zu | %zu | %zu | %zu |", att_class_name(row->class_),
                       row->records, row->by_outcome[ATT_PASS], row->by_outcome[ATT_FAIL],
                       row->by_outcome[ATT_ERROR] + row->by_outcome[ATT_CRASH] +
                           row->by_outcome[ATT_TIMEOUT] + row->by_outcome[ATT_NOT_RUN],
                       row->by_outcome[ATT_HOLE]);
        for (size_t k = 0; k < row->n_ratios; k++) {
            att_buf_puts(out, k ? ", " : " ");
            att_md_put(out, row->ratio[k]);
            att_buf_printf(out, " %.3g/%.3g", row->worst[k], row->limit[k]);
        }
        att_buf_puts(out, " |\n");
    }
}

/* ------------------------------------------------------------------------------- probes */

static void put_rate(att_buf *out, const att_rate *rate)
{
    const char *note = att_rate_note(rate);

    if (rate->n > 0)
        att_buf_printf(out, " %lld/%lld = %.0f %% [%.0f, %.0f]", (long long)rate->hits,
                       (long long)rate->n, 100 * rate->share, 100 * rate->lo, 100 * rate->hi);
    if (*note)
        att_buf_printf(out, rate->n > 0 ? " **%s**" : " %s", note);
    att_buf_puts(out, " |");
}

static const att_comparison *find_comparison(const att_result *result, const char *measure,
                                             const char *kernel)
{
    for (size_t i = 0; i < result->n_comparisons; i++)
        if (strcmp(result->comparisons[i].measure, measure) == 0 &&
            strcmp(result->comparisons[i].kernel, kernel) == 0)
            return &result->comparisons[i];
    return NULL;
}

static void put_task_row(att_buf *out, const att_result *result, const att_task *task,
                         const char *kernel)
{
    const att_comparison *c = find_comparison(result, task->measure, kernel);
    double share = att_task_metric(task, kernel, NAN, ATT_SHEET_COST);
    att_rate rate;

    att_buf_puts(out, "| ");
    att_md_code(out, kernel, true);
    att_buf_puts(out, " |");
    for (size_t i = 0; i < task->n_lengths; i++) {
        out->failed |= att_task_rate(task, kernel, task->lengths[i], -INFINITY, INFINITY, &rate);
        if (!out->failed)
            put_rate(out, &rate);
    }
    att_buf_puts(out, " ");
    put_real(out, 100 * share, "%.3g %%");
    att_buf_puts(out, " | ");
    if (c)
        att_md_put(out, c->verdict ? c->verdict : "-");
    else
        att_buf_puts(out, "-");
    att_buf_puts(out, " |\n");
}

/* The sampled metrics of a task, in order of appearance, accuracy left out: the table holds it. */
static size_t find_sampled(const att_task *task, const char **names)
{
    size_t n = 0;

    for (size_t i = 0; i < task->n_records; i++)
        for (size_t k = 0; k < task->records[i]->n_metrics; k++) {
            const att_metric *m = &task->records[i]->metrics[k];
            size_t seen = 0;
            while (seen < n && strcmp(names[seen], m->name) != 0)
                seen++;
            if (m->n > 0 && seen == n && n < MOST_SAMPLED && strcmp(m->name, "accuracy") != 0)
                names[n++] = m->name;
        }
    return n;
}

/* The mean of a metric over a kernel's records, each weighed by its n. */
static void put_sampled(att_buf *out, const att_task *task, const char *kernel, const char *name)
{
    double sum = 0;
    int64_t n = 0;

    for (size_t i = 0; i < task->n_records; i++) {
        const att_record *r = task->records[i];
        const att_metric *m = strcmp(r->kernel, kernel) == 0 ? att_record_metric(r, name) : NULL;
        if (m && m->n > 0) {
            sum += m->value * (double)m->n;
            n += m->n;
        }
    }
    if (n > 0)
        att_buf_printf(out, " %.3g (n = %lld) |", sum / (double)n, (long long)n);
    else
        att_buf_puts(out, " - |");
}

static void put_beside(att_buf *out, const att_task *task)
{
    const char *names[MOST_SAMPLED];
    size_t n = find_sampled(task, names);

    if (n == 0)
        return;
    att_buf_puts(out, "\nBeside it, over all lengths:\n\n| kernel |");
    for (size_t k = 0; k < n; k++) {
        att_buf_puts(out, " ");
        att_md_put(out, names[k]);
        att_buf_puts(out, " |");
    }
    att_buf_puts(out, "\n|---|");
    for (size_t k = 0; k < n; k++)
        att_buf_puts(out, "---:|");
    att_buf_puts(out, "\n");
    for (size_t i = 0; i < task->n_kernels; i++) {
        att_buf_puts(out, "| ");
        att_md_code(out, task->kernels[i], true);
        att_buf_puts(out, " |");
        for (size_t k = 0; k < n; k++)
            put_sampled(out, task, task->kernels[i], names[k]);
        att_buf_puts(out, "\n");
    }
}

static void put_task(att_buf *out, const att_result *result, const att_audit *audit,
                     const att_task *task)
{
    att_buf_puts(out, "\n### ");
    att_md_put(out, task->name);
    att_buf_puts(out, "\n\n");
    if (task->n_records > 0 && !isnan(task->records[0]->chance))
        att_buf_printf(out, "Chance: %.3g %%.\n\n", 100 * task->records[0]->chance);
    att_md_audit(out, audit, task->measure);
    att_buf_puts(out, "| kernel |");
    for (size_t i = 0; i < task->n_lengths; i++)
        if (isnan(task->lengths[i]))
            att_buf_puts(out, " items |");
        else
            att_buf_printf(out, " %g tokens |", task->lengths[i]);
    att_buf_puts(out, " keys read | against dense |\n|---|");
    for (size_t i = 0; i < task->n_lengths; i++)
        att_buf_puts(out, "---|");
    att_buf_puts(out, "---:|---|\n");
    for (size_t i = 0; i < task->n_kernels; i++)
        put_task_row(out, result, task, task->kernels[i]);
    put_beside(out, task);
}

void att_md_tasks(att_buf *out, const att_result *result, const att_sheet *sheet)
{
    att_audit audit = {0};

    if (sheet->n_tasks == 0)
        return;
    out->failed |= att_audit_make(result, ATT_AUDIT_GAP, &audit, NULL) != ATT_OK;
    att_buf_puts(out,
                 "\n## Probes: what each variant still finds\n\n"
                 "Each cell: hits/items = share [Wilson interval, 95 %, on the effective number of "
                 "items where several share a context]. *no power*: dense itself does not clear "
                 "chance there, so the cell says nothing. *keys read*: share of the causal keys "
                 "that the variant really reads. *against dense*: over all lengths, paired; the "
                 "test is below.\n");
    for (size_t i = 0; i < sheet->n_tasks && att_md_room(out, "further probes"); i++)
        put_task(out, result, &audit, &sheet->tasks[i]);
    att_audit_drop(&audit);
}

static void put_margin(att_buf *out, const att_comparison *c)
{
    if (!(c->margin > 0) || c->n == 0) {
        att_buf_puts(out, "-");
        return;
    }
    att_buf_printf(out, "%g: %s", c->margin,
                   c->inferior == 0  ? "holds"
                   : c->inferior > 0 ? "violated"
                                     : "inconclusive");
    if (c->inferior < 0 && c->needed > 0)
        att_buf_printf(out, ", needs n = %lld", (long long)c->needed);
}

void att_md_comparisons(att_buf *out, const att_result *result)
{
    if (result->n_comparisons == 0)
        return;
    att_buf_puts(
        out, "\n## Against dense, item by item\n\n"
             "The same items met both kernels. *won*, *lost*: items that only the variant, "
             "only dense, got right. Difference of accuracy with an interval over contexts "
             "(95 %). p: exact one-sided McNemar over contexts, of the side that the difference "
             "is on, Holm over the measures of a kernel; \"worse\" or \"better\" from 0.001 "
             "on, where the interval agrees. *scores*: their mean difference, with the p of a "
             "paired sign-flip test for lower ones. *detectable*: the smallest true loss that "
             "this n finds with probability 0.8; *needs N seeds*: so many would find a loss like "
             "the one seen. *margin*: of non-inferiority, where the kernel "
             "declares one. A difference is shown, and is no failure; contracts are what a "
             "kernel itself declares.\n\n"
             "| measure | kernel | n | won | lost | difference [95 %] | p (Holm) | scores (p) | "
             "detectable | margin | verdict |\n"
             "|---|---|---:|---:|---:|---|---:|---:|---:|---|---|\n");
    for (size_t i = 0; i < result->n_comparisons && att_md_room(out, "further comparisons"); i++) {
        const att_comparison *c = &result->comparisons[i];
        att_buf_puts(out, "| ");
        att_md_put(out, c->measure);
        att_buf_puts(out, " | ");
        att_md_code(out, c->kernel, true);
        att_buf_printf(out, " | %lld | %lld | %lld | ", (long long)c->n, (long long)c->wins,
                       (long long)c->losses);
        put_real(out, c->difference, "%+.3f");
        if (!isnan(c->difference))
            att_buf_printf(out, " [%+.3f, %+.3f]", c->lo, c->hi);
        att_buf_puts(out, " | ");
        put_real(out, att_compare_p(c), "%.2g");
        att_buf_puts(out, " | ");
        put_real(out, c->score_difference, "%+.3g");
        if (!isnan(c->score_p))
            att_buf_printf(out, " (%.2g)", c->score_p);
        att_buf_puts(out, " | ");
        put_real(out, c->detectable, "%.3f");
        att_buf_puts(out, " | ");
        put_margin(out, c);
        att_buf_puts(out, " | ");
        att_md_put(out, c->verdict ? c->verdict : "-");
        if (c->seeds_needed > 0)
            att_buf_printf(out, ", needs %lld seeds", (long long)c->seeds_needed);
        att_buf_puts(out, " |\n");
    }
}

/* -------------------------------------------------------------------------------- holes */

typedef struct hole {
    const char *measure, *kernel, *reason;
    size_t n;
} hole;

static int order_holes(const void *a, const void *b)
{
    const hole *x = a, *y = b;
    int c = strcmp(x->kernel, y->kernel);

    if (c == 0)
        c = strcmp(x->measure, y->measure);
    return c ? c : strcmp(x->reason, y->reason);
}

/* What was unsupported, each kernel's reasons counted. */
void att_md_holes(att_buf *out, const att_result *result)
{
    size_t n = 0, shown = 0;
    hole *holes = calloc(result->n_records + 1, sizeof *holes);

    out->failed |= !holes;
    for (size_t i = 0; holes && i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (r->status == ATT_HOLE)
            holes[n++] = (hole){r->measure, r->kernel, r->reason ? r->reason : "", 1};
    }
    if (n > 0) {
        qsort(holes, n, sizeof *holes, order_holes);
        att_buf_puts(out, "\n## What was not supported\n\n| kernel | measure | cases | reason |\n"
                          "|---|---|---:|---|\n");
    }
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && order_holes(&holes[i], &holes[next]) == 0; next++)
            holes[i].n++;
        if (shown++ == MOST_HOLES || !att_md_room(out, "further reasons")) {
            att_buf_puts(out, "\nand further reasons: see result.json.\n");
            break;
        }
        att_buf_puts(out, "| ");
        att_md_code(out, holes[i].kernel, true);
        att_buf_puts(out, " | ");
        att_md_put(out, holes[i].measure);
        att_buf_printf(out, " | %zu | ", holes[i].n);
        att_md_put(out, holes[i].reason);
        att_buf_puts(out, " |\n");
    }
    free(holes);
}
