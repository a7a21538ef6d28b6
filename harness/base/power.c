/* SPDX-License-Identifier: Apache-2.0 */
/* Power of the exact McNemar test (Duffy 1984: the discordant pairs D are binomial, of them the
 * losses are binomial again):
 *
 *   power = sum over D of P(Binomial(n, loss + win) = D) P(Binomial(D, loss / (loss + win)) >=
 * c(D))
 *
 * c(D) the fewest losses of D whose tail is within the level.  The terms left out weigh 1e-12. */
#include "power.h"

#include <math.h>
#include <stdbool.h>

#include "stats.h"

#define MOST_ITEMS 10000000

/* log P(Binomial(n, p) = k), 0 < p < 1. */
static double log_term(int64_t n, int64_t k, double p)
{
    double m = (double)n, j = (double)k;

    return lgamma(m + 1) - lgamma(j + 1) - lgamma(m - j + 1) + j * log(p) + (m - j) * log1p(-p);
}

/* The fewest losses of `pairs` within the level; pairs + 1 where all of them are not enough. */
static int64_t critical(int64_t pairs, double level)
{
    int64_t lo = 0, hi = pairs + 1; /* the tail of hi is within the level, that of lo is not */

    while (hi - lo > 1) {
        int64_t middle = lo + (hi - lo) / 2;
        if (att_mcnemar_worse(middle, pairs - middle) <= level)
            hi = middle;
        else
            lo = middle;
    }
    return hi;
}

double att_mcnemar_power(int64_t n, double loss, double win, double level)
{
    double discordant = loss + win, power = 0.0;

    if (!(loss >= 0 && win >= 0 && discordant <= 1.0 && level > 0))
        return NAN;
    if (n <= 0 || discordant == 0)
        return 0.0;
    double reach = 8 * sqrt((double)n * discordant) + 16, middle = (double)n * discordant;
    int64_t from = (int64_t)fmax(0.0, middle - reach),
            to = (int64_t)fmin((double)n, middle + reach);
    int64_t least = critical(from, level);
    for (int64_t pairs = from; pairs <= to; pairs++) {
        /* one pair more asks for as many losses, or for one more */
        if (pairs > from && !(att_mcnemar_worse(least, pairs - least) <= level))
            least++;
        double weight = discordant >= 1 ? pairs == n : exp(log_term(n, pairs, discordant));
        if (weight > 1e-15 && least <= pairs)
            power += weight * (win > 0 ? att_binomial_tail(least, pairs, loss / discordant) : 1.0);
    }
    return fmin(1.0, power);
}

int64_t att_mcnemar_items(double loss, double win, double level, double power)
{
    int64_t lo = 0, hi = 1;

    if (!(loss > win) || !(loss + win <= 1.0))
        return -1;
    while (!(att_mcnemar_power(hi, loss, win, level) >= power)) {
        lo = hi;
        hi *= 2;
        if (hi > MOST_ITEMS)
            return -1;
    }
    while (hi - lo > 1) {
        int64_t middle = lo + (hi - lo) / 2;
        if (att_mcnemar_power(middle, loss, win, level) >= power)
            hi = middle;
        else
            lo = middle;
    }
    return hi;
}

double att_mcnemar_detectable(int64_t n, double win, double level, double power)
{
    double lo = 0.0, hi = 1.0 - 2 * win;

    if (!(hi > 0) || !(att_mcnemar_power(n, win + hi, win, level) >= power))
        return NAN;
    for (int i = 0; i < 24; i++) {
        double middle = 0.5 * (lo + hi);
        if (att_mcnemar_power(n, win + middle, win, level) >= power)
            hi = middle;
        else
            lo = middle;
    }
    return hi;
}

int64_t att_margin_items(double margin, double loss, double win, double effect, double confidence,
                         double power)
{
    /* a gain is not counted on: planned for as no difference */
    double worse = fmax(0.0, loss - win), z = att_normal_quantile(0.5 + confidence / 2);
    double both = z + att_normal_quantile(power);

    if (!(margin > worse) || !(effect >= 1.0))
        return -1;
    double spread = loss + win - (loss - win) * (loss - win);
    double sampled = effect * both * both * spread / ((margin - worse) * (margin - worse));
    /* even without a discordant pair the interval of n items reaches z sqrt(2) / (n + 2) down */
    double least = z * M_SQRT2 / margin - 2;
    double n = floor(fmax(sampled, least)) + 1;
    return n > 9e15 ? -1 : (int64_t)n;
}
