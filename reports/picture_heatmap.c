/* SPDX-License-Identifier: Apache-2.0 */
/* Depth x length: which facts a variant still finds.  A cell holds the items of one length whose
 * depth lies in one bin; cells without power are grey, and say so.  Depths are taken as they are
 * where a task has at most ten of them, else in fifths.  Drawn for needles, and where a
 * variant's hits differ from dense's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/verdict.h"
#include "reports/picture.h"

ATT_PLOT_SCRIPT(heatmap)

#define FIFTHS 5

/* Keeps `seen` ascending and distinct; false when an eleventh depth turns up. */
static bool add_depth(double *seen, size_t *n, double at)
{
    size_t i = 0;

    while (i < *n && seen[i] < at)
        i++;
    if (i < *n && seen[i] == at)
        return true;
    if (*n == ATT_MOST_DEPTHS)
        return false;
    for (size_t k = *n; k > i; k--)
        seen[k] = seen[k - 1];
    seen[i] = at;
    (*n)++;
    return true;
}

att_depths att_depths_find(const att_task *task)
{
    att_depths d = {.exact = true};

    for (size_t r = 0; r < task->n_records; r++)
        for (size_t i = 0; i < task->records[r]->n_items; i++)
            if (!isnan(task->records[r]->items[i].at) &&
                !add_depth(d.from, &d.n, task->records[r]->items[i].at)) {
                d.exact = false;
                d.n = FIFTHS;
                for (size_t k = 0; k < FIFTHS; k++)
                    d.from[k] = (double)k / FIFTHS;
                d.from[FIFTHS] = INFINITY;
                return d;
            }
    if (d.n > 0)
        d.from[d.n] = INFINITY;
    return d;
}

static void put_row(att_buf *table, const att_depths *d, size_t x, size_t y, double length,
                    const att_rate *rate)
{
    bool dark = rate->n == 0 || rate->by_outcome[ATT_NO_POWER] == rate->records;
    const char *note = rate->by_outcome[ATT_NO_POWER] > 0 ? "no power" : att_rate_note(rate);

    att_buf_printf(table, "%zu\t%zu\t", x + 1, y + 1);
    if (isnan(length))
        att_buf_puts(table, "all\t");
    else
        att_buf_printf(table, "%.0f\t", length);
    if (d->exact)
        att_buf_printf(table, "%.0f %%\t", 100 * d->from[y]);
    else
        att_buf_printf(table, "%.0f-%.0f %%\t", 100 * d->from[y],
                       y + 1 < d->n ? 100 * d->from[y + 1] : 100.0);
    if (dark)
        att_buf_printf(table, "-\t-\t-\t%lld\t%s\n", (long long)rate->n,
                       rate->n == 0 && !*note ? "no items" : note);
    else
        att_buf_printf(table, "%.6g\t%.6g\t%.6g\t%lld\t%lld/%lld\n", rate->share, rate->lo,
                       rate->hi, (long long)rate->n, (long long)rate->hits, (long long)rate->n);
}

static att_status draw(att_easel *easel, const att_task *task, const char *kernel,
                       const att_depths *d, att_why *why)
{
    att_buf name = {0};
    att_status status = ATT_OK;
    att_plot plot = {.script = _binary_reports_plots_heatmap_gp_start,
                     .script_end = _binary_reports_plots_heatmap_gp_end,
                     .width = 720,
                     .height = 140 + 60 * (int)d->n};

    att_buf_printf(&name, "heatmap-%s-%s", task->name, kernel);
    att_plot_text(&plot, "title_text", kernel);
    att_plot_text(&plot, "subtitle", task->name);
    att_plot_real(&plot, "columns", (double)task->n_lengths);
    att_plot_real(&plot, "rows", (double)d->n);
    att_plot_real(&plot, "height", plot.height);
    att_buf_puts(&plot.table, "x\ty\tlength\tdepth\tshare\tlo\thi\tn\tlabel\n");
    for (size_t x = 0; status == ATT_OK && x < task->n_lengths; x++)
        for (size_t y = 0; status == ATT_OK && y < d->n; y++) {
            att_rate rate;
            status =
                att_task_rate(task, kernel, task->lengths[x], d->from[y], d->from[y + 1], &rate);
            if (status == ATT_OK)
                put_row(&plot.table, d, x, y, task->lengths[x], &rate);
        }
    if (name.failed)
        status = ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = att_easel_draw(easel, &plot, name.data, why);
    else
        att_plot_drop(&plot);
    att_buf_drop(&name);
    return status;
}

/* Do a kernel's hits differ from dense's at some length?  Where dense is missing: yes. */
static bool differs(const att_task *task, const char *kernel)
{
    att_rate own, dense;

    if (strcmp(kernel, ATT_VERDICT_DENSE) == 0)
        return true;
    for (size_t x = 0; x < task->n_lengths; x++)
        if (att_task_rate(task, kernel, task->lengths[x], -(double)INFINITY, (double)INFINITY,
                          &own) != ATT_OK ||
            att_task_rate(task, ATT_VERDICT_DENSE, task->lengths[x], -(double)INFINITY,
                          (double)INFINITY, &dense) != ATT_OK ||
            dense.n == 0 || own.n != dense.n || own.hits != dense.hits)
            return true;
    return false;
}

/* Whether a measure asks for a fact at a depth, and nothing else: "lm.needle", "needle". */
static bool is_needle(const att_task *task)
{
    const char *dot = strchr(task->measure, '.');

    return strncmp(dot ? dot + 1 : task->measure, "needle", 6) == 0;
}

bool att_heatmap_shown(const att_task *task, const char *kernel)
{
    return is_needle(task) && differs(task, kernel);
}

att_status att_picture_heatmaps(att_easel *easel, const att_result *result, const att_sheet *sheet,
                                att_why *why)
{
    att_status status = ATT_OK;

    (void)result;
    for (size_t i = 0; status == ATT_OK && i < sheet->n_tasks; i++) {
        const att_task *task = &sheet->tasks[i];
        att_depths d = att_depths_find(task);
        for (size_t k = 0; status == ATT_OK && d.n > 0 && k < task->n_kernels; k++)
            if (att_heatmap_shown(task, task->kernels[k]))
                status = draw(easel, task, task->kernels[k], &d, why);
    }
    return status;
}
