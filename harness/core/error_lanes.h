/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the rule share: vectors of doubles, a row's work memory, its keys in the
 * order of their logits, probabilities.  Private to error_*.c. */
#ifndef ATT_ERROR_LANES_H
#define ATT_ERROR_LANES_H

#include <math.h>

#include "core/error_row.h"

#define UNIT_F64 0x1p-53

/* Loaded and stored at any double's address. */
typedef double lanes __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t bits __attribute__((vector_size(16), aligned(8), may_alias));

static inline lanes magnitude(lanes x)
{
    return (lanes)((bits)x & INT64_MAX);
}

/* Lane by lane the larger; a NaN in either is kept by what is computed beside it. */
static inline lanes larger(lanes x, lanes y)
{
    bits first = (bits)(x > y);
    return (lanes)(((bits)x & first) | ((bits)y & ~first));
}

static inline lanes load(const double *from)
{
    return *(const lanes *)from;
}

static inline void store(double *to, lanes x)
{
    *(lanes *)to = x;
}

static inline void add(double *to, lanes x)
{
    *(lanes *)to += x;
}

typedef struct tie {
    double s;
    int64_t j;
} tie;

/* Work memory of a row: probabilities, factors, the order of the keys, group sums. */
typedef struct work {
    double *p, *eps, *b, *group[4], *inverse;
    double top, log_total; /* p = e^(s - top - log_total) */
    tie *order, *spare;
} work;

static inline work work_of(void *room, int64_t n, int64_t dv)
{
    int64_t wide = att_error_pad(dv);
    work w = {.p = room};

    w.eps = w.p + n;
    w.b = w.eps + n;
    for (int i = 0; i < 4; i++)
        w.group[i] = w.b + n + i * wide;
    w.inverse = w.b + n + 4 * wide;
    w.order = (tie *)(void *)(w.inverse + wide);
    w.spare = w.order + n;
    return w;
}

static inline int64_t group_end(const tie *order, int64_t from, int64_t n)
{
    int64_t to = from + 1;

    while (to < n && order[to].s == order[from].s)
        to++;
    return to;
}

/* The parts of an element's variance. */
typedef enum att_error_kind {
    ATT_PART_TIED, /* probabilities, keys of equal logits rounding alike */
    ATT_PART_EACH, /* probabilities, each for itself */
    ATT_PART_SHARED,
    ATT_PART_FREE
} att_error_kind;
double att_error_part(att_error_kind kind, const att_error_sums *s, int64_t d, double u_acc,
                      const att_units *u);

/* Keys by logit, so that equal ones lie together. */
const tie *att_error_sorted(const att_error_keys *k, work *w);

/* Probabilities, likely and worst logit errors (eps and b with u_acc in them), LSE. */
void att_error_weigh(const att_error_keys *k, double u_acc, work *w, att_error_sums *out);

/* Sums of one group of equal logits into w->group: p v, p (v - o), v, v - o. */
void att_error_sum_group(const att_error_keys *k, const att_error_sums *sums, const work *w,
                         const tie *order, int64_t from, int64_t to);

#endif
