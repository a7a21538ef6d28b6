/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 1 to 3 of the gate, for one seed of one case. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/gate_own.h"

/* ------------------------------------------------------------- 1 integrity and 2 contracts */

/* The metric that is furthest beyond its limit; NULL = none is. */
static const att_metric *worst_metric(const att_record *r)
{
    const att_metric *worst = NULL;
    double most = -1;

    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        double beyond = fabs(m->value - m->limit) / fmax(fabs(m->limit), 1e-300);
        if (m->verdict == 0 && (isnan(beyond) || beyond > most)) {
            worst = m;
            most = isnan(beyond) ? INFINITY : beyond;
        }
    }
    return worst;
}

static double baseline_of(const att_baseline_run *was, const char *metric)
{
    const att_metric *m = was ? att_record_metric(&was->record, metric) : NULL;

    return m ? m->value : NAN;
}

static bool find_contract(att_gate_walk *w, const att_record *r, const att_baseline_run *was)
{
    const att_metric *m = worst_metric(r);
    const bool nonfinite = m && (!isfinite(m->value) || strcmp(m->name, "nonfinite") == 0);
    att_finding *f = att_gate_find(w->g, nonfinite ? ATT_GATE_NONFINITE : ATT_GATE_CONTRACT, r);

    if (!f)
        return false;
    f->cause = att_gate_text(w->g, "%s %.*s %s", r->kernel, (int)strcspn(r->measure, "."),
                             r->measure,
                             m           ? m->name
                             : r->reason ? r->reason
                                         : "");
    f->text = r->reason ? r->reason : "";
    if (m) {
        f->metric = m->name;
        f->value = m->value;
        f->limit = m->limit;
        f->baseline = baseline_of(was, m->name);
        f->n = m->n;
        f->lo = m->lo;
        f->hi = m->hi;
    }
    return true;
}

bool att_gate_find_plain(att_gate_walk *w, att_gate_kind kind, const att_record *r,
                         const char *text)
{
    att_finding *f = att_gate_find(w->g, kind, r);

    if (!f)
        return false;
    f->text = text ? text : "";
    f->cause = att_gate_text(w->g, "%s %.80s", r->kernel, kind == ATT_GATE_TIMEOUT ? "" : f->text);
    return true;
}

/* A number that is not judged, yet was one before: a NaN is looked at before anything else. */
static const att_metric *lost_number(const att_record *r, const att_baseline_run *was)
{
    for (size_t i = 0; i < r->n_metrics; i++)
        if (isnan(r->metrics[i].value) &&
            (r->metrics[i].verdict >= 0 || !isnan(baseline_of(was, r->metrics[i].name))))
            return &r->metrics[i];
    return NULL;
}

/* -------------------------------------------------------- a seed that both sides have, or one */

bool att_gate_was_good(att_outcome status)
{
    return status == ATT_PASS || status == ATT_INCONCLUSIVE;
}

bool att_gate_look_at(att_gate_walk *w, const att_record *r, const att_baseline_run *was)
{
    const att_metric *nan = lost_number(r, was);
    char text[200];

    switch (r->status) {
    case ATT_FAIL:
        return find_contract(w, r, was);
    case ATT_CRASH:
        return att_gate_find_plain(w, ATT_GATE_CRASH, r, r->reason);
    case ATT_TIMEOUT:
        return att_gate_find_plain(w, ATT_GATE_TIMEOUT, r, r->reason);
    case ATT_ERROR:
    case ATT_NOT_RUN:
        return att_gate_find_plain(w, ATT_GATE_ERROR, r, r->reason ? r->reason : "not run");
    case ATT_HOLE:
    case ATT_NO_POWER:
        if (!was || !att_gate_was_good(was->record.status))
            return true;
        snprintf(text, sizeof text, "%s before, %s now%s%s", att_outcome_name(was->record.status),
                 att_outcome_name(r->status), r->reason ? ": " : "", r->reason ? r->reason : "");
        return att_gate_find_plain(w, ATT_GATE_LOST, r, att_gate_text(w->g, "%s", text));
    case ATT_INCONCLUSIVE:
        return att_gate_inconclusive(w->ask, r, r->reason, w->g);
    default:
        w->g->gained += was && !att_gate_was_good(was->record.status);
        if (nan) {
            snprintf(text, sizeof text, "%s is no number", nan->name);
            return att_gate_find_plain(w, ATT_GATE_NONFINITE, r, att_gate_text(w->g, "%s", text));
        }
        return true;
    }
}

/* -------------------------------------------------------------------- 3 nothing is different */

static bool same_items(const att_record *a, const att_record *b)
{
    for (size_t i = 0; i < a->n_items; i++)
        if ((a->items[i].hit != 0) != (b->items[i].hit != 0))
            return false;
    return a->n_items == b->n_items;
}

/* How much worse than the baseline the judged metric is, in its tolerance's unit. */
static double worse_by(const att_metric *is, const att_metric *was)
{
    const double step = is->better == ATT_LOWER ? is->value - was->value : was->value - is->value;

    if (is->value == was->value || is->better == ATT_NEITHER)
        return 0;
    return is->limit == 0 ? step : step / fabs(is->limit);
}

static bool judge_drift(att_gate_walk *w, const att_record *r, const att_baseline_run *was,
                        const att_baseline_case *c)
{
    for (size_t i = 0; i < was->record.n_metrics; i++) {
        const att_metric *old = &was->record.metrics[i], *m = att_record_metric(r, old->name);
        const att_policy_rule *rule =
            att_policy_rule_for(&w->ask->policy->tolerances, r->id, old->name);
        const double allowed = !isnan(c->tolerance) ? c->tolerance : rule ? rule->value : INFINITY;
        if (m && m->verdict >= 0 && worse_by(m, old) <= allowed)
            continue;
        att_finding *f = att_gate_find(w->g, ATT_GATE_DRIFT, r);
        if (!f)
            return false;
        f->metric = old->name;
        f->baseline = old->value;
        f->value = m ? m->value : NAN;
        f->limit = m ? m->limit : NAN;
        f->cause = att_gate_text(w->g, "%s %s %s", r->kernel, r->measure, old->name);
        f->text = !m ? "it is not measured any more"
                  : m->verdict < 0
                      ? "it is not judged any more"
                      : att_gate_text(w->g, "worse by more than %g of its limit", allowed);
    }
    return true;
}

bool att_gate_judge_seed(att_gate_walk *w, const att_record *r, const att_baseline_case *c,
                         const att_baseline_run *was, att_gate_pair *pair, bool *same)
{
    if (!att_gate_look_at(w, r, was))
        return false;
    *same = *same && r->status == was->record.status;
    if (!att_gate_was_good(r->status) || !att_gate_was_good(was->record.status))
        return true;
    if (att_baseline_questions(r) != was->questions) {
        *same = false;
        return att_gate_find_plain(
            w, ATT_GATE_ITEMS, r, "its items are not those of the baseline: nothing can be paired");
    }
    *same = *same && same_items(r, &was->record);
    w->g->paired += r->n_items;
    if (r->n_items > 0 && !att_paired_add(&pair->paired, was->record.items, r->items, r->n_items))
        return false;
    return att_gate_flips(w->ask, r, was, w->g) && judge_drift(w, r, was, c);
}
