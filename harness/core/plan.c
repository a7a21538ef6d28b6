/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "plan_own.h"

att_status att_plan_no_memory(att_why *why)
{
    att_why_set(why, "no memory for the plan");
    return ATT_NO_MEMORY;
}

att_status att_plan_take(att_run_plan *plan, att_case *c, size_t row, bool required, att_why *why)
{
    if (plan->n == plan->room) {
        size_t room = plan->room ? plan->room * 2 : 64;
        att_planned *bigger = realloc(plan->cases, room * sizeof *bigger);
        if (!bigger) {
            att_case_drop(c);
            return att_plan_no_memory(why);
        }
        plan->cases = bigger;
        plan->room = room;
    }
    plan->cases[plan->n++] = (att_planned){c, row, required};
    return ATT_OK;
}

att_status att_plan_add_row(att_run_plan *plan, double budget, att_why *why)
{
    att_plan_row *rows = realloc(plan->rows, (plan->n_rows + 1) * sizeof *rows);

    if (!rows)
        return att_plan_no_memory(why);
    plan->rows = rows;
    plan->rows[plan->n_rows++] = (att_plan_row){budget};
    return ATT_OK;
}

att_status att_plan_add_line(att_run_plan *plan, att_registry *r, const char *line, att_why *why)
{
    att_case *c = NULL;
    att_status status = att_plan_add_row(plan, 0, why);

    if (status == ATT_OK && (status = att_case_parse(r, line, &c, why)) == ATT_OK)
        status = att_plan_take(plan, c, plan->n_rows - 1, true, why);
    return status;
}

/* Orders by first appearance of the group, then by appearance. */
typedef struct place {
    const char *group;
    const char *line;
    size_t first, at;
} place;

static int by_group(const void *a, const void *b)
{
    const place *x = a, *y = b;
    int order = strcmp(x->group, y->group);

    return order ? order : x->at < y->at ? -1 : 1;
}

static int by_place(const void *a, const void *b)
{
    const place *x = a, *y = b;

    return x->first != y->first ? (x->first < y->first ? -1 : 1)
           : x->at < y->at      ? -1
                                : x->at > y->at;
}

static int by_line(const void *a, const void *b)
{
    const place *x = a, *y = b;
    int order = strcmp(x->line, y->line);

    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

att_status att_plan_finish(att_run_plan *plan, att_why *why)
{
    place *p = calloc(plan->n + 1, sizeof *p);
    att_planned *sorted = calloc(plan->n + 1, sizeof *sorted);
    att_buf lines = {0};
    size_t kept = 0;

    if (!p || !sorted) {
        free(p);
        free(sorted);
        return att_plan_no_memory(why);
    }
    for (size_t i = 0; i < plan->n; i++)
        p[i] = (place){plan->cases[i].c->group, plan->cases[i].c->line, i, i};
    qsort(p, plan->n, sizeof *p, by_line);
    for (size_t i = 0; i < plan->n; i++) /* two rows may ask for one case: it runs once */
        if (i == 0 || strcmp(p[i].line, p[i - 1].line) != 0)
            p[kept++] = p[i];
        else
            p[i].line = p[i - 1].line, att_case_drop(plan->cases[p[i].at].c);
    qsort(p, kept, sizeof *p, by_group);
    for (size_t i = 1; i < kept; i++)
        if (strcmp(p[i].group, p[i - 1].group) == 0)
            p[i].first = p[i - 1].first;
    qsort(p, kept, sizeof *p, by_place);
    for (size_t i = 0; i < kept; i++) {
        sorted[i] = plan->cases[p[i].at];
        att_buf_puts(&lines, sorted[i].c->line);
        att_buf_puts(&lines, "\n");
    }
    snprintf(plan->hash, sizeof plan->hash, "%016" PRIx64,
             att_hash64(lines.data ? lines.data : "", lines.length));
    att_buf_drop(&lines);
    free(plan->cases);
    plan->cases = sorted;
    plan->n = plan->room = kept;
    free(p);
    return ATT_OK;
}

void att_plan_drop(att_run_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++)
        att_case_drop(plan->cases[i].c);
    free(plan->cases);
    free(plan->rows);
    free(plan->suite);
    *plan = (att_run_plan){0};
}
