/* SPDX-License-Identifier: Apache-2.0 */
/* Intervals and paired tests of the suite.
 *
 * Every routine is exact or iterated to rounding; none folds a NaN away (a NaN in gives a NaN out,
 * which no comparison accepts).  Sources: Wilson 1927 (score interval); McNemar 1947 (exact form:
 * binomial tail at 1/2); Fisher 1935 (sign flips); Holm 1979; Kish 1965 with the
 * analysis-of-variance estimate of the intra-cluster correlation; Abramowitz and Stegun 26.2.23 for
 * a first guess; DLMF 8.17.22 for the incomplete beta function. */
#include "stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "rng.h"

/* ---------------------------------------------------------------------------- quantiles */

double att_normal_quantile(double p)
{
    if (!(p > 0.0 && p < 1.0))
        return p == 0.0 ? -INFINITY : p == 1.0 ? INFINITY : NAN;
    bool upper = p > 0.5;
    double tail = upper ? 1.0 - p : p; /* work in the lower tail, where erfc keeps its digits */
    double t = sqrt(-2.0 * log(tail));
    double x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                         (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))));

    /* Halley's step on the distribution function: the guess is good to 4.5e-4, the error is cubed
     */
    for (int i = 0; i < 3; i++) {
        double u = (0.5 * erfc(-x * M_SQRT1_2) - tail) * sqrt(2.0 * M_PI) * exp(0.5 * x * x);
        x -= u / (1.0 + 0.5 * x * u);
    }
    return upper ? -x : x;
}

/* The continued fraction of the incomplete beta function by modified Lentz steps. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);

    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 1000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double before = h;
        for (int half = 0; half < 2; half++) {
            double step = half ? odd : even;
            d = 1.0 + step * d;
            c = 1.0 + step / c;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            h *= d * c;
        }
        if (fabs(h - before) <= 1e-16 * fabs(h))
            break;
    }
    return h;
}

/* Regularised incomplete beta I_x(a, b). */
static double beta_share(double a, double b, double x)
{
    if (x <= 0.0 || x >= 1.0)
        return x <= 0.0 ? 0.0 : 1.0;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));

    return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                         : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

/* The t with P(|T| > t) = tail at `freedom` degrees of freedom, by bisection of a monotone
 * function. */
static double student_two_sided(double tail, double freedom)
{
    double lo = 0.0, hi = 1.0;

    while (beta_share(0.5 * freedom, 0.5, freedom / (freedom + hi * hi)) > tail && hi < 1e300)
        hi *= 2.0;
    for (int i = 0; i < 200 && lo < hi; i++) {
        double t = lo + 0.5 * (hi - lo);
        if (beta_share(0.5 * freedom, 0.5, freedom / (freedom + t * t)) > tail)
            lo = t;
        else
            hi = t;
    }
    return hi;
}

/* ---------------------------------------------------------------------------- intervals */

att_interval att_wilson(double hits, double n, double confidence)
{
    if (!(n > 0.0))
        return (att_interval){0.0, 1.0};
    double z = att_normal_quantile(0.5 + 0.5 * confidence), z2 = z * z;
    double p = hits / n;
    double centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    double half = z / (1.0 + z2 / n) * sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
    att_interval out = {centre - half, centre + half};

    /* at the ends the form gives exactly 0 and 1; rounding must not move them */
    if (hits <= 0.0)
        out.lo = 0.0;
    if (hits >= n)
        out.hi = 1.0;
    return out;
}

att_interval att_mean_interval(const double *x, size_t n, double confidence)
{
    if (n < 2)
        return (att_interval){-INFINITY, INFINITY};
    double mean = 0.0, squares = 0.0;

    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double half = student_two_sided(1.0 - confidence, (double)(n - 1)) *
                  sqrt(squares / ((double)(n - 1) * (double)n));
    return (att_interval){mean - half, mean + half};
}

/* --------------------------------------------------------------------------- paired tests */

