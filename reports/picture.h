/* SPDX-License-Identifier: Apache-2.0 */
/* The pictures of a result, one file a kind; each draws as many as the result has subjects for. */
#ifndef ATT_PICTURE_H
#define ATT_PICTURE_H

#include "reports/plot.h"
#include "reports/sheet.h"

/* Where pictures go.  Without gnuplot the first picture says so in `missing`, and the others write
 * their data and scripts only. */
typedef struct att_easel {
    const char *dir;
    bool no_gnuplot;
    att_why missing;
    att_buf stems; /* those in use, a line each */
} att_easel;

/* Draws under a file name made from `name` (another one where two names come out alike), then
 * att_plot_drop; a missing gnuplot is noted and is no error. */
att_status att_easel_draw(att_easel *easel, att_plot *plot, const char *name, att_why *why);

#define ATT_MOST_DEPTHS 10

/* Bin i holds the depths in [from[i], from[i + 1]); the last end is INFINITY. */
typedef struct att_depths {
    double from[ATT_MOST_DEPTHS + 1];
    size_t n;
    bool exact; /* each bin is one depth; else fifths */
} att_depths;

/* n = 0 where no item has a depth. */
att_depths att_depths_find(const att_task *task);
/* Whether depth x length is worth a picture: a needle, dense itself or hits that differ from its.
 */
bool att_heatmap_shown(const att_task *task, const char *kernel);

/* Depth x length: one picture a needle task and kernel that differs from dense. */
att_status att_picture_heatmaps(att_easel *easel, const att_result *result, const att_sheet *sheet,
                                att_why *why);
/* Quality against the share of keys really read: one picture a task that recorded that cost. */
att_status att_picture_pareto(att_easel *easel, const att_result *result, const att_sheet *sheet,
                              att_why *why);
/* Error over bound: one picture a numeric measure, one ridge a kernel. */
att_status att_picture_ratios(att_easel *easel, const att_result *result, const att_sheet *sheet,
                              att_why *why);
/* Recall against distance with its closed form: one picture a task that asks for one fact by place.
 */
att_status att_picture_recall(att_easel *easel, const att_result *result, const att_sheet *sheet,
                              att_why *why);
/* How far citations miss the right document, dense beside those that drift most. */
att_status att_picture_offsets(att_easel *easel, const att_result *result, const att_sheet *sheet,
                               att_why *why);

#endif
