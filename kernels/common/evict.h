/* SPDX-License-Identifier: Apache-2.0 */
/* A cache of `budget` keys that evicts by accumulated attention (H2O).
 *
 *   before key t is appended to a full cache, of its keys up to t - recent the one of least mass
 *   goes (ties: the oldest);     mass_j += sum over the group's query heads of p_hj, each row
 *
 * p: a row's weights over the keys it sees, without a sink.  Mass is summed in f64; a NaN counts as
 * the largest.  Why a way: the zoo's wrong caches replace single steps.
 * O(S budget (Dk + Dv)); state: budget keys and their masses. */
#ifndef ATT_COMMON_EVICT_H
#define ATT_COMMON_EVICT_H

#include "common/stream.h"

enum { ATT_EVICT_BUDGET, ATT_EVICT_RECENT }; /* of the kernel's parameters */

/* Rows of a parameter table, with these defaults. */
#define ATT_EVICT_PARAMS(budget_, recent_)                                                         \
    {.name = "budget",                                                                             \
     .type = ATT_PARAM_INT,                                                                        \
     .unit = "keys",                                                                               \
     .fallback = budget_,                                                                          \
     .domain = "1:1073741824",                                                                     \
     .levels = "1 8 256",                                                                          \
     .help = "keys held at any time"},                                                             \
    {                                                                                              \
        .name = "recent", .type = ATT_PARAM_INT, .unit = "keys", .fallback = recent_,              \
        .domain = "1:1073741824", .levels = "1 4 128",                                             \
        .help = "of these, the last ones that are never evicted"                                   \
    }

typedef struct att_evict {
    int64_t n, budget, recent;
    int64_t *j; /* [budget] positions held, ascending */
    double *mass;
} att_evict;

/* The steps; NULL = done right. */
typedef struct att_evict_way {
    int64_t (*victim)(const att_evict *e, int64_t t); /* the place of the key that goes for t */
    int64_t (*read)(const att_evict *e, int64_t c);   /* the position that place c is read from */
} att_evict_way;

static inline int64_t att_evict_victim(const att_evict *e, int64_t t)
{
    int64_t least = 0;

    for (int64_t c = 1; c < e->n && e->j[c] <= t - e->recent; c++)
        if (e->mass[c] < e->mass[least] || (isnan(e->mass[least]) && !isnan(e->mass[c])))
            least = c;
    return least;
}

static inline void att_evict_append(const att_evict_way *way, att_evict *e, int64_t t)
{
    if (e->n == e->budget) {
        const int64_t gone = (way->victim ? way->victim : att_evict_victim)(e, t);
        const size_t behind = (size_t)(e->n - gone - 1);
        memmove(e->j + gone, e->j + gone + 1, behind * sizeof *e->j);
        memmove(e->mass + gone, e->mass + gone + 1, behind * sizeof *e->mass);
        e->n--;
    }
    e->j[e->n] = t;
    e->mass[e->n++] = 0;
}

/* Keys appended before the first row's have met no query: of those the last stay. */
static inline void att_evict_rows(const att_stream *w, att_list *l, float *room)
{
    const att_evict_way *way = w->way;
    att_evict e = {.budget = w->params[ATT_EVICT_BUDGET].i};
    int64_t first, next = 0;
    const int64_t group = att_stream_heads(w, l, &first);

    e.recent = att_min(att_max(1, w->params[ATT_EVICT_RECENT].i), e.budget);
    e.j = (int64_t *)(void *)room;
    e.mass = (double *)(void *)(e.j + att_min(e.budget, w->p->kv_len));
    for (int64_t i = 0; i < l->seq->q_len; i++) {
        att_row row = att_row_of(&w->rules, l->seq, first, i);
        for (; next < row.hi; next++)
            att_evict_append(way, &e, next);
        for (row.h = first; row.h < first + group; row.h++) {
            float top;
            for (l->n = 0; l->n < e.n; l->n++)
                l->j[l->n] = way->read ? way->read(&e, l->n) : e.j[l->n];
            att_list_scores(l, &row);
            const float sum = att_list_softmax(l, &top);
            if (w->allowed)
                memcpy(l->j, e.j, (size_t)e.n * sizeof *e.j);
            att_stream_answer(w, l, &row, top, sum);
            for (int64_t c = 0; c < e.n; c++)
                e.mass[c] += top == -INFINITY ? NAN : (double)l->x[c] / (double)sum;
        }
    }
}

static inline att_stream att_evict_stream(const att_problem *p, const att_value *params,
                                          const att_evict_way *way)
{
    return (att_stream){.p = p,
                        .params = params,
                        .way = way,
                        .rows = att_evict_rows,
                        .floats = 4 * att_min(params[ATT_EVICT_BUDGET].i, p->kv_len) + 16};
}

#endif
