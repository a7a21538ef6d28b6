/* SPDX-License-Identifier: Apache-2.0 */
/* The rule in its two halves: sums over a row's keys, which do not depend on the kernel's output
 * and probability types, and what follows from them for given units. */
#ifndef ATT_ERROR_ROW_H
#define ATT_ERROR_ROW_H

#include "core/error.h"

/* Sums over keys, an array of att_error_pad(dv) each. */
typedef enum att_error_sum {
    ATT_SUM_O,      /* sum p v */
    ATT_SUM_AV,     /* sum p |v| */
    ATT_SUM_AD,     /* sum p |v - o| */
    ATT_SUM_V,      /* sum |v| */
    ATT_SUM_D,      /* sum |v - o| */
    ATT_SUM_SCORE,  /* sum (p eps (v - o))^2 */
    ATT_SUM_EACH_P, /* sum (p M)^2,  M = max(|v|, |v - o|) */
    ATT_SUM_EACH_W, /* sum M^2 */
    ATT_SUM_TIED_P, /* the same over groups of equal logits: max(|sum p v|, |sum p (v - o)|)^2 */
    ATT_SUM_TIED_W,
    ATT_SUM_FIRST, /* sum p |v - o| expm1(b) / sum p e^-b */
    ATT_SUM_OWN,   /* bound of this evaluation's own error in f64 */
    ATT_SUM_LO,    /* smallest and largest v */
    ATT_SUM_HI,
    ATT_SUMS
} att_error_sum;

typedef struct att_error_sums {
    double *column[ATT_SUMS];
    double lse, lse_bound, lse_own;
    int64_t n, groups, largest_group;
} att_error_sums;

/* Bytes of work memory for rows of up to n keys. */
size_t att_error_room(int64_t n, int64_t dv);
void att_error_sum_row(const att_error_keys *keys, double u_acc, void *room, att_error_sums *out);

/* Variance, B, and the part of B that rounding leaves (hull) at element d. */
double att_error_variance(const att_error_sums *sums, int64_t d, double u_acc, const att_units *u);
double att_error_bound(const att_error_sums *sums, int64_t d, double u_acc, const att_units *u,
                       double *widen);

/* What rounding the probabilities may add to an LSE's error, for n keys. */
double att_error_lse_prob(int64_t n, const att_units *u);

/* Effective degrees of freedom of the row, over the elements where variance[d] is finite.
 * columns_apart: output roundings count as independent over d, as in the rule's stored rows;
 * without it, elements of equal size count as one rounding. */
double att_error_nu(const att_error_keys *keys, const att_error_sums *sums, const double *variance,
                    double u_acc, const att_units *u, bool columns_apart, void *room);
/* The same without taking the sources of error as orthogonal over d: never larger, but for
 * rounding, and dearer (error_nu.c).  INFINITY where there is no memory for it. */
double att_error_nu_joint(const att_error_keys *keys, const att_error_sums *sums,
                          const double *variance, double u_acc, const att_units *u, void *room);
/* An upper bound of it from the sums alone. */
double att_error_nu_most(const att_error_sums *sums, int64_t dv, const double *variance,
                         double u_acc, const att_units *u);

#endif
