/* SPDX-License-Identifier: Apache-2.0 */
/* Findings by cause: one bug that breaks 400 cases is one entry with 400 members.
 *
 * Broken contracts share a cause where the dictionary of faults gives their kernels one name
 * (core/names.h), over kernels and evals; else where kernel, eval and metric are the same.  Cases
 * that came or went share it with their kernel where that is new or gone as a whole, else with
 * their measure. */
#include <stdlib.h>
#include <string.h>

#include "core/declare.h"
#include "core/names.h"
#include "gate/gate_own.h"

/* ---------------------------------------------------------------------------------- causes */

/* Blocking 0, advisory 1, waived 2. */
static int standing(const att_finding *f)
{
    return f->waiver ? 2 : f->advisory ? 1 : 0;
}

static bool is_contract(const att_finding *f)
{
    return f->record && (f->kind == ATT_GATE_CONTRACT || f->kind == ATT_GATE_NONFINITE);
}

static const att_diagnosis *diagnosis_of(const att_record *r, const char *fault)
{
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (att_diagnosis_explains(&r->diagnoses[d]) &&
            att_fault_same(r->diagnoses[d].fault, fault))
            return &r->diagnoses[d];
    return NULL;
}

/* Was the dictionary tried on it without finding anything? */
static bool is_unknown(const att_record *r)
{
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (strcmp(r->diagnoses[d].fault, ATT_UNKNOWN) == 0)
            return true;
    return att_record_named(r) != NULL;
}

/* Gives the contracts that `kernel` breaks the name that its cases agree on. */
static bool name_kernel(const att_result *result, const char *kernel, att_gate *g)
{
    att_names names;
    bool good = att_names_of(result, kernel, &names) == ATT_OK;
    const char *fault = good && att_names_tied(&names) > 0 ? names.name[0].fault : NULL;

    for (size_t i = 0; fault && i < g->n_findings; i++) {
        att_finding *f = &g->findings[i];
        if (!is_contract(f) || strcmp(f->kernel, kernel) != 0)
            continue;
        f->named = diagnosis_of(f->record, fault);
        if (!f->named && is_unknown(f->record))
            continue;
        f->cause = att_gate_text(g, "fault %.*s", (int)strcspn(fault, "{"), fault);
        f->kind = ATT_GATE_CONTRACT;
    }
    att_names_drop(&names);
    return good;
}

