/* SPDX-License-Identifier: Apache-2.0 */
/* A task that a crippled kernel passes as well as dense does says nothing about kernels that are
 * crippled alike.  A control is punished where the upper end of its interval lies more than a
 * declared gap below the lower end of dense's.
 *
 * Chance is what one gets without looking: a control that answers at random must not get more, and
 * it or some other control must get that much (there may be a constant answer that does better than
 * a random one).  With h hits of n (effective) items that is P(X >= h) and P(X <= h) at the chance
 * level, against a family-wise level over all cells (Bonferroni). */
#include "gate/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rate.h"
#include "core/verdict.h"

static bool is_whole(const att_record *r)
{
    return r->n_items > 0 && !isnan(r->chance) && r->measure && r->kernel &&
           (r->status == ATT_PASS || r->status == ATT_FAIL || r->status == ATT_INCONCLUSIVE ||
            r->status == ATT_NO_POWER);
}

static bool is_control(const att_record *r)
{
    return r->family && strcmp(r->family, "control") == 0;
}

/* Whether it is `name`, with whatever parameters. */
static bool is_kernel(const char *kernel, const char *name)
{
    const size_t n = strlen(name);

    return strncmp(kernel, name, n) == 0 && (kernel[n] == '\0' || kernel[n] == '{');
}

static const char *params_of(const att_record *r)
{
    return r->params ? r->params : "";
}

static bool same_cell(const att_record *a, const att_record *b)
{
    return strcmp(a->measure, b->measure) == 0 && strcmp(params_of(a), params_of(b)) == 0;
}

static bool was_before(const att_result *result, const att_record *r)
{
    for (const att_record *o = result->records; o < r; o++)
        if (is_whole(o) && strcmp(o->kernel, r->kernel) == 0 && same_cell(o, r))
            return true;
    return false;
}

/* Of the seeds of r's cell and kernel; the largest chance level goes to *chance.  false: no memory.
 */
static bool rate_of(const att_result *result, const att_record *r, att_audit_rate *out,
                    double *chance)
{
    att_hits all = {0};
    bool good = true;

    for (size_t i = 0; good && i < result->n_records; i++) {
        const att_record *o = &result->records[i];
        if (is_whole(o) && strcmp(o->kernel, r->kernel) == 0 && same_cell(o, r))
            good = att_hits_add(&all, o);
    }
    if (good) {
        att_interval interval = att_hits_interval(&all, ATT_AUDIT_CONFIDENCE);
        *chance = all.chance;
        *out = (att_audit_rate){.n = (int64_t)all.n,
                                .hits = all.hits,
                                .effective = (double)all.n /
                                             att_design_effect(all.hit, all.cluster, all.n),
                                .share = att_hits_share(&all),
                                .lo = interval.lo,
                                .hi = interval.hi};
    }
    att_hits_drop(&all);
    return good;
}

/* P(X >= hits), or with `misses` P(X <= hits), at the chance level; fractions of items are rounded
 * so that it comes out larger. */
static double tail_of(const att_audit_rate *rate, double chance, bool misses)
{
    const double n = rate->effective, hits = rate->share * n;

    return att_binomial_tail((int64_t)((misses ? n - hits : hits) + 1e-9), (int64_t)ceil(n - 1e-9),
                             misses ? 1.0 - chance : chance);
}

static void check_chance(att_audit_cell *cell)
{
    if (cell->guess.n == 0)
        return;
    cell->above_p = tail_of(&cell->guess, cell->chance, false);
    cell->below_p = tail_of(&cell->guess, cell->chance, true);
    for (size_t k = 0; k < cell->n_controls; k++)
        cell->below_p = fmax(cell->below_p, tail_of(&cell->controls[k].rate, cell->chance, true));
}

/* Adds the controls of a cell.  false: no memory. */
static bool add_controls(const att_result *result, const att_record *dense, double gap,
                         att_audit_cell *cell)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        att_audit_rate rate;
        double chance;
        if (!is_whole(r) || !is_control(r) || !same_cell(r, dense) || was_before(result, r))
            continue;
        if (!rate_of(result, r, &rate, &chance))
            return false;
        if (is_kernel(r->kernel, ATT_AUDIT_GUESS)) {
            cell->guess = rate;
            continue;
        }
        att_audit_control *grown =
            realloc(cell->controls, (cell->n_controls + 1) * sizeof *cell->controls);
        if (!grown)
            return false;
        cell->controls = grown;
        cell->controls[cell->n_controls++] =
            (att_audit_control){r->kernel, rate, rate.hi < cell->dense.lo - gap};
    }
    check_chance(cell);
    return true;
}

static bool add_cell(const att_result *result, const att_record *dense, double gap,
                     att_audit *audit)
{
    att_audit_cell *cell = &audit->cells[audit->n++];

    *cell = (att_audit_cell){
        .measure = dense->measure, .params = params_of(dense), .above_p = NAN, .below_p = NAN};
    if (!rate_of(result, dense, &cell->dense, &cell->chance))
        return false;
    cell->power = cell->dense.lo > cell->chance;
    return add_controls(result, dense, gap, cell);
}

att_status att_audit_make(const att_result *result, double gap, att_audit *out, att_why *why)
{
    att_audit audit = {.cells = calloc(result->n_records + 1, sizeof *audit.cells)};
    bool good = audit.cells;
    size_t checked = 0;

    for (size_t i = 0; good && i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (is_whole(r) && strcmp(r->kernel, ATT_VERDICT_DENSE) == 0 && !was_before(result, r))
            good = add_cell(result, r, gap, &audit);
    }
    if (!good) {
        att_audit_drop(&audit);
        att_why_set(why, "audit: out of memory");
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < audit.n; i++)
        checked += audit.cells[i].guess.n > 0;
    for (size_t i = 0; i < audit.n; i++) {
        att_audit_cell *cell = &audit.cells[i];
        cell->chance_holds = !cell->guess.n || fmin(cell->above_p, cell->below_p) >
                                                   ATT_AUDIT_LEVEL / (2 * (double)checked);
    }
    *out = audit;
    return ATT_OK;
}

void att_audit_drop(att_audit *audit)
{
    for (size_t i = 0; audit->cells && i < audit->n; i++)
        free(audit->cells[i].controls);
    free(audit->cells);
    *audit = (att_audit){0};
}

const char *att_sight_name(att_sight sight)
{
    static const char *const names[] = {"not audited", "sees", "BLIND", "no power"};

    return names[sight];
}

att_sight att_audit_sight(const att_audit *audit, const char *measure)
{
    size_t cells = 0, powered = 0, met = 0, punished = 0;

    for (size_t i = 0; i < audit->n; i++) {
        const att_audit_cell *cell = &audit->cells[i];
        if (strcmp(cell->measure, measure) != 0)
            continue;
        cells++;
        powered += cell->power;
        for (size_t k = 0; cell->power && k < cell->n_controls; k++, met++)
            punished += cell->controls[k].punished;
    }
    if (cells > 0 && powered == 0)
        return ATT_SIGHT_NO_POWER;
    return met == 0 ? ATT_SIGHT_UNKNOWN : punished ? ATT_SIGHT_SEES : ATT_SIGHT_BLIND;
}
