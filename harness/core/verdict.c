/* SPDX-License-Identifier: Apache-2.0 */
/* Fail-closed: a limit holds only where its comparison is true, so a NaN never passes. */
#include "verdict.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/exit.h"

static const att_metric_spec *spec_of(const att_eval *eval, const char *name)
{
    for (const att_metric_spec *s = eval->metrics; s && s->name && name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* The record ends as `status`; `because` stands before what the eval said itself. */
static void end_as(att_record *r, att_outcome status, att_buf *because)
{
    if (r->reason && *r->reason)
        att_buf_printf(because, "; %s", r->reason);
    r->status = status;
    free(r->reason);
    r->reason = because->failed ? NULL : because->data;
    if (because->failed)
        free(because->data);
}

/* How far a value lies beyond its limit, in limits; a limit of 0 is a count of things that must not
 * be. */
static double excess(const att_metric *m)
{
    if (isnan(m->value))
        return INFINITY;
    return fabs(m->value - m->limit) / fmax(fabs(m->limit), DBL_MIN);
}

static bool holds(const att_metric *m, double limit)
{
    return m->better == ATT_LOWER    ? m->value <= limit
           : m->better == ATT_HIGHER ? m->value >= limit
                                     : false;
}

/* Whether the metric's limit binds a kernel of the record's class. */
static bool binds(const att_metric_spec *spec, const att_record *r)
{
    return spec && !isnan(spec->limit) && (spec->binds & (1u << r->class_));
}

bool att_verdict_holds(const att_eval *eval, const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric_spec *spec = spec_of(eval, r->metrics[i].name);
        if (binds(spec, r) && !holds(&r->metrics[i], spec->limit))
            return false;
    }
    return true;
}

void att_verdict_case(const att_eval *eval, att_record *r)
{
    const att_metric *worst = NULL;
    size_t violated = 0;
    att_buf because = {0};

    if (r->class_ < ATT_EXACT || r->class_ > ATT_OWN) {
        att_buf_printf(&because, "the kernel's class %d is unknown", (int)r->class_);
        end_as(r, ATT_ERROR, &because);
        return;
    }
    for (size_t i = 0; i < r->n_metrics; i++) {
        att_metric *m = &r->metrics[i];
        const att_metric_spec *spec = spec_of(eval, m->name);
        if (!spec && r->status == ATT_PASS && !(m->name && strcmp(m->name, "chance") == 0)) {
            att_buf_printf(&because, "metric %s is not in the table of %s", m->name ? m->name : "?",
                           eval->name);
            end_as(r, ATT_ERROR, &because);
            return;
        }
        if (!binds(spec, r))
            continue;
        m->limit = spec->limit;
        m->verdict = holds(m, m->limit);
        if (m->verdict)
            continue;
        violated++;
        if (!worst || excess(m) > excess(worst))
            worst = m;
    }
    if (r->status != ATT_PASS)
        return;
    if (r->n_metrics == 0 && r->n_items == 0) {
        att_buf_puts(&because, "nothing was measured");
        end_as(r, ATT_ERROR, &because);
    } else if (worst) {
        att_buf_printf(&because, "%s = %.6g, limit %.6g", worst->name, worst->value, worst->limit);
        if (violated > 1)
            att_buf_printf(&because, " (and %zu more)", violated - 1);
        end_as(r, ATT_FAIL, &because);
    }
}

int att_verdict_exit(const att_result *result, int signal)
{
    bool decided = false; /* a contract held or was broken */
    int code = ATT_EXIT_PASS;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        bool broken = r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT;
        decided |= broken || r->status == ATT_PASS;
        if (broken)
            code = att_exit_worse(code, ATT_EXIT_FAIL);
        else if (r->status == ATT_ERROR || (r->status == ATT_NOT_RUN && r->required))
            code = att_exit_worse(code, ATT_EXIT_INCOMPLETE);
        else if (r->status == ATT_INCONCLUSIVE && r->required)
            code = att_exit_worse(code, ATT_EXIT_INCONCLUSIVE);
    }
    if (!decided)
        code = att_exit_worse(code, ATT_EXIT_NOTHING);
    bool interrupted = signal || (result->status && strcmp(result->status, "interrupted") == 0);
    if (interrupted)
        code = att_exit_worse(code, signal == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT);
    else if (result->status && strcmp(result->status, "complete") != 0)
        code = att_exit_worse(code, ATT_EXIT_INCOMPLETE);
    return code;
}
