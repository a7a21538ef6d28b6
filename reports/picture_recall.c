/* SPDX-License-Identifier: Apache-2.0 */
/* Recall against distance: the share of facts found, by how far they lie behind the query, beside
 * what the closed form says of the very same items; one panel a kernel whose form shows it some of
 * them.  Distances are pooled by octaves over all lengths and seeds.  Where an item is called
 * unexplained the form said the opposite of what was measured; else it said the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "reports/escape.h"
#include "reports/picture.h"

ATT_PLOT_SCRIPT(recall)

#define MOST_PANELS 6
#define OCTAVES     24

/* Tasks that ask for one fact by its place; `at` of their items is its depth, or its distance. */
static const struct {
    const char *measure;
    bool is_distance;
} tasks[] = {{"probe.needle", false}, {"probe.mqar", true}};

typedef struct bin {
    int64_t n, hits, expected;
    double distance; /* sum of logarithms */
} bin;

/* "unexplained" and "guessed" say so at the end of a note. */
static bool contradicts_form(const char *note)
{
    return note && (strstr(note, "unexplained") || strstr(note, "guessed"));
}

static void add_items(const att_record *r, bool is_distance, bin *bins)
{
    const double length = att_record_length(r);

    for (size_t i = 0; i < r->n_items; i++) {
        const att_item *item = &r->items[i];
        const bool wrong = contradicts_form(item->note);
        const double distance =
            fmax(1, is_distance ? item->at * length : (1 - item->at) * length - 1);
        const double octave = log2(distance + 0.5);
        if (!(octave >= 0 && octave < OCTAVES))
            continue;
        bin *b = &bins[(int)octave];
        b->n++;
        b->hits += item->hit != 0;
        b->expected += (item->hit != 0) != wrong;
        b->distance += log2(distance);
    }
}

/* Whether the closed form of some record shows the kernel some of its items, and not all. */
static bool is_partly_seen(const att_task *task, const char *kernel)
{
    for (size_t i = 0; i < task->n_records; i++) {
        const att_metric *m = att_record_metric(task->records[i], "accuracy_predicted");
        if (strcmp(task->records[i]->kernel, kernel) == 0 && m && m->value > 0 && m->value < 1)
            return true;
    }
    return false;
}

static void put_panel(att_buf *table, const att_task *task, const char *kernel, bool is_distance,
                      size_t panel)
{
    bin bins[OCTAVES] = {{0}};

    for (size_t i = 0; i < task->n_records; i++)
        if (strcmp(task->records[i]->kernel, kernel) == 0 &&
            att_record_metric(task->records[i], "accuracy_predicted"))
            add_items(task->records[i], is_distance, bins);
    for (int o = 0; o < OCTAVES; o++) {
        const bin *b = &bins[o];
        if (b->n == 0)
            continue;
        const att_interval ci = att_wilson((double)b->hits, (double)b->n, ATT_SHEET_CONFIDENCE);
        att_buf_printf(table, "%zu\t", panel);
        att_tsv_put(table, kernel);
        att_buf_printf(table, "\t%.6g\t%lld\t%.6g\t%.6g\t%.6g\t%.6g\n",
                       exp2(b->distance / (double)b->n), (long long)b->n,
                       (double)b->hits / (double)b->n, ci.lo, ci.hi,
                       (double)b->expected / (double)b->n);
    }
}

static att_status draw(att_easel *easel, const att_task *task, bool is_distance, att_why *why)
{
    att_buf text = {0};
    att_status status = ATT_OK;
    size_t panels = 0;
    att_plot plot = {.script = _binary_reports_plots_recall_gp_start,
                     .script_end = _binary_reports_plots_recall_gp_end,
                     .width = 820};

    att_buf_puts(&plot.table, "panel\tkernel\tdistance\tn\tshare\tlo\thi\tpredicted\n");
    for (size_t k = 0; k < task->n_kernels && panels < MOST_PANELS; k++) {
        if (!is_partly_seen(task, task->kernels[k]))
            continue;
        put_panel(&plot.table, task, task->kernels[k], is_distance, ++panels);
        text.length = 0;
        att_buf_printf(&text, "kernel_%zu", panels);
        att_plot_name(&plot, text.data ? text.data : "", task->kernels[k]);
    }
    if (panels == 0)
        goto done;
    plot.height = 80 + 260 * (int)((panels + 1) / 2);
    text.length = 0;
    att_buf_printf(&text, "%s: recall against distance", task->name);
    att_plot_text(&plot, "title_text", text.data ? text.data : "");
    att_plot_real(&plot, "panels", (double)panels);
    att_plot_real(&plot, "height", plot.height);
    text.length = 0;
    att_buf_printf(&text, "recall-%s", task->name);
    status = text.failed ? ATT_NO_MEMORY : att_easel_draw(easel, &plot, text.data, why);
done:
    att_plot_drop(&plot);
    att_buf_drop(&text);
    return status;
}

att_status att_picture_recall(att_easel *easel, const att_result *result, const att_sheet *sheet,
                              att_why *why)
{
    att_status status = ATT_OK;

    (void)result;
    for (size_t i = 0; i < sheet->n_tasks; i++)
        for (size_t k = 0; status == ATT_OK && k < sizeof tasks / sizeof *tasks; k++)
            if (strcmp(sheet->tasks[i].measure, tasks[k].measure) == 0)
                status = draw(easel, &sheet->tasks[i], tasks[k].is_distance, why);
    return status;
}
