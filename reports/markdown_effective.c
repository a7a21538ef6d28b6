/* SPDX-License-Identifier: Apache-2.0 */
/* Effective lengths: a row a variant, a column a task. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/verdict.h"
#include "gate/effective.h"
#include "reports/escape.h"
#include "reports/markdown.h"

typedef struct names {
    const char **at;
    size_t n;
} names;

static void add_name(names *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], name) == 0)
            return;
    list->at[list->n++] = name;
}

static void put_cell(att_buf *out, const att_effective *e)
{
    char text[96];

    if (!e) {
        att_buf_puts(out, " - |");
        return;
    }
    if (e->end == ATT_ENDS_LOSS && !isnan(e->length))
        att_buf_printf(out, " %g |", e->length);
    else {
        att_effective_text(e, text, sizeof text);
        att_buf_printf(out, " %s |", text);
    }
}

static void put_row(att_buf *out, const att_effective *rows, size_t n, const char *kernel,
                    const names *tasks)
{
    att_buf_puts(out, "| ");
    att_md_code(out, kernel, true);
    att_buf_puts(out, " |");
    for (size_t t = 0; t < tasks->n; t++) {
        const att_effective *found = NULL;
        for (size_t i = 0; i < n && !found; i++)
            if (strcmp(rows[i].kernel, kernel) == 0 && strcmp(rows[i].measure, tasks->at[t]) == 0)
                found = &rows[i];
        put_cell(out, found);
    }
    att_buf_puts(out, "\n");
}

static void put_head(att_buf *out, const names *tasks)
{
    att_buf_printf(
        out,
        "\n## Effective length\n\n"
        "The longest context at which a variant still has %g %% of its own accuracy at "
        "the shortest one measured, by the lower bound of the interval (95 %%, contexts "
        "counted), there and at every shorter length: a recovery further out does not "
        "count. In brackets where it is not a loss that ends it: *no power*, dense itself "
        "does not clear its share (or chance) there; *too few items* to tell; *at "
        "chance* on the shortest; *not answered*.\n\n| kernel |",
        100 * ATT_EFFECTIVE_SHARE);
    for (size_t t = 0; t < tasks->n; t++) {
        att_buf_puts(out, " ");
        att_md_put(out, tasks->at[t]);
        att_buf_puts(out, " |");
    }
    att_buf_puts(out, "\n|---|");
    for (size_t t = 0; t < tasks->n; t++)
        att_buf_puts(out, "---:|");
    att_buf_puts(out, "\n");
}

void att_md_effective(att_buf *out, const att_result *result)
{
    att_effective *rows = NULL;
    size_t n = 0;
    att_status status = att_effective_find(result, ATT_VERDICT_DENSE, &rows, &n);
    names kernels = {calloc(n + 1, sizeof *kernels.at), 0};
    names tasks = {calloc(n + 1, sizeof *tasks.at), 0};

    out->failed |= status != ATT_OK || !kernels.at || !tasks.at;
    for (size_t i = 0; i < n && !out->failed; i++) {
        add_name(&kernels, rows[i].kernel);
        add_name(&tasks, rows[i].measure);
    }
    if (tasks.n > 0)
        put_head(out, &tasks);
    for (size_t k = 0; k < kernels.n && att_md_room(out, "further kernels"); k++)
        put_row(out, rows, n, kernels.at[k], &tasks);
    free(kernels.at);
    free(tasks.at);
    free(rows);
}
