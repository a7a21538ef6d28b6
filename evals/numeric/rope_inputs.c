/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into a case: its vectors, and its frequencies where they are scaled, stated by counting
 * turns over the original length instead of solving for the pair as kernels do.
 *
 *   turns(i) = L f_i / 2 pi     f_i = theta^(-2i/D)     rate_i = g_i f_i / s + (1 - g_i) f_i
 *   YaRN:    lo = the last i >= 0 with turns(i) >= fast (0: none), hi = the first with turns(i) <=
 *            slow, at most D - 1;  g_i from 0 at lo to 1 at hi;  gain 0.1 ln s + 1 unless given
 *   Llama 3: g_i from 0 at turns = fast to 1 at turns = slow;  gain 1
 * Source: Peng et al. 2023, "YaRN", and its code; Meta 2024, Llama 3.1. */
#include <math.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/rope.h"

static const struct {
    const char *name;
    int32_t kind;
    double factor, length, fast, slow, mscale;
} words[] = {
    {"yarn", ATT_ROPE_YARN, 4, 4096, 32, 1, 0},
    {"yarn_gain", ATT_ROPE_YARN, 16, 128, 8, 0.5, 1.25},
    {"llama3", ATT_ROPE_LLAMA3, 8, 8192, 4, 1, 0},
};

static double turns(const rope_case *c, double length, int64_t i)
{
    return length / (8 * atan(1.0)) * exp(-2 * (double)i / c->width * log(c->theta));
}

static double between(double x)
{
    return fmax(0, fmin(1, x));
}

static double by_pair(const rope_case *c, const att_rope *r, int64_t i)
{
    int64_t lo = 0, hi = 0, last = c->rotary - 1;

    while (lo < last && turns(c, r->original_len, lo + 1) >= r->fast)
        lo++;
    while (hi < last && turns(c, r->original_len, hi) > r->slow)
        hi++;
    return between((double)(i - lo) / (hi == lo ? 0.001 : (double)(hi - lo)));
}

static double by_turns(const rope_case *c, const att_rope *r, int64_t i)
{
    return between((r->fast - turns(c, r->original_len, i)) / (r->fast - r->slow));
}

void rope_rates(const rope_case *c, const att_rope *r, bool swapped, double *rate)
{
    for (int64_t i = 0; i < c->rotary / 2; i++) {
        bool pairs = (r->scaling == ATT_ROPE_YARN) != swapped;
        double f = pow(c->theta, -2 * (double)i / c->width);
        double g = pairs ? by_pair(c, r, i) : by_turns(c, r, i);
        rate[i] = g * f / r->factor + (1 - g) * f;
    }
}

double rope_gain(const att_rope *r)
{
    if (r->scaling != ATT_ROPE_YARN)
        return 1;
    return r->mscale > 0 ? r->mscale : 1 + log(r->factor) / 10;
}

void rope_scale(const char *word, att_rope *r)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (parity_is(words[i].name, word)) {
            r->scaling = words[i].kind;
            r->factor = words[i].factor;
            r->original_len = words[i].length;
            r->fast = words[i].fast;
            r->slow = words[i].slow;
            r->mscale = words[i].mscale;
        }
}

/* ------------------------------------------------------------------------------ vectors */

void rope_fill(const char *values, int32_t dtype, int64_t n, att_rng *rng, double *x)
{
    att_format f = att_fp_format(dtype);
    double size = parity_is(values, "large")   ? 1e3
                  : parity_is(values, "small") ? fmax(1e-6, f.tiny)
                                               : 1;

    for (int64_t i = 0; i < n; i++) {
        x[i] = size * att_rng_normal(rng);
        if (parity_is(values, "subnormal"))
            x[i] *= f.tiny * (att_rng_below(rng, 4) ? 0x1p6 : 0x1p-2);
        if (parity_is(values, "ones"))
            x[i] = 1;
        if (parity_is(values, "nan") && att_rng_below(rng, 16) == 0)
            x[i] = i % 2 ? (double)NAN : (double)INFINITY;
    }
}
