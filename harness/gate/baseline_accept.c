/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over what changed, and saying what that is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/declare.h"
#include "core/record.h"
#include "gate/baseline_own.h"

/* ----------------------------------------------------------------------- what is different */

static void change_metrics(const att_record *was, const att_record *is, att_buf *out)
{
    for (size_t i = 0; i < was->n_metrics; i++) {
        const att_metric *a = &was->metrics[i], *b = att_record_metric(is, a->name);
        if (!b)
            att_buf_printf(out, ", %s %.4g -> not judged", a->name, a->value);
        else if (a->value != b->value)
            att_buf_printf(out, ", %s %.4g -> %.4g", a->name, a->value, b->value);
        else if (a->n != b->n)
            att_buf_printf(out, ", n of %s changed", a->name);
    }
    for (size_t i = 0; i < is->n_metrics; i++)
        if (!att_record_metric(was, is->metrics[i].name))
            att_buf_printf(out, ", %s judged now: %.4g", is->metrics[i].name, is->metrics[i].value);
}

static void change_items(const att_baseline_run *was, const att_baseline_run *is, att_buf *out)
{
    const att_record *a = &was->record, *b = &is->record;
    size_t lost = 0, won = 0;

    if (was->questions != is->questions || a->n_items != b->n_items) {
        att_buf_printf(out, ", other items (%zu, were %zu)", b->n_items, a->n_items);
        return;
    }
    for (size_t i = 0; i < a->n_items; i++) {
        lost += a->items[i].hit && !b->items[i].hit;
        won += !a->items[i].hit && b->items[i].hit;
    }
    if (lost + won > 0)
        att_buf_printf(out, ", %zu of %zu items lost, %zu won", lost, a->n_items, won);
}

void att_baseline_change(const att_baseline_case *was, const att_baseline_case *is, char *out,
                         size_t size)
{
    att_buf text = {0};

    if (was->n_runs != is->n_runs)
        att_buf_printf(&text, ", %zu seeds, were %zu", is->n_runs, was->n_runs);
    for (size_t i = 0; i < is->n_runs; i++) {
        const att_baseline_run *run = &is->runs[i];
        const att_baseline_run *old = att_baseline_seed(was, run->record.seed);
        if (!old) {
            att_buf_printf(&text, ", another seed %llu", (unsigned long long)run->record.seed);
            continue;
        }
        if (old->record.status != run->record.status)
            att_buf_printf(&text, ", %s -> %s", att_outcome_name(old->record.status),
                           att_outcome_name(run->record.status));
        change_metrics(&old->record, &run->record, &text);
        change_items(old, run, &text);
    }
    snprintf(out, size, "%s", text.failed ? "no memory" : text.length ? text.data + 2 : "");
    att_buf_drop(&text);
}

/* ------------------------------------------------------------------------------ taking over */

static bool copy_run(const att_baseline_run *from, att_baseline_run *to)
{
    const att_record *r = &from->record;

    *to =
        (att_baseline_run){{.seed = r->seed, .status = r->status, .chance = NAN}, from->questions};
    if (!att_baseline_identify(r->id, &to->record))
        return false;
    to->record.metrics = calloc(r->n_metrics + 1, sizeof *r->metrics);
    to->record.items = calloc(r->n_items + 1, sizeof *r->items);
    if (!to->record.metrics || !to->record.items)
        return false;
    for (size_t i = 0; i < r->n_metrics; i++) {
        to->record.metrics[i] = r->metrics[i];
        to->record.metrics[i].unit = NULL;
        to->record.n_metrics = i + 1;
        if (!(to->record.metrics[i].name = strdup(r->metrics[i].name)))
            return false;
    }
    if (r->n_items > 0)
        memcpy(to->record.items, r->items, r->n_items * sizeof *r->items);
    to->record.n_items = r->n_items;
    return true;
}

/* Fills a zeroed case. */
static bool copy_case(const att_baseline_case *from, const char *reason, double tolerance,
                      att_baseline_case *to)
{
    *to = (att_baseline_case){.id = strdup(from->id),
                              .reason = reason ? strdup(reason) : NULL,
                              .tolerance = tolerance,
                              .runs = calloc(from->n_runs + 1, sizeof *from->runs)};
    if (!to->id || (reason && !to->reason) || !to->runs)
        return false;
    for (size_t i = 0; i < from->n_runs; i++) {
        to->n_runs = i + 1;
        if (!copy_run(&from->runs[i], &to->runs[i]))
            return false;
    }
    return true;
}

