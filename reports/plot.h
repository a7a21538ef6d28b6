/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures by gnuplot: each is <stem>.svg with its data <stem>.tsv and its script <stem>.gp beside
 * it, so that it can be redrawn (`gnuplot -d <stem>.gp` in that folder) and restyled by hand. */
#ifndef ATT_PLOT_H
#define ATT_PLOT_H

#include "attn.h"
#include "base/str.h"
#include "base/why.h"

/* The scripts of reports/plots, put into the program by the linker. */
#define ATT_PLOT_SCRIPT(name)                                                                      \
    extern const char _binary_reports_plots_##name##_gp_start[];                                   \
    extern const char _binary_reports_plots_##name##_gp_end[];

typedef struct att_plot {
    const char *stem;                /* from att_slug_put */
    const char *script, *script_end; /* what is drawn */
    int width, height;               /* pixels */
    att_buf settings;                /* variables the script reads, by att_plot_text and _real */
    att_buf table;                   /* tab-separated, first row the names of the columns */
} att_plot;

void att_plot_text(att_plot *plot, const char *name, const char *value);
/* A kernel's name, cut to what a legend can hold; returns its width in pixels, about. */
int att_plot_name(att_plot *plot, const char *name, const char *kernel);
void att_plot_real(att_plot *plot, const char *name, double value);
void att_plot_drop(att_plot *plot);

/* Writes the three files into dir.  UNSUPPORTED: gnuplot is not installed (the data and the script
 * are there); FAILED: what gnuplot said; IO: a file that can't be written.  `run` false: only the
 * data and the script. */
att_status att_plot_draw(const att_plot *plot, const char *dir, bool run, att_why *why);

#endif