double att_binomial_tail(int64_t k, int64_t n, double p)
{
    if (k <= 0 || k > n)
        return k <= 0 ? 1.0 : 0.0;
    return beta_share((double)k, (double)(n - k + 1), p);
}

double att_mcnemar_worse(int64_t losses, int64_t wins)
{
    if (losses < 0 || wins < 0)
        return NAN;
    double n = (double)losses + (double)wins;
    /* sum the side away from the middle: from its largest term outwards nothing underflows early */
    bool upper = losses > wins;
    double k = upper ? (double)losses : (double)losses - 1.0;

    if (k < 0.0)
        return 1.0;
    double term =
        exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * 0.6931471805599453);
    double sum = 0.0;
    for (; k >= 0.0 && k <= n && term > 0.0; k += upper ? 1.0 : -1.0) {
        sum += term;
        term *= upper ? (n - k) / (k + 1.0) : k / (n - k + 1.0);
    }
    return fmin(1.0, upper ? sum : 1.0 - sum);
}

/* reached[t]: the probability that the contexts so far, each counted or not by a fair coin, add up
 * to t; the sum of signed x is twice that minus the sum of |x|. */
static double flips_at_most(const double *x, size_t n, size_t total, size_t most)
{
    double *reached = calloc(total + 1, sizeof *reached), sum = 0.0;
    size_t top = 0;

    if (!reached)
        return NAN;
    reached[0] = 1.0;
    for (size_t i = 0; i < n; i++) {
        size_t step = (size_t)fabs(x[i]);
        if (step == 0)
            continue;
        top += step;
        for (size_t t = top; t >= step; t--)
            reached[t] = 0.5 * (reached[t] + reached[t - step]);
        for (size_t t = 0; t < step; t++)
            reached[t] *= 0.5;
    }
    for (size_t t = 0; t <= most; t++)
        sum += reached[t];
    free(reached);
    return fmin(1.0, sum);
}

double att_mcnemar_contexts(const double *x, size_t n)
{
    double total = 0.0, sum = 0.0;
    int64_t losses = 0, wins = 0;
    bool single = true;

    for (size_t i = 0; i < n; i++) {
        if (!(fabs(x[i]) <= 0x1p31) || x[i] != floor(x[i]))
            return NAN;
        total += fabs(x[i]);
        sum += x[i];
        losses += x[i] < 0;
        wins += x[i] > 0;
        single &= fabs(x[i]) <= 1.0;
    }
    if (single) /* keeps the digits of tails that the sums below would lose */
        return att_mcnemar_worse(losses, wins);
    return total > 0x1p31 ? NAN : flips_at_most(x, n, (size_t)total, (size_t)((total + sum) / 2));
}

/* sums[256 b + bits]: the signed sum of x[8 b] to x[8 b + 7], those of the set bits negative; a
 * flip of all signs is then one look-up for eight.  NULL = no memory. */
static double *eights(const double *x, size_t n)
{
    size_t blocks = (n + 7) / 8;
    double *sums = blocks < SIZE_MAX / 256 / sizeof *sums ? calloc(blocks * 256, sizeof *sums)
                                                          : NULL;

    for (size_t i = 0; sums && i < n; i++)
        for (size_t bits = 0; bits < 256; bits++)
            sums[i / 8 * 256 + bits] += (bits >> (i % 8)) & 1 ? -x[i] : x[i];
    return sums;
}

double att_signflip_less(const double *x, size_t n, uint64_t seed, size_t draws)
{
    double seen = 0.0, size = 0.0;

    for (size_t i = 0; i < n; i++) {
        seen += x[i];
        size += fabs(x[i]);
    }
    if (n == 0 || !isfinite(size))
        return n == 0 ? 1.0 : NAN;
    double *sums = eights(x, n);
    if (!sums)
        return NAN;
    /* a flip that gives the same sum must count as one, whatever the order of the additions */
    double limit = seen + 8.0 * (double)n * 0x1p-53 * size;
    bool exact = n <= 16;
    size_t trials = exact ? (size_t)1 << n : draws, as_low = 0, blocks = (n + 7) / 8;
    att_rng rng = att_rng_make(seed, "signflip");

    for (size_t t = 0; t < trials; t++) {
        uint64_t bits = t;
        double sum = 0.0;
        for (size_t b = 0; b < blocks; b++) {
            if (!exact && b % 8 == 0)
                bits = att_rng_u64(&rng);
            sum += sums[b * 256 + ((bits >> (b % 8 * 8)) & 255)];
        }
        as_low += sum <= limit;
    }
    free(sums);
    /* random flips: the observed one is a member of the set (Phipson and Smyth 2010) */
    return exact ? (double)as_low / (double)trials : (double)(as_low + 1) / (double)(trials + 1);
}

