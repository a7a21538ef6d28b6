/* SPDX-License-Identifier: Apache-2.0 */
/* The declared precision of each kernel beside the one that explains its errors (eval
 * "precision"). */
#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "reports/escape.h"
#include "reports/markdown.h"

#define A_BIT 1.0 /* slack worth a word */

static double value_of(const att_record *r, const char *name)
{
    const att_metric *m = att_record_metric(r, name);

    return m ? m->value : (double)NAN;
}

/* "f32, bf16, f32": sums, probabilities, result. */
static void put_triple(att_buf *out, const att_record *r, const char *which)
{
    static const char *const parts[] = {"acc", "prob", "out"};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s", parts[i], which);
        int32_t dtype = att_dtype_of_bits(value_of(r, name));
        att_buf_printf(out, "%s%s", i ? ", " : "", dtype < 0 ? "?" : att_dtype_name(dtype));
    }
}

static const char *says(const att_record *r)
{
    if (!(value_of(r, "unexplained") == 0))
        return "**errors beyond what it declares**";
    return value_of(r, "slack") >= A_BIT ? "declares more slack than it uses"
                                         : "uses what it declares";
}

void att_md_precision(att_buf *out, const att_result *result)
{
    size_t shown = 0;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        char dtype[16] = "-";
        if (strcmp(r->measure, "precision") != 0 || !att_record_metric(r, "acc_declared"))
            continue;
        if (shown++ == 0)
            att_buf_puts(out, "\n## Precision: declared, and what the errors show\n\n"
                              "Types of the sums, of the probabilities and of the result. *used*: "
                              "the triple of the least slack that explains the errors. *slack*: "
                              "how many bits of likely error the declaration allows beyond it.\n\n"
                              "| kernel | storage | declared | used | slack | |\n"
                              "|---|---|---|---|---:|---|\n");
        if (!att_md_room(out, "further kernels"))
            return;
        att_record_param(r, "dtype", dtype, sizeof dtype);
        att_buf_puts(out, "| ");
        att_md_code(out, r->kernel, true);
        att_buf_printf(out, " | %s | ", dtype);
        put_triple(out, r, "declared");
        att_buf_puts(out, " | ");
        put_triple(out, r, "used");
        double slack = value_of(r, "slack");
        if (isnan(slack))
            att_buf_puts(out, " | - | ");
        else
            att_buf_printf(out, " | %.1f | ", slack);
        att_buf_printf(out, "%s |\n", says(r));
    }
}
