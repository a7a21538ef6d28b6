/* SPDX-License-Identifier: Apache-2.0 */
/* plots/: the pictures of a run, each with its data and script. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/writer.h"
#include "reports/escape.h"
#include "reports/picture.h"

extern const att_writer att_writer_plots;

/* The file name of a picture: no two of one run are equal. */
static void put_stem(att_easel *easel, const char *name, att_buf *stem)
{
    att_buf line = {0};

    if (easel->stems.length == 0)
        att_buf_puts(&easel->stems, "\n");
    for (int turn = 1; !line.failed && !easel->stems.failed; turn++) {
        stem->length = line.length = 0;
        att_slug_put(stem, name);
        if (turn > 1)
            att_buf_printf(stem, "-%d", turn);
        att_buf_printf(&line, "\n%s\n", stem->failed ? "" : stem->data);
        if (!line.failed && !strstr(easel->stems.data, line.data))
            break;
    }
    att_buf_puts(&easel->stems, line.failed ? "" : line.data + 1);
    stem->failed |= line.failed || easel->stems.failed;
    att_buf_drop(&line);
}

att_status att_easel_draw(att_easel *easel, att_plot *plot, const char *name, att_why *why)
{
    att_buf stem = {0};
    att_status status = ATT_NO_MEMORY;

    put_stem(easel, name, &stem);
    plot->stem = stem.data;
    if (!stem.failed)
        status = att_plot_draw(plot, easel->dir, !easel->no_gnuplot, why);
    if (status == ATT_UNSUPPORTED) {
        easel->no_gnuplot = true;
        easel->missing = why ? *why : (att_why){"gnuplot is not installed"};
        status = ATT_OK;
    }
    att_plot_drop(plot);
    att_buf_drop(&stem);
    return status;
}

static att_status (*const pictures[])(att_easel *, const att_result *, const att_sheet *,
                                      att_why *) = {att_picture_heatmaps, att_picture_pareto,
                                                    att_picture_ratios, att_picture_recall,
                                                    att_picture_offsets};

/* UNSUPPORTED where gnuplot is missing: everything else is written. */
static att_status write_plots(const att_result *result, const char *dir, att_why *why)
{
    att_buf path = {0};
    att_sheet sheet = {0};
    att_easel easel = {0};
    att_status status = ATT_NO_MEMORY;

    att_buf_printf(&path, "%s/%s", dir, att_writer_plots.file);
    if (path.failed)
        goto done;
    easel.dir = path.data;
    if (mkdir(path.data, 0777) != 0 && errno != EEXIST) {
        status = ATT_IO;
        att_why_set(why, "%s: %s", path.data, strerror(errno));
        goto done;
    }
    status = att_sheet_make(result, &sheet, why);
    for (size_t i = 0; status == ATT_OK && i < sizeof pictures / sizeof *pictures; i++)
        status = pictures[i](&easel, result, &sheet, why);
    if (status == ATT_OK && easel.no_gnuplot) {
        status = ATT_UNSUPPORTED;
        att_why_set(why, "%s", easel.missing.text);
    }
done:
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "%s/%s: out of memory", dir, att_writer_plots.file);
    att_sheet_drop(&sheet);
    att_buf_drop(&easel.stems);
    att_buf_drop(&path);
    return status;
}

const att_writer att_writer_plots = {.name = "plots", .file = "plots", .write = write_plots};