static bool matches(const char *glob, const char *id)
{
    return !glob || att_glob(glob, id);
}

/* Both lists by id; the merged one to *cases.  false: no memory. */
static bool merge(att_baseline *to, const att_baseline *from, const char *glob, const char *reason,
                  size_t *taken)
{
    const bool anew = to->n_cases == 0;
    att_baseline_case *all = calloc(to->n_cases + from->n_cases + 1, sizeof *all);
    size_t i = 0, j = 0, n = 0;
    bool good = all != NULL;

    while (good && (i < to->n_cases || j < from->n_cases)) {
        int c = i == to->n_cases     ? 1
                : j == from->n_cases ? -1
                                     : strcmp(to->cases[i].id, from->cases[j].id);
        const att_baseline_case *own = c <= 0 ? &to->cases[i++] : NULL;
        const att_baseline_case *new = c >= 0 ? &from->cases[j++] : NULL;
        char change[64] = "new";
        if (own && new)
            att_baseline_change(own, new, change, sizeof change);
        if (own && (!new || !*change || !matches(glob, own->id)))
            good = copy_case(own, own->reason, own->tolerance, &all[n++]);
        else if (new &&matches(glob, new->id)) {
            good = copy_case(new, anew ? NULL : reason, own ? own->tolerance : NAN, &all[n++]);
            ++*taken;
        }
    }
    for (i = 0; i < to->n_cases; i++)
        att_baseline_case_drop(&to->cases[i]);
    free(to->cases);
    to->cases = all;
    to->n_cases = n;
    return good;
}

static bool has_kernel(const att_baseline *b, const char *kernel, const char *glob)
{
    for (size_t i = 0; i < b->n_cases; i++)
        if (b->cases[i].n_runs > 0 && strcmp(b->cases[i].runs[0].record.kernel, kernel) == 0 &&
            matches(glob, b->cases[i].id))
            return true;
    return false;
}

static int by_kernel(const void *a, const void *b)
{
    return strcmp(((const att_declaration *)a)->kernel, ((const att_declaration *)b)->kernel);
}

/* What kernels of matching cases declare, anew. */
static bool declare(att_baseline *to, const att_baseline *from, const char *glob)
{
    const size_t room = to->n_declarations + from->n_declarations + 1;
    att_declaration *all = calloc(room, sizeof *all);
    size_t n = 0;
    bool good = all != NULL;

    for (size_t i = 0; good && i < from->n_declarations; i++)
        if (has_kernel(from, from->declarations[i].kernel, glob))
            good = att_declaration_copy(&from->declarations[i], &all[n++]);
    const size_t fresh = n;
    for (size_t i = 0; good && i < to->n_declarations; i++)
        if (!att_declaration_find(all, fresh, to->declarations[i].kernel))
            good = att_declaration_copy(&to->declarations[i], &all[n++]);
    if (good && n > 1)
        qsort(all, n, sizeof *all, by_kernel);
    att_declarations_drop(to->declarations, to->n_declarations);
    to->declarations = all;
    to->n_declarations = all ? n : 0;
    return good;
}

att_status att_baseline_accept(att_baseline *to, const att_baseline *from, const char *glob,
                               const char *reason, size_t *taken)
{
    *taken = 0;
    if (!to->suite && !(to->suite = strdup(from->suite)))
        return ATT_NO_MEMORY;
    if (!to->reason && !(to->reason = strdup(reason)))
        return ATT_NO_MEMORY;
    return merge(to, from, glob, reason, taken) && declare(to, from, glob) ? ATT_OK : ATT_NO_MEMORY;
}

size_t att_baseline_prune(att_baseline *b, const att_baseline *kept, const char *glob)
{
    size_t n = 0, removed, d = 0;

    for (size_t i = 0; i < b->n_cases; i++) {
        if (matches(glob, b->cases[i].id) && !att_baseline_find(kept, b->cases[i].id))
            att_baseline_case_drop(&b->cases[i]);
        else
            b->cases[n++] = b->cases[i];
    }
    removed = b->n_cases - n;
    b->n_cases = n;
    for (size_t i = 0; i < b->n_declarations; i++) {
        if (has_kernel(b, b->declarations[i].kernel, NULL))
            b->declarations[d++] = b->declarations[i];
        else
            free(b->declarations[i].kernel);
    }
    b->n_declarations = d;
    return removed;
}
