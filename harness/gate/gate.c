/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the gate.  Both sides are sorted by id and walked side by side: O(n log n + items).
 */
#include "gate/gate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/exit.h"
#include "gate/gate_own.h"

att_finding *att_gate_find(att_gate *g, att_gate_kind kind, const att_record *r)
{
    if (g->n_findings == g->room) {
        size_t room = g->room ? 2 * g->room : 64;
        att_finding *grown = realloc(g->findings, room * sizeof *grown);
        if (!grown)
            return NULL;
        g->findings = grown;
        g->room = room;
    }
    att_finding *f = &g->findings[g->n_findings++];
    *f = (att_finding){.kind = kind,
                       .id = r->id,
                       .measure = r->measure,
                       .kernel = r->kernel,
                       .record = r,
                       .cause = "",
                       .text = "",
                       .value = NAN,
                       .limit = NAN,
                       .baseline = NAN,
                       .lo = NAN,
                       .hi = NAN};
    return f;
}

const char *att_gate_text(att_gate *g, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = att_arena_text(&g->arena, text);
    return kept ? kept : "";
}

static int by_id_and_seed(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int c = strcmp(x->id, y->id);

    return c ? c : (x->seed > y->seed) - (x->seed < y->seed);
}

/* ------------------------------------------------------------------------------- one case */

static bool find_missing(att_gate_walk *w, const att_record *r, const char *text)
{
    att_finding *f = att_gate_find(w->g, ATT_GATE_MISSING, r);

    if (!f)
        return false;
    f->record = NULL;
    f->text = text;
    f->cause = r->kernel;
    return true;
}

/* The n records of one id, and its case in the baseline. */
static bool judge_case(att_gate_walk *w, const att_record *const *records, size_t n,
                       const att_baseline_case *c)
{
    att_gate_pair *pair = &w->pairs[w->n_pairs];
    size_t met = 0;
    bool good = true, same = true;

    *pair = (att_gate_pair){.was = c, .is = records[0]};
    w->g->compared++;
    for (size_t i = 0; i < n; i++)
        met += att_baseline_seed(c, records[i]->seed) != NULL;
    for (size_t i = 0; i < n && good; i++) {
        const att_baseline_run *was = att_baseline_seed(c, records[i]->seed);
        if (was)
            good = att_gate_judge_seed(w, records[i], c, was, pair, &same);
        else
            good = att_gate_look_at(w, records[i], met ? NULL : &c->runs[0]);
    }
    for (size_t i = 0; i < c->n_runs && good && met > 0; i++) {
        bool found = false;
        for (size_t k = 0; k < n && !found; k++)
            found = records[k]->seed == c->runs[i].record.seed;
        if (!found)
            good = find_missing(w, &c->runs[i].record, "one of its seeds is missing");
    }
    if (met == 0 && good && records[0]->n_items > 0 && att_gate_was_good(records[0]->status))
        good = att_gate_inconclusive(w->ask, records[0],
                                     "other seeds than the baseline's: nothing is paired", w->g);
    w->g->unchanged += same && met > 0;
    w->n_pairs += pair->paired.n > 0;
    return good;
}

static bool judge_cases(att_gate_walk *w)
{
    const att_baseline *b = w->ask->baseline;
    size_t i = 0, j = 0;
    bool good = true;

    while (good && (i < w->n || j < b->n_cases)) {
        size_t n = 1;
        int c = i == w->n ? 1 : j == b->n_cases ? -1 : strcmp(w->records[i]->id, b->cases[j].id);
        if (c > 0) {
            good = find_missing(w, &b->cases[j++].runs[0].record, "");
            continue;
        }
        while (i + n < w->n && strcmp(w->records[i]->id, w->records[i + n]->id) == 0)
            n++;
        if (c < 0) {
            good = att_gate_find_plain(w, ATT_GATE_EXTRA, w->records[i], NULL);
            for (size_t k = 0; k < n && good; k++)
                good = att_gate_look_at(w, w->records[i + k], NULL);
        } else
            good = judge_case(w, w->records + i, n, &b->cases[j++]);
        i += n;
    }
    return good;
}

/* ------------------------------------------------------------------------------ whole runs */

