/* SPDX-License-Identifier: Apache-2.0 */
/* Where citations go: how many documents lie between the one cited and the right one, signed; dense
 * beside the kernels that drift most, a panel each.  Items whose note is not
 * "offset N" (and what the closed form says of it) cite nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/verdict.h"
#include "reports/escape.h"
#include "reports/picture.h"

ATT_PLOT_SCRIPT(offsets)

#define MEASURE     "probe.citation"
#define MOST_PANELS 6
#define REACH       5 /* offsets beyond count as this far */

typedef struct drift {
    const char *kernel;
    int64_t at[2 * REACH + 1], none, n, drifted;
    bool dense;
} drift;

/* Dense first, then who drifts most. */
static int order_drifts(const void *a, const void *b)
{
    const drift *x = a, *y = b;

    if (x->dense != y->dense)
        return x->dense ? -1 : 1;
    /* shares, without division by 0 */
    const int64_t left = x->drifted * (y->n ? y->n : 1), right = y->drifted * (x->n ? x->n : 1);
    return left != right ? (left > right ? -1 : 1) : strcmp(x->kernel, y->kernel);
}

static void add_item(drift *d, const att_item *item)
{
    static const char word[] = "offset ";
    long offset = 0;

    d->n++;
    if (!item->note || strncmp(item->note, word, sizeof word - 1) != 0) {
        d->none++;
        return;
    }
    offset = strtol(item->note + sizeof word - 1, NULL, 10);
    d->at[REACH + (offset < -REACH ? -REACH : offset > REACH ? REACH : offset)]++;
    d->drifted += offset != 0;
}

static drift drift_of(const att_task *task, const char *kernel)
{
    drift d = {.kernel = kernel, .dense = strcmp(kernel, ATT_VERDICT_DENSE) == 0};

    for (size_t i = 0; i < task->n_records; i++)
        if (strcmp(task->records[i]->kernel, kernel) == 0)
            for (size_t k = 0; k < task->records[i]->n_items; k++)
                add_item(&d, &task->records[i]->items[k]);
    return d;
}

static void put_panel(att_plot *plot, const drift *d, size_t panel)
{
    char name[32];

    for (int o = -REACH; o <= REACH; o++) {
        att_buf_printf(&plot->table, "%zu\t", panel);
        att_tsv_put(&plot->table, d->kernel);
        att_buf_printf(&plot->table, "\t%d\t%lld\t%.6g\n", o, (long long)d->at[REACH + o],
                       (double)d->at[REACH + o] / (double)d->n);
    }
    snprintf(name, sizeof name, "kernel_%zu", panel);
    att_plot_name(plot, name, d->kernel);
    snprintf(name, sizeof name, "none_%zu", panel);
    att_plot_real(plot, name, (double)d->none / (double)d->n);
}

static att_status draw(att_easel *easel, const att_task *task, att_why *why)
{
    att_buf text = {0};
    att_status status = ATT_OK;
    size_t panels = 0;
    drift *drifts = calloc(task->n_kernels + 1, sizeof *drifts);
    att_plot plot = {.script = _binary_reports_plots_offsets_gp_start,
                     .script_end = _binary_reports_plots_offsets_gp_end,
                     .width = 820};

    if (!drifts)
        return ATT_NO_MEMORY;
    for (size_t k = 0; k < task->n_kernels; k++)
        drifts[k] = drift_of(task, task->kernels[k]);
    qsort(drifts, task->n_kernels, sizeof *drifts, order_drifts);
    att_buf_puts(&plot.table, "panel\tkernel\toffset\tn\tshare\n");
    for (size_t k = 0; k < task->n_kernels && panels < MOST_PANELS; k++)
        if (drifts[k].n > 0 && (drifts[k].dense || drifts[k].drifted > 0))
            put_panel(&plot, &drifts[k], ++panels);
    if (panels == 0)
        goto done;
    plot.height = 80 + 240 * (int)((panels + 1) / 2);
    att_buf_printf(&text, "%s: documents between the one cited and the right one", task->name);
    att_plot_text(&plot, "title_text", text.data ? text.data : "");
    att_plot_real(&plot, "panels", (double)panels);
    att_plot_real(&plot, "height", plot.height);
    att_plot_real(&plot, "reach", REACH);
    text.length = 0;
    att_buf_printf(&text, "offsets-%s", task->name);
    status = text.failed ? ATT_NO_MEMORY : att_easel_draw(easel, &plot, text.data, why);
done:
    free(drifts);
    att_plot_drop(&plot);
    att_buf_drop(&text);
    return status;
}

att_status att_picture_offsets(att_easel *easel, const att_result *result, const att_sheet *sheet,
                               att_why *why)
{
    att_status status = ATT_OK;

    (void)result;
    for (size_t i = 0; status == ATT_OK && i < sheet->n_tasks; i++)
        if (strcmp(sheet->tasks[i].measure, MEASURE) == 0)
            status = draw(easel, &sheet->tasks[i], why);
    return status;
}
