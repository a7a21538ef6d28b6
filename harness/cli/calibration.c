/* SPDX-License-Identifier: Apache-2.0 */
#include "calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The text, kept once; NULL = no memory. */
static const char *word(att_calibration *c, const char *text)
{
    for (size_t i = c->n_words; i-- > 0;)
        if (strcmp(c->words[i], text) == 0)
            return c->words[i];
    const char **more = realloc(c->words, (c->n_words + 1) * sizeof *more);
    char *kept = more ? att_arena_text(&c->arena, text) : NULL;
    if (more)
        c->words = more;
    if (kept)
        c->words[c->n_words++] = kept;
    return kept;
}

static double ratio_of(const att_metric *m)
{
    double ratio = m->limit == 0             ? fabs(m->value)
                   : m->better == ATT_HIGHER ? m->limit / m->value
                                             : m->value / m->limit;

    return isnan(ratio) ? (double)INFINITY : ratio;
}

static att_status add_point(att_calibration *c, const att_record *r, const att_metric *m)
{
    char dtype[32] = "-";

    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 4096;
        att_calibration_point *more = realloc(c->points, room * sizeof *more);
        if (!more)
            return ATT_NO_MEMORY;
        c->points = more;
        c->room = room;
    }
    att_record_param(r, "dtype", dtype, sizeof dtype);
    att_calibration_point p = {.measure = word(c, r->measure),
                               .metric = word(c, m->name),
                               .dtype = word(c, dtype),
                               .kernel = word(c, r->kernel),
                               .ratio = ratio_of(m),
                               .limit = m->limit};
    if (!p.measure || !p.metric || !p.dtype || !p.kernel)
        return ATT_NO_MEMORY;
    c->points[c->n++] = p;
    return ATT_OK;
}

static att_status add_alarm(att_calibration *c, const att_record *r)
{
    const char **more = realloc(c->alarms, (c->n_alarms + 1) * sizeof *more);

    if (!more)
        return ATT_NO_MEMORY;
    c->alarms = more;
    const char *line = att_arena_text(&c->arena, r->line);
    if (line)
        c->alarms[c->n_alarms++] = line;
    return line ? ATT_OK : ATT_NO_MEMORY;
}

att_status att_calibration_add(att_calibration *c, const att_result *result)
{
    att_status status = ATT_OK;

    for (size_t i = 0; i < result->n_records && status == ATT_OK; i++) {
        const att_record *r = &result->records[i];
        bool bad = r->status == ATT_FAIL || r->status == ATT_ERROR || r->status == ATT_CRASH ||
                   r->status == ATT_TIMEOUT;
        c->lost += r->status == ATT_NOT_RUN;
        c->cases += bad || r->status == ATT_PASS;
        if (bad)
            status = add_alarm(c, r);
        if (r->status != ATT_PASS && r->status != ATT_FAIL)
            continue;
        for (size_t m = 0; m < r->n_metrics && status == ATT_OK; m++)
            if (r->metrics[m].verdict >= 0)
                status = add_point(c, r, &r->metrics[m]);
    }
    return status;
}

static int by_name(const att_calibration_point *x, const att_calibration_point *y)
{
    int order = strcmp(x->measure, y->measure);

    order = order ? order : strcmp(x->metric, y->metric);
    return order ? order : strcmp(x->dtype, y->dtype);
}

static int by_ratio(const att_calibration_point *x, const att_calibration_point *y)
{
    return (x->ratio > y->ratio) - (x->ratio < y->ratio);
}

/* Equal ratios in the order of their kernels, so that the output does not depend on qsort. */
static int together(const void *a, const void *b)
{
    const att_calibration_point *x = a, *y = b;
    int order = by_name(x, y);

    order = order ? order : by_ratio(x, y);
    return order ? order : -strcmp(x->kernel, y->kernel);
}

static int apart(const void *a, const void *b)
{
    const att_calibration_point *x = a, *y = b;
    int order = by_name(x, y);

    order = order ? order : strcmp(x->kernel, y->kernel);
    return order ? order : by_ratio(x, y);
}

att_status att_calibration_rows(att_calibration *c, bool by_kernel, att_calibration_row **out,
                                size_t *n)
{
    att_calibration_row *rows = calloc(c->n + 1, sizeof *rows);

    *n = 0;
    *out = rows;
    if (!rows)
        return ATT_NO_MEMORY;
    if (c->n > 0)
        qsort(c->points, c->n, sizeof *c->points, by_kernel ? apart : together);
    for (size_t from = 0, to; from < c->n; from = to) {
        const att_calibration_point *p = &c->points[from];
        for (to = from; to < c->n; to++)
            if (by_name(p, &c->points[to]) != 0 ||
                (by_kernel && strcmp(p->kernel, c->points[to].kernel) != 0))
                break;
        const att_calibration_point *last = &c->points[to - 1];
        size_t at = from + (size_t)ceil(0.999 * (double)(to - from)) - 1;
        rows[(*n)++] = (att_calibration_row){.measure = p->measure,
                                             .metric = p->metric,
                                             .dtype = p->dtype,
                                             .kernel = last->kernel,
                                             .n = to - from,
                                             .limit = p->limit,
                                             .largest = last->ratio,
                                             .p999 = c->points[at].ratio};
    }
    return ATT_OK;
}

void att_calibration_drop(att_calibration *c)
{
    free(c->words);
    free(c->points);
    free(c->alarms);
    att_arena_drop(&c->arena);
    *c = (att_calibration){0};
}
