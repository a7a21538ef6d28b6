/* SPDX-License-Identifier: Apache-2.0 */
/* Distribution of an error over its limit, a ridge a kernel: how near its contract each kernel
 * lives.  Bins are tenths of a decade, heights the square root of the count, so that a single case
 * beyond the bound can be seen.  Exact zeros and what lies below go to the leftmost bin, non-finite
 * values and what lies above to the rightmost. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/picture.h"

ATT_PLOT_SCRIPT(ratios)

#define METRIC       "sigma_ratio"
#define PER_DECADE   10
#define DECADES      7
#define BINS         (PER_DECADE * DECADES)
#define LOWEST       (-4) /* decades of the leftmost edge */
#define MOST_KERNELS 40

typedef struct ridge {
    const char *kernel;
    size_t bin[BINS], n;
    double worst; /* NAN is worst of all */
} ridge;

static size_t bin_of(double ratio)
{
    if (!(ratio < HUGE_VAL))
        return BINS - 1;
    double at = (log10(fmax(ratio, 1e-300)) - LOWEST) * PER_DECADE;
    return at < 0 ? 0 : at >= BINS ? BINS - 1 : (size_t)at;
}

static void add(ridge *r, double ratio)
{
    r->bin[bin_of(ratio)]++;
    r->worst = r->n == 0 ? ratio : isnan(ratio) || isnan(r->worst) ? NAN : fmax(r->worst, ratio);
    r->n++;
}

/* The ridges of one measure, in order of appearance. */
static size_t find_ridges(const att_result *result, const char *measure, ridge *ridges)
{
    size_t n = 0;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        const att_metric *metric = strcmp(r->measure, measure) == 0 ? att_record_metric(r, METRIC)
                                                                    : NULL;
        size_t k = 0;
        if (!metric)
            continue;
        while (k < n && strcmp(ridges[k].kernel, r->kernel) != 0)
            k++;
        if (k == MOST_KERNELS)
            continue;
        if (k == n)
            ridges[n++] = (ridge){.kernel = r->kernel};
        add(&ridges[k], metric->limit > 0 ? metric->value / metric->limit : metric->value);
    }
    return n;
}

/* Returns the width of its name. */
static int put_ridge(att_plot *plot, size_t k, const ridge *r)
{
    size_t top = 1;
    char name[32];

    for (size_t b = 0; b < BINS; b++)
        top = r->bin[b] > top ? r->bin[b] : top;
    for (size_t b = 0; b < BINS; b++)
        if (r->bin[b] > 0)
            att_buf_printf(&plot->table, "%zu\t%.6g\t%.4f\t%zu\t%s\n", k,
                           LOWEST + (double)b / PER_DECADE,
                           0.85 * sqrt((double)r->bin[b] / (double)top), r->bin[b],
                           b >= -LOWEST * PER_DECADE ? "beyond" : "within");
    att_buf_printf(&plot->settings, "count_%zu = %zu\nworst_%zu = '%.3g'\n", k, r->n, k, r->worst);
    snprintf(name, sizeof name, "kernel_%zu", k);
    return att_plot_name(plot, name, r->kernel);
}

static att_status draw(att_easel *easel, const char *measure, const ridge *ridges, size_t n,
                       att_why *why)
{
    att_buf text = {0}, name = {0};
    att_status status;
    att_plot plot = {.script = _binary_reports_plots_ratios_gp_start,
                     .script_end = _binary_reports_plots_ratios_gp_end,
                     .height = 140 + 46 * (int)n};
    int widest = 80;
    size_t last = -LOWEST * PER_DECADE + PER_DECADE / 2;

    att_buf_puts(&plot.table, "k\tx\theight\tcount\tside\n");
    for (size_t k = 0; k < n; k++) {
        int width = put_ridge(&plot, k + 1, &ridges[k]);
        widest = width > widest ? width : widest;
        for (size_t b = last; b < BINS; b++)
            last = ridges[k].bin[b] > 0 ? b + 1 : last;
    }
    att_buf_printf(&text, "%s: error over its limit", measure);
    att_plot_text(&plot, "title_text", text.data ? text.data : "");
    att_plot_text(&plot, "subtitle",
                  METRIC " over its limit, one observation a case; heights are square roots");
    att_plot_real(&plot, "kernels", (double)n);
    plot.width = 680 + widest;
    att_plot_real(&plot, "width", plot.width);
    att_plot_real(&plot, "height", plot.height);
    att_plot_real(&plot, "left", widest + 20);
    att_plot_real(&plot, "low", LOWEST);
    att_plot_real(&plot, "high", LOWEST + (double)last / PER_DECADE);
    att_plot_real(&plot, "step", 1.0 / PER_DECADE);
    att_buf_printf(&name, "ratios-%s", measure);
    if (text.failed || name.failed) {
        att_plot_drop(&plot);
        status = ATT_NO_MEMORY;
    } else {
        status = att_easel_draw(easel, &plot, name.data, why);
    }
    att_buf_drop(&text);
    att_buf_drop(&name);
    return status;
}

att_status att_picture_ratios(att_easel *easel, const att_result *result, const att_sheet *sheet,
                              att_why *why)
{
    att_status status = ATT_OK;
    ridge *ridges = calloc(MOST_KERNELS, sizeof *ridges);

    if (!ridges)
        return ATT_NO_MEMORY;
    for (size_t i = 0; status == ATT_OK && i < sheet->n_numerics; i++) {
        const char *measure = sheet->numerics[i].measure;
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen |= strcmp(sheet->numerics[k].measure, measure) == 0;
        size_t n = seen ? 0 : find_ridges(result, measure, ridges);
        if (n > 0)
            status = draw(easel, measure, ridges, n, why);
    }
    free(ridges);
    return status;
}
