/* SPDX-License-Identifier: Apache-2.0 */
/* Which crippled kernels a task of this run punished: what its scores are worth. */
#include <string.h>

#include "reports/escape.h"
#include "reports/markdown.h"

static bool seen_before(const att_audit *audit, const char *measure, size_t cell, size_t control)
{
    for (size_t i = 0; i <= cell; i++) {
        const att_audit_cell *c = &audit->cells[i];
        if (strcmp(c->measure, measure) != 0)
            continue;
        for (size_t k = 0; k < (i < cell ? c->n_controls : control); k++)
            if (strcmp(c->controls[k].kernel, audit->cells[cell].controls[control].kernel) == 0)
                return true;
    }
    return false;
}

/* Is the control punished in every cell of the measure where dense has power? */
static bool punished(const att_audit *audit, const char *measure, const char *control)
{
    for (size_t i = 0; i < audit->n; i++) {
        const att_audit_cell *c = &audit->cells[i];
        for (size_t k = 0; strcmp(c->measure, measure) == 0 && c->power && k < c->n_controls; k++)
            if (strcmp(c->controls[k].kernel, control) == 0 && !c->controls[k].punished)
                return false;
    }
    return true;
}

static void put_controls(att_buf *out, const att_audit *audit, const char *measure, bool which)
{
    size_t n = 0;

    for (size_t i = 0; i < audit->n; i++) {
        const att_audit_cell *c = &audit->cells[i];
        for (size_t k = 0; strcmp(c->measure, measure) == 0 && k < c->n_controls; k++) {
            const char *control = c->controls[k].kernel;
            if (seen_before(audit, measure, i, k) || punished(audit, measure, control) != which)
                continue;
            att_buf_puts(out, n++ ? ", " : " ");
            att_md_code(out, control, false);
        }
    }
    att_buf_puts(out, n ? "." : " none.");
}

void att_md_audit(att_buf *out, const att_audit *audit, const char *measure)
{
    switch (att_audit_sight(audit, measure)) {
    case ATT_SIGHT_UNKNOWN:
        att_buf_puts(out, "Not audited: no control met these items.\n\n");
        return;
    case ATT_SIGHT_BLIND:
        att_buf_puts(out,
                     "**Blind**: it punishes no crippled kernel, so its scores say nothing.\n\n");
        return;
    case ATT_SIGHT_NO_POWER:
        att_buf_puts(out, "**No power**: dense itself does not clear chance.\n\n");
        return;
    case ATT_SIGHT_SEES:
        att_buf_puts(out, "Punishes");
        put_controls(out, audit, measure, true);
        att_buf_puts(out, " Doesn't, at some length:");
        put_controls(out, audit, measure, false);
        att_buf_puts(out, "\n\n");
    }
}