static int by_kernel(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool name_faults(const att_result *result, att_gate *g)
{
    const char **kernels = calloc(g->n_findings + 1, sizeof *kernels);
    size_t n = 0;
    bool good = kernels != NULL;

    for (size_t i = 0; good && i < g->n_findings; i++)
        if (is_contract(&g->findings[i]))
            kernels[n++] = g->findings[i].kernel;
    if (good && n > 1)
        qsort(kernels, n, sizeof *kernels, by_kernel);
    for (size_t i = 0; good && i < n; i++)
        if (i == 0 || strcmp(kernels[i - 1], kernels[i]) != 0)
            good = name_kernel(result, kernels[i], g);
    free(kernels);
    return good;
}

/* Cases that are on one side only: of a kernel that is on one side only, or not. */
static void name_sides(const att_gate_ask *ask, att_gate *g)
{
    const att_baseline *b = ask->baseline;
    const att_result *r = ask->result;

    for (size_t i = 0; i < g->n_findings; i++) {
        att_finding *f = &g->findings[i];
        const bool gone = f->kind == ATT_GATE_MISSING, new = f->kind == ATT_GATE_EXTRA;
        if (!gone && !new)
            continue;
        const bool known =
            gone ? att_declaration_find(r->declarations, r->n_declarations, f->kernel) != NULL
                 : att_declaration_find(b->declarations, b->n_declarations, f->kernel) != NULL;
        f->cause = known ? f->measure : f->kernel;
        if (!known)
            f->text = gone ? "the kernel is not in the run" : "the kernel is not in the baseline";
        else if (!*f->text)
            f->text = gone ? "the baseline holds it, the run does not"
                           : "the run holds it, the baseline does not";
    }
}

/* --------------------------------------------------------------------------------- entries */

static const char *line_of(const att_finding *f)
{
    const att_record *r = f->record;

    return r && r->smallest ? r->smallest : r && r->line ? r->line : f->id;
}

static int by_entry(const att_finding *x, const att_finding *y)
{
    int c = standing(x) - standing(y);

    c = c ? c : (int)x->kind - (int)y->kind;
    return c ? c : strcmp(x->cause, y->cause);
}

/* A small case was looked for where there is one: it comes first. */
static bool is_small(const att_finding *f)
{
    return f->record && f->record->smallest;
}

static int by_place(const void *a, const void *b)
{
    const att_finding *x = a, *y = b;
    const size_t n = strlen(line_of(x)), m = strlen(line_of(y));
    int c = by_entry(x, y);

    c = c ? c : is_small(y) - is_small(x);
    c = c ? c : (n > m) - (n < m);
    return c ? c : strcmp(line_of(x), line_of(y));
}

static int by_size(const void *a, const void *b)
{
    const att_gate_entry *x = a, *y = b;
    int c = standing(x->first) - standing(y->first);

    c = c ? c : (x->members < y->members) - (x->members > y->members);
    c = c ? c : (int)x->first->kind - (int)y->first->kind;
    return c ? c : strcmp(x->first->cause, y->first->cause);
}

/* A record's kernel and measure. */
typedef struct cell {
    const char *kernel, *measure;
} cell;

static int by_cell(const void *a, const void *b)
{
    const cell *x = a, *y = b;
    int c = strcmp(x->kernel, y->kernel);

    return c ? c : strcmp(x->measure, y->measure);
}

/* How many of n sorted cells are before (or, with `through`, not after) one. */
static size_t rank(const cell *cells, size_t n, const cell *one, bool through)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int c = by_cell(&cells[mid], one);
        if (c < 0 || (through && c == 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Counts of an entry; `own`: room for its members. */
static void count(att_gate_entry *e, const cell *cells, size_t n, cell *own)
{
    for (size_t i = 0; i < e->members; i++) {
        own[i] = (cell){e->first[i].kernel, e->first[i].measure};
        e->explained += e->first[i].named != NULL;
        e->named = e->named ? e->named : e->first[i].named;
    }
    qsort(own, e->members, sizeof *own, by_cell);
    for (size_t i = 0; i < e->members; i++) {
        e->kernels += i == 0 || strcmp(own[i - 1].kernel, own[i].kernel) != 0;
        if (i == 0 || by_cell(&own[i - 1], &own[i]) != 0)
            e->of += rank(cells, n, &own[i], true) - rank(cells, n, &own[i], false);
    }
}

bool att_gate_group(const att_gate_ask *ask, att_gate *g)
{
    const size_t n = ask->result->n_records;
    cell *cells = calloc(n + 1, sizeof *cells), *own = calloc(g->n_findings + 1, sizeof *own);

    g->entries = calloc(g->n_findings + 1, sizeof *g->entries);
    bool good = cells && own && g->entries && name_faults(ask->result, g);
    for (size_t i = 0; good && i < n; i++)
        cells[i] = (cell){ask->result->records[i].kernel, ask->result->records[i].measure};
    if (good && n > 1)
        qsort(cells, n, sizeof *cells, by_cell);
    if (good)
        name_sides(ask, g);
    if (good && g->n_findings > 1)
        qsort(g->findings, g->n_findings, sizeof *g->findings, by_place);
    for (size_t i = 0; good && i < g->n_findings; i++) {
        att_gate_entry *e = g->n_entries ? &g->entries[g->n_entries - 1] : NULL;
        if (!e || by_entry(e->first, &g->findings[i]) != 0)
            *(e = &g->entries[g->n_entries++]) = (att_gate_entry){.first = &g->findings[i]};
        e->members++;
    }
    for (size_t i = 0; good && i < g->n_entries; i++) {
        count(&g->entries[i], cells, n, own);
        if (g->entries[i].first->kind == ATT_GATE_MISSING)
            g->entries[i].of = 0; /* they are not among the run's cases */
    }
    if (good && g->n_entries > 1)
        qsort(g->entries, g->n_entries, sizeof *g->entries, by_size);
    free(cells);
    free(own);
    return good;
}