void att_holm(const double *p, size_t m, double *adjusted)
{
    double top = 0.0, last = -INFINITY;
    size_t last_at = 0;

    for (size_t i = 0; i < m; i++)
        adjusted[i] = p[i]; /* what the steps below do not reach is a NaN, and stays one */
    for (size_t step = 0; step < m; step++) {
        size_t next = m; /* the smallest (p, index) after the last one */
        for (size_t j = 0; j < m; j++) {
            bool after = p[j] > last || (step > 0 && p[j] == last && j > last_at);
            if (after && (next == m || p[j] < p[next]))
                next = j;
        }
        if (next == m)
            return;
        last = p[next];
        last_at = next;
        top = fmax(top, fmin(1.0, (double)(m - step) * last));
        adjusted[next] = top;
    }
}

/* ------------------------------------------------------------------------------- clusters */

typedef struct member {
    int32_t cluster;
    uint8_t hit;
} member;

static int by_cluster(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

size_t att_tarone(const double *least, size_t m, double level)
{
    for (size_t k = 1; k < m; k++) {
        size_t able = 0;
        for (size_t i = 0; i < m; i++)
            able += least[i] <= level / (double)k;
        if (able <= k)
            return k;
    }
    return m > 0 ? m : 1;
}

double att_design_effect(const uint8_t *hit, const int32_t *cluster, size_t n)
{
    if (n < 2)
        return 1.0;
    member *items = n > SIZE_MAX / sizeof *items ? NULL : malloc(n * sizeof *items);
    if (!items)
        return (double)n; /* the largest it can be: what is unknown never narrows an interval */

    double all = 0.0;
    for (size_t i = 0; i < n; i++) {
        items[i] = (member){cluster[i], hit[i] != 0};
        all += hit[i] != 0;
    }
    qsort(items, n, sizeof *items, by_cluster);

    double mean = all / (double)n, between = 0.0, within = 0.0, squares = 0.0, clusters = 0.0;
    for (size_t i = 0, end; i < n; i = end) {
        double hits = 0.0;
        for (end = i; end < n && items[end].cluster == items[i].cluster; end++)
            hits += items[end].hit;
        double m = (double)(end - i), share = hits / m;
        between += m * (share - mean) * (share - mean);
        within += m * share * (1.0 - share);
        squares += m * m;
        clusters += 1.0;
    }
    free(items);

    double count = (double)n, size = squares / count; /* what a cluster's member sees on average */
    if (clusters < 2.0)
        return count; /* one context says nothing about others */
    if (clusters >= count)
        return 1.0;
    double msb = between / (clusters - 1.0), msw = within / (count - clusters);
    double typical = (count - size) / (clusters - 1.0);
    double spread = msb + (typical - 1.0) * msw;
    double rho = spread > 0.0 ? (msb - msw) / spread : 0.0;

    return 1.0 + (size - 1.0) * fmin(1.0, fmax(0.0, rho));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y); /* NaN last: it reaches the upper quantiles and shows */
    return (x > y) - (x < y);
}

double att_quantile(double *x, size_t n, double q)
{
    if (n == 0 || !(q >= 0.0 && q <= 1.0))
        return NAN;
    qsort(x, n, sizeof *x, by_value);
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    double part = at - (double)i;

    return part == 0.0 || i + 1 >= n ? x[i] : x[i] + part * (x[i + 1] - x[i]);
}
