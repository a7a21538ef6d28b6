/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics of the suite: intervals and paired tests. */
#ifndef ATT_STATS_H
#define ATT_STATS_H

#include <stddef.h>
#include <stdint.h>

typedef struct att_interval {
    double lo, hi;
} att_interval;

/* Standard normal quantile, 0 < p < 1. */
double att_normal_quantile(double p);

/* Wilson score interval (Wilson 1927) of hits/n at two-sided level `confidence`; n may be an
 * effective, fractional number of items (design effect).  n = 0 gives [0, 1]. */
att_interval att_wilson(double hits, double n, double confidence);

/* P(Binomial(n, p) >= k). */
double att_binomial_tail(int64_t k, int64_t n, double p);

/* Exact one-sided McNemar: P(losses or more of losses + wins | no difference) = binomial tail. */
double att_mcnemar_worse(int64_t losses, int64_t wins);

/* The same by contexts: x[i] is a whole number, the wins of context i minus its losses, and whole
 * contexts change sides: P(sum of randomly signed x <= sum of x), exactly.  Where no |x[i]| exceeds
 * 1 this is att_mcnemar_worse.  NAN: no memory, or an x that is no whole number.  O(n sum |x|). */
double att_mcnemar_contexts(const double *x, size_t n);

/* One-sided paired sign-flip test of mean(x) < 0: exact for n <= 16, else `draws` random flips of
 * stream (seed, "signflip").  NAN: no memory, or an x that is not finite. */
double att_signflip_less(const double *x, size_t n, uint64_t seed, size_t draws);

/* Confidence interval of the mean of n cluster means (Student t). n < 2 gives [-inf, inf]. */
att_interval att_mean_interval(const double *x, size_t n, double confidence);

/* Holm 1979: adjusted p-values of m tests, in place of the caller's order. */
void att_holm(const double *p, size_t m, double *adjusted);

/* Tarone 1990: by how many tests the level is divided (Bonferroni), where least[i] is the smallest
 * p that test i can reach given how many pairs differ in it; what cannot reach the level does not
 * count.  At least 1. */
size_t att_tarone(const double *least, size_t m, double level);

/* Design effect of binary items in clusters (Kish 1965): cluster[i] of item i; at least 1. */
double att_design_effect(const uint8_t *hit, const int32_t *cluster, size_t n);

/* Quantile q of x (sorted in place, linear interpolation).  n > 0. */
double att_quantile(double *x, size_t n, double q);

#endif
