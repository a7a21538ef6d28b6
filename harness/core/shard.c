/* SPDX-License-Identifier: Apache-2.0 */
/* Longest processing time first (Graham 1969): no shard takes more than 4/3 of the least possible,
 * as far as the costs are true. */
#include "shard.h"

#include <stdlib.h>
#include <string.h>

#include "plan_own.h"

typedef struct group {
    size_t from, to; /* cases of the plan */
    double seconds;
} group;

typedef struct load {
    double seconds;
    int64_t shard;
} load;

static int by_length(const void *a, const void *b)
{
    const group *x = a, *y = b;

    if (x->seconds != y->seconds)
        return x->seconds > y->seconds ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static bool is_before(const load *a, const load *b)
{
    return a->seconds != b->seconds ? a->seconds < b->seconds : a->shard < b->shard;
}

/* The root of a binary heap grew: where does it belong? */
static void sink(load *heap, size_t n)
{
    for (size_t at = 0, next; (next = 2 * at + 1) < n; at = next) {
        if (next + 1 < n && is_before(&heap[next + 1], &heap[next]))
            next++;
        if (!is_before(&heap[next], &heap[at]))
            return;
        load moved = heap[at];
        heap[at] = heap[next];
        heap[next] = moved;
    }
}

static int by_line(const void *a, const void *b)
{
    return strcmp((*(const att_record *const *)a)->line, (*(const att_record *const *)b)->line);
}

/* The earlier run's records sorted by line; NULL = no memory. */
static const att_record **sorted(const att_result *costs)
{
    const att_record **all = calloc((costs ? costs->n_records : 0) + 1, sizeof *all);

    for (size_t i = 0; all && costs && i < costs->n_records; i++)
        all[i] = &costs->records[i];
    if (all && costs)
        qsort(all, costs->n_records, sizeof *all, by_line);
    return all;
}

static double seconds_of(const att_case *c, const att_record *const *known, size_t n)
{
    const att_record wanted = {.line = (char *)(uintptr_t)c->line}, *key = &wanted;
    const att_record *const *found = n ? bsearch(&key, known, n, sizeof *known, by_line) : NULL;

    return found && (*found)->seconds > 0 ? (*found)->seconds : c->seconds;
}

att_status att_cut_make(const att_run_plan *plan, int64_t of, const att_result *costs, att_cut *out,
                        att_why *why)
{
    const size_t n_costs = costs ? costs->n_records : 0;
    att_cut cut = {of, calloc(plan->n + 1, sizeof *cut.home), plan->n};
    group *groups = calloc(plan->n + 1, sizeof *groups);
    load *heap = calloc((size_t)of, sizeof *heap);
    const att_record **known = sorted(costs);
    size_t n = 0;
    att_status status = ATT_OK;

    if (!cut.home || !groups || !heap || !known) {
        status = att_plan_no_memory(why);
        goto done;
    }
    for (size_t i = 0; i < plan->n; i++) {
        const att_case *c = plan->cases[i].c;
        if (i == 0 || strcmp(c->group, plan->cases[i - 1].c->group) != 0)
            groups[n++].from = i;
        groups[n - 1].to = i + 1;
        groups[n - 1].seconds += seconds_of(c, known, n_costs);
    }
    qsort(groups, n, sizeof *groups, by_length);
    for (int64_t k = 0; k < of; k++)
        heap[k].shard = k + 1;
    for (size_t g = 0; g < n; g++) {
        for (size_t i = groups[g].from; i < groups[g].to; i++)
            cut.home[i] = heap[0].shard;
        heap[0].seconds += groups[g].seconds;
        sink(heap, (size_t)of);
    }
    *out = cut;
    cut.home = NULL;
done:
    free(cut.home);
    free(groups);
    free(heap);
    free(known);
    return status;
}

void att_cut_drop(att_cut *cut)
{
    free(cut->home);
    *cut = (att_cut){0};
}

att_status att_cut_part(const att_run_plan *plan, const att_cut *cut, int64_t shard,
                        att_run_plan *part, att_why *why)
{
    att_run_plan own = *plan;

    own.n = 0;
    own.room = plan->n;
    if (!(own.cases = calloc(plan->n + 1, sizeof *own.cases)))
        return att_plan_no_memory(why);
    for (size_t i = 0; i < plan->n; i++)
        if (cut->home[i] == shard)
            own.cases[own.n++] = plan->cases[i];
    *part = own;
    return ATT_OK;
}
