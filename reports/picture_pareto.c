/* SPDX-License-Identifier: Apache-2.0 */
/* Quality against cost: share of items found over the share of the causal keys really read, one
 * panel a context length.  The frontier joins the kernels that no other beats in both: sorted by
 * cost, those that find more than every cheaper one. */
#include <math.h>
#include <stdlib.h>

#include "reports/escape.h"
#include "reports/picture.h"

ATT_PLOT_SCRIPT(pareto)

#define MOST_PANELS  6
#define MOST_KERNELS 24

typedef struct spot {
    size_t k;
    double cost;
    att_rate rate;
} spot;

static int order_spots(const void *a, const void *b)
{
    const spot *x = a, *y = b;
    int c = (x->cost > y->cost) - (x->cost < y->cost);

    if (c == 0)
        c = (x->rate.share < y->rate.share) - (x->rate.share > y->rate.share);
    return c ? c : (x->k > y->k) - (x->k < y->k);
}

/* The kernels of one panel that have both a rate and a cost, cheapest first. */
static att_status find_spots(const att_task *task, double length, spot *spots, size_t *n)
{
    *n = 0;
    for (size_t k = 0; k < task->n_kernels && k < MOST_KERNELS; k++) {
        spot s = {.k = k + 1,
                  .cost = att_task_metric(task, task->kernels[k], length, ATT_SHEET_COST)};
        att_status status =
            att_task_rate(task, task->kernels[k], length, -INFINITY, INFINITY, &s.rate);
        if (status != ATT_OK)
            return status;
        if (s.rate.n > 0 && s.rate.by_outcome[ATT_NO_POWER] == 0 && s.cost > 0)
            spots[(*n)++] = s;
    }
    qsort(spots, *n, sizeof *spots, order_spots);
    return ATT_OK;
}

static void put_panel(att_buf *table, const att_task *task, size_t panel, const spot *spots,
                      size_t n)
{
    double best = 0; /* what finds nothing is on no frontier */

    for (size_t i = 0; i < n; i++) {
        att_buf_printf(table, "%zu\tpoint\t%zu\t", panel, spots[i].k);
        att_tsv_put(table, task->kernels[spots[i].k - 1]);
        att_buf_printf(table, "\t%.6g\t%.6g\t%.6g\t%.6g\n", spots[i].cost, spots[i].rate.share,
                       spots[i].rate.lo, spots[i].rate.hi);
    }
    for (size_t i = 0; i < n; i++) {
        const spot *s = &spots[i];
        if (!(s->rate.share > best))
            continue;
        if (best > 0) /* the corner of the step */
            att_buf_printf(table, "%zu\tfrontier\t-\t-\t%.6g\t%.6g\t-\t-\n", panel, s->cost, best);
        att_buf_printf(table, "%zu\tfrontier\t-\t-\t%.6g\t%.6g\t-\t-\n", panel, s->cost,
                       s->rate.share);
        best = s->rate.share;
    }
}

static void put_settings(att_plot *plot, const att_task *task, size_t panels, double low)
{
    att_buf title = {0}, name = {0};
    int widest = 80;
    size_t across = panels > 1 ? 2 : 1, kernels = task->n_kernels;

    att_buf_printf(&title, "%s: quality against cost", task->name);
    att_plot_text(plot, "title_text", title.data ? title.data : "");
    att_plot_real(plot, "panels", (double)panels);
    att_plot_real(plot, "across", (double)across);
    att_plot_real(plot, "down", (double)((panels + across - 1) / across));
    att_plot_real(plot, "low_cost", low * 0.8);
    kernels = kernels < MOST_KERNELS ? kernels : MOST_KERNELS;
    att_plot_real(plot, "kernels", (double)kernels);
    for (size_t k = 0; k < kernels; k++) {
        name.length = 0;
        att_buf_printf(&name, "kernel_%zu", k + 1);
        int width = att_plot_name(plot, name.data ? name.data : "", task->kernels[k]);
        widest = width > widest ? width : widest;
    }
    plot->width = (across > 1 ? 770 : 490) + 60 + widest;
    att_plot_real(plot, "width", plot->width);
    att_plot_real(plot, "height", plot->height);
    att_plot_real(plot, "legend", 60 + widest);
    plot->settings.failed |= title.failed || name.failed;
    att_buf_drop(&title);
    att_buf_drop(&name);
}

static void put_length(att_plot *plot, size_t panel, double length)
{
    if (isnan(length))
        att_buf_printf(&plot->settings, "length_%zu = 'all items'\n", panel);
    else
        att_buf_printf(&plot->settings, "length_%zu = '%.0f tokens'\n", panel, length);
}

static att_status draw(att_easel *easel, const att_task *task, att_why *why)
{
    spot spots[MOST_KERNELS];
    size_t n, panels = 0;
    double low = 1;
    att_status status = ATT_OK;
    att_buf name = {0};
    att_plot plot = {.script = _binary_reports_plots_pareto_gp_start,
                     .script_end = _binary_reports_plots_pareto_gp_end};

    att_buf_puts(&plot.table, "panel\tkind\tk\tkernel\tcost\tshare\tlo\thi\n");
    for (size_t i = 0; status == ATT_OK && i < task->n_lengths && panels < MOST_PANELS; i++) {
        status = find_spots(task, task->lengths[i], spots, &n);
        if (status != ATT_OK || n == 0)
            continue;
        put_panel(&plot.table, task, ++panels, spots, n);
        put_length(&plot, panels, task->lengths[i]);
        low = fmin(low, spots[0].cost);
    }
    if (status != ATT_OK || panels == 0)
        goto done;
    plot.height = 70 + 320 * (int)((panels + 1) / 2);
    put_settings(&plot, task, panels, low);
    att_buf_printf(&name, "pareto-%s", task->name);
    status = name.failed ? ATT_NO_MEMORY : att_easel_draw(easel, &plot, name.data, why);
done:
    att_plot_drop(&plot);
    att_buf_drop(&name);
    return status;
}

att_status att_picture_pareto(att_easel *easel, const att_result *result, const att_sheet *sheet,
                              att_why *why)
{
    att_status status = ATT_OK;

    (void)result;
    for (size_t i = 0; status == ATT_OK && i < sheet->n_tasks; i++)
        status = draw(easel, &sheet->tasks[i], why);
    return status;
}
