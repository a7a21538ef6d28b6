/* SPDX-License-Identifier: Apache-2.0 */
#include "compare_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/verdict.h"
#include "facts.h"

static bool is_shown(const char *const *kernels, const char *name)
{
    for (; kernels && *kernels; kernels++)
        if (strcmp(*kernels, name) == 0)
            return true;
    return !kernels;
}

static int by_length(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lengths of the records of a task, or of all tasks that have rows; the shortest where there
 * are more than fit. */
static size_t find_lengths(const att_view *v, const char *measure, double *out)
{
    double all[4 * ATT_VIEW_LENGTHS] = {0};
    size_t n = 0;

    for (size_t i = 0; i < v->result->n_records; i++) {
        const att_record *r = &v->result->records[i];
        bool own = measure && strcmp(measure, r->measure) == 0;
        for (size_t k = 0; k < v->n_rows && !measure && !own; k++)
            own = strcmp(v->rows[k].c->measure, r->measure) == 0;
        double length = own ? att_record_length(r) : NAN;
        size_t k = 0;
        while (k < n && all[k] != length)
            k++;
        if (!isnan(length) && k == n && n < sizeof all / sizeof *all)
            all[n++] = length;
    }
    qsort(all, n, sizeof *all, by_length);
    n = n < ATT_VIEW_LENGTHS ? n : ATT_VIEW_LENGTHS;
    memcpy(out, all, n * sizeof *out);
    return n;
}

/* How the cases of a cell ended that have no items to pair; dense's lack of power before all. */
static const char *note_of(const att_view *v, const att_comparison *c, double length)
{
    att_outcome worst = ATT_PASS;

    for (size_t i = 0; i < v->result->n_records; i++) {
        const att_record *r = &v->result->records[i];
        if (strcmp(r->kernel, c->kernel) != 0 || strcmp(r->measure, c->measure) != 0 ||
            !(isnan(length) || att_record_length(r) == length))
            continue;
        if (r->status != ATT_PASS && r->status != ATT_INCONCLUSIVE &&
            (worst == ATT_PASS || r->status < worst))
            worst = r->status;
    }
    return worst == ATT_PASS ? "" : worst == ATT_NO_POWER ? "no power" : att_outcome_name(worst);
}

static att_status fill_cell(const att_view *v, const att_comparison *c, double length,
                            att_view_cell *out)
{
    att_compare_cell cell = {0};
    att_status status = att_compare_at(v->result, &v->how, c->measure, c->kernel, length, &cell);

    *out = (att_view_cell){.length = length,
                           .n = cell.paired.n,
                           .wins = cell.paired.wins,
                           .losses = cell.paired.losses,
                           .base = NAN,
                           .own = NAN,
                           .lo = NAN,
                           .hi = NAN,
                           .keys = NAN,
                           .note = note_of(v, c, length)};
    if (out->n > 0) {
        att_interval interval = att_paired_interval(&cell.paired, ATT_COMPARE_CONFIDENCE);
        out->base = (double)cell.base_hits / (double)out->n;
        out->own = (double)cell.own_hits / (double)out->n;
        out->lo = interval.lo;
        out->hi = interval.hi;
    }
    att_paired_drop(&cell.paired);
    return status;
}

static att_status fill_row(const att_view *v, att_view_row *row)
{
    double lengths[ATT_VIEW_LENGTHS];
    const att_comparison *c = row->c;
    att_status status = fill_cell(v, c, NAN, &row->all);

    row->n_at = find_lengths(v, c->measure, lengths);
    for (size_t i = 0; i < row->n_at && status == ATT_OK; i++)
        status = fill_cell(v, c, lengths[i], &row->at[i]);
    for (size_t i = 0; i < v->n_effective; i++)
        if (strcmp(v->effective[i].measure, c->measure) == 0 &&
            strcmp(v->effective[i].kernel, c->kernel) == 0)
            row->effective = &v->effective[i];
    return status;
}

static att_status fill_cost(const att_view *v, att_registry *registry, att_view_cost *out,
                            att_why *why)
{
    att_arena arena = {0};
    const att_variant *variant = NULL;
    att_status status = att_variant_parse(registry, out->kernel, &arena, &variant, why);

    if (status == ATT_OK) {
        const att_variant_part *part = &variant->part[0];
        out->kv_bytes_per_token = att_facts_of(part->kernel, part->values, NULL).kv_bytes_per_token;
        for (size_t i = 0; i < v->n_lengths; i++) {
            att_cost cost = att_facts_query(part->kernel, part->values, (int64_t)v->lengths[i]);
            out->at[i].keys = cost.keys_read;
            out->at[i].flops = cost.flops_useful;
            out->at[i].state_bytes = cost.state_bytes;
        }
    }
    att_arena_drop(&arena);
    return status;
}

static bool add_cost(att_view *v, const char *kernel)
{
    for (size_t i = 0; i < v->n_costs; i++)
        if (strcmp(v->costs[i].kernel, kernel) == 0)
            return false;
    v->costs[v->n_costs++].kernel = kernel;
    return true;
}

/* The share of keys read, of each row's lengths. */
static void fill_keys(att_view *v)
{
    for (size_t i = 0; i < v->n_rows; i++)
        for (size_t k = 0; k < v->n_costs; k++)
            for (size_t j = 0; j < v->rows[i].n_at; j++)
                for (size_t l = 0; l < v->n_lengths; l++)
                    if (strcmp(v->rows[i].c->kernel, v->costs[k].kernel) == 0 &&
                        v->lengths[l] == v->rows[i].at[j].length)
                        v->rows[i].at[j].keys = v->costs[k].at[l].keys / v->lengths[l];
}

att_status att_view_make(const att_result *result, const att_compare_how *how,
                         att_registry *registry, const char *const *kernels, att_view *out,
                         att_why *why)
{
    att_view v = {.how = *how, .result = result};
    att_status status = att_effective_find(result, ATT_VERDICT_DENSE, &v.effective, &v.n_effective);

    v.rows = calloc(result->n_comparisons + 1, sizeof *v.rows);
    v.costs = calloc(result->n_comparisons + 2, sizeof *v.costs);
    if (!v.rows || !v.costs)
        status = ATT_NO_MEMORY;
    if (status == ATT_OK && how->base)
        add_cost(&v, how->base);
    for (size_t i = 0; i < result->n_comparisons && status == ATT_OK; i++) {
        if (!is_shown(kernels, result->comparisons[i].kernel))
            continue;
        v.rows[v.n_rows].c = &result->comparisons[i];
        status = fill_row(&v, &v.rows[v.n_rows++]);
        add_cost(&v, result->comparisons[i].kernel);
    }
    v.n_lengths = status == ATT_OK ? find_lengths(&v, NULL, v.lengths) : 0;
    for (size_t i = 0; i < v.n_costs && status == ATT_OK; i++)
        status = fill_cost(&v, registry, &v.costs[i], why);
    fill_keys(&v);
    if (status == ATT_OK)
        *out = v;
    else
        att_view_drop(&v);
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "no memory for the comparison");
    return status;
}

void att_view_drop(att_view *v)
{
    free(v->effective);
    free(v->rows);
    free(v->costs);
    *v = (att_view){0};
}
