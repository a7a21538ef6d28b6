/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/speed.h"

#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

void att_speed_drop(att_speed *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->at[i].measure);
        free(all->at[i].kernel);
        free(all->at[i].ratio);
    }
    free(all->at);
    *all = (att_speed){0};
}

/* The clock of a measure and kernel, made where it is not there; NULL: no memory. */
static att_speed_clock *clock_of(att_speed *all, const char *measure, const char *kernel)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->at[i].kernel, kernel) == 0 && strcmp(all->at[i].measure, measure) == 0)
            return &all->at[i];
    att_speed_clock *grown = realloc(all->at, (all->n + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    all->at = grown;
    att_speed_clock *c = &all->at[all->n++];
    *c = (att_speed_clock){.measure = strdup(measure), .kernel = strdup(kernel)};
    return c->measure && c->kernel ? c : NULL;
}

static int by_inputs(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int c = strcmp(x->measure, y->measure);

    c = c ? c : strcmp(x->params, y->params);
    return c ? c : (x->seed > y->seed) - (x->seed < y->seed);
}

static bool add_ratio(att_speed_clock *c, double ratio)
{
    if (c->n == c->room) {
        const size_t room = c->room ? 2 * c->room : 16;
        double *grown = realloc(c->ratio, room * sizeof *grown);
        if (!grown)
            return false;
        c->ratio = grown;
        c->room = room;
    }
    c->ratio[c->n++] = ratio;
    return true;
}

/* The record of a kernel among n; NULL = none that was timed. */
static const att_record *timed(const att_record *const *records, size_t n, const char *kernel)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(records[i]->kernel, kernel) == 0)
            return records[i]->status == ATT_PASS && records[i]->kernel_seconds > 0 ? records[i]
                                                                                    : NULL;
    return NULL;
}

bool att_speed_add(att_speed *all, const att_result *round, const char *const *base,
                   const char *const *head, size_t pairs)
{
    const att_record **sorted = calloc(round->n_records + 1, sizeof *sorted);
    bool good = sorted != NULL;

    for (size_t i = 0; good && i < round->n_records; i++)
        sorted[i] = &round->records[i];
    if (good && round->n_records > 1)
        qsort(sorted, round->n_records, sizeof *sorted, by_inputs);
    for (size_t i = 0, n; good && i < round->n_records; i += n) {
        n = 1;
        while (i + n < round->n_records && by_inputs(&sorted[i], &sorted[i + n]) == 0)
            n++;
        for (size_t p = 0; p < pairs && good; p++) {
            const att_record *was = timed(sorted + i, n, base[p]);
            const att_record *own = timed(sorted + i, n, head[p]);
            if (!was || !own)
                continue;
            att_speed_clock *c = clock_of(all, own->measure, head[p]);
            good = c && add_ratio(c, own->kernel_seconds / was->kernel_seconds);
        }
    }
    free(sorted);
    return good;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* How many of the smallest of n values the interval of the median leaves out on each side: sign
 * test, `level` a side; 0 = there are too few for one. */
static size_t rank_of(size_t n, double level)
{
    size_t k = 0;

    while (k < n / 2 && att_binomial_tail((int64_t)(n - k), (int64_t)n, 0.5) <= level)
        k++;
    return k;
}

static const att_record *record_of(const att_result *head, const att_speed_clock *c)
{
    for (size_t i = 0; i < head->n_records; i++)
        if (strcmp(head->records[i].kernel, c->kernel) == 0 &&
            strcmp(head->records[i].measure, c->measure) == 0)
            return &head->records[i];
    return NULL;
}

att_gate_time *att_speed_conclude(att_speed *all, const att_result *head, size_t *n)
{
    att_gate_time *out = calloc(all->n + 1, sizeof *out);

    *n = 0;
    for (size_t i = 0; out && i < all->n; i++) {
        att_speed_clock *c = &all->at[i];
        const att_record *r = record_of(head, c);
        const size_t k = rank_of(c->n, ATT_SPEED_LEVEL / 2 / (double)all->n);
        if (k == 0 || !r)
            continue;
        qsort(c->ratio, c->n, sizeof *c->ratio, by_value);
        out[(*n)++] = (att_gate_time){.record = r,
                                      .ratio = c->ratio[c->n / 2],
                                      .lo = c->ratio[k - 1],
                                      .hi = c->ratio[c->n - k],
                                      .pairs = c->n};
    }
    return out;
}