static bool judge_speed(att_gate_walk *w)
{
    const double most = 1 + w->ask->policy->speed;

    w->g->timed = isnan(most) ? 0 : w->ask->n_times;
    for (size_t i = 0; i < w->ask->n_times && !isnan(most); i++) {
        const att_gate_time *t = &w->ask->times[i];
        if (t->lo <= most)
            continue;
        att_finding *f = att_gate_find(w->g, ATT_GATE_SLOWER, t->record);
        if (!f)
            return false;
        f->metric = "seconds, head over base";
        f->value = t->ratio;
        f->n = (int64_t)t->pairs;
        f->limit = most;
        f->baseline = 1;
        f->lo = t->lo;
        f->hi = t->hi;
        f->cause = att_gate_text(w->g, "%s %s", f->kernel, f->measure);
    }
    return true;
}

/* The policy's and the waivers' say over what was found. */
static bool excuse(const att_gate_ask *ask, att_gate *g)
{
    const size_t n = ask->waivers ? ask->waivers->n : 0;
    static char none[] = "";
    static const att_record whole = {.id = none, .measure = none, .kernel = none};

    for (size_t i = 0; i < g->n_findings; i++) {
        att_finding *f = &g->findings[i];
        f->advisory = att_policy_advises(ask->policy, f->kind, f->id);
        for (size_t k = 0; k < n && !f->waiver; k++) {
            const att_waiver *w = &ask->waivers->at[k];
            if ((w->kind < 0 || w->kind == (int)f->kind) && !att_waiver_over(w, ask->today) &&
                att_glob(w->cases, f->id))
                f->waiver = w;
        }
    }
    for (size_t k = 0; k < n; k++) {
        const att_waiver *w = &ask->waivers->at[k];
        if (!att_waiver_over(w, ask->today))
            continue;
        att_finding *f = att_gate_find(g, ATT_GATE_WAIVER, &whole);
        if (!f)
            return false;
        f->id = w->cases;
        f->record = NULL;
        f->cause = att_gate_text(g, "%zu", k);
        f->text = att_gate_text(g, "expired on %s: %s (%s)", w->expires, w->reason, w->issue);
    }
    return true;
}

static int code_of(const att_gate_ask *ask, const att_gate *g)
{
    int code = ATT_EXIT_PASS;
    bool decided = false;

    for (size_t i = 0; i < g->n_findings; i++)
        if (!g->findings[i].advisory && !g->findings[i].waiver)
            code = att_exit_worse(code, att_gate_kind_exit(g->findings[i].kind));
    for (size_t i = 0; i < ask->result->n_records; i++)
        decided |= ask->result->records[i].status == ATT_PASS ||
                   ask->result->records[i].status == ATT_FAIL ||
                   ask->result->records[i].status == ATT_CRASH ||
                   ask->result->records[i].status == ATT_TIMEOUT;
    if (!decided)
        code = att_exit_worse(code, ATT_EXIT_NOTHING);
    if (!ask->done || strcmp(ask->result->status, "complete") != 0)
        code = att_exit_worse(code, ATT_EXIT_INCOMPLETE);
    return code;
}

att_status att_gate_judge(const att_gate_ask *ask, att_gate *out, att_why *why)
{
    att_gate g = {0};
    att_gate_walk w = {.ask = ask, .g = &g, .n = ask->result->n_records};

    w.records = calloc(w.n + 1, sizeof *w.records);
    w.pairs = calloc(w.n + 1, sizeof *w.pairs);
    bool good = w.records && w.pairs;
    for (size_t i = 0; good && i < w.n; i++)
        w.records[i] = &ask->result->records[i];
    if (good && w.n > 1)
        qsort(w.records, w.n, sizeof *w.records, by_id_and_seed);
    good = good && judge_cases(&w) && att_gate_declarations(ask, &g) &&
           att_gate_pairs(ask, w.pairs, w.n_pairs, &g) && judge_speed(&w) && excuse(ask, &g) &&
           att_gate_group(ask, &g);
    g.code = good ? code_of(ask, &g) : 0;
    for (size_t i = 0; w.pairs && i < w.n; i++)
        att_paired_drop(&w.pairs[i].paired);
    free(w.pairs);
    free(w.records);
    if (!good) {
        att_gate_drop(&g);
        att_why_set(why, "no memory for the gate");
        return ATT_NO_MEMORY;
    }
    *out = g;
    return ATT_OK;
}

void att_gate_drop(att_gate *g)
{
    free(g->findings);
    free(g->entries);
    att_arena_drop(&g->arena);
    *g = (att_gate){0};
}
