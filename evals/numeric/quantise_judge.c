/* SPDX-License-Identifier: Apache-2.0 */
/* What a quantiser may be off by.  A = largest finite |x| that shares the element's scale:
 *
 *   int8:   A/254                half a step of 255 levels, whether they are centred on 0 or span
 *                                the group's range with 0 in it
 *   Q8_0:   A/254
 *   Q4_0:   A/14, or A/8 against the sign of the largest: levels run from -8 to 7
 *   fp8:    u |x| + (A/last) s   u = 2^-4, 2^-3; s half the smallest subnormal; last = 448 (with a
 *                                scale; else A/last = 1)
 *
 * and what rounding the scale to its type does to the last level, and f32 to the division.  A NaN
 * or Inf must not read back as a number, and harms no other element but those of its scale. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/quantise.h"

#define F32_SLACK (16 * 0x1p-24)

/* What the elements under one scale have in common. */
typedef struct cell {
    double most, signed_most; /* largest finite |x|, and that x */
    double first;
    int64_t n;    /* elements */
    bool differ;  /* are not all equal */
    bool tainted; /* holds NaN or Inf */
} cell;

static int64_t group_of(const quantise_case *c, const att_quant *q, const int64_t scales[4],
                        int64_t e)
{
    const int64_t *n = c->n;
    int64_t d = e % n[3], i2 = e / n[3] % n[2], head = e / n[3] / n[2];

    if (q->scheme == ATT_QUANT_BLOCK)
        return (head * n[2] + i2) * parity_code_units(c->how->dtype, n[3]) + d / ATT_FP_BLOCK;
    if (q->scheme != ATT_QUANT_AFFINE)
        return e; /* each for itself */
    int64_t token = scales[2] == 1 ? 0 : q->axis == 2 ? i2 / q->group : i2;
    return (head * scales[2] + token) * scales[3] + (q->axis == 3 ? d / q->group : d);
}

static void gather(cell *at, double x)
{
    at->tainted |= !isfinite(x);
    at->first = at->n++ ? at->first : x;
    at->differ |= x != at->first;
    if (isfinite(x) && fabs(x) > at->most) {
        at->most = fabs(x);
        at->signed_most = x;
    }
}

/* Largest error of a right quantiser's x. */
static double allowed(const quantise_case *c, const cell *of, double x)
{
    const parity_scheme *how = c->how;
    att_format code = att_fp_format(how->dtype), half = att_fp_format(ATT_F16);
    att_format scale = how->scales >= 0 ? att_fp_format(how->scales) : half;
    double A = of->most, last = how->dtype == ATT_I8 || how->dtype == ATT_Q8_0 ? 127 : 8;

    if (code.unit > 0) {
        double unit = how->scales >= 0 ? A / code.largest : 1;
        double lost = how->scales >= 0 ? scale.half_subnormal * code.largest : 0;
        return code.unit * fabs(x) + unit * code.half_subnormal + A * (scale.unit + F32_SLACK) +
               lost;
    }
    double rounding = fmax(scale.unit * A, scale.half_subnormal * last) + F32_SLACK * A;
    if (last == 8)
        return (x * of->signed_most < 0 ? A / 8 : A / 14) + rounding;
    return A / 254 + rounding;
}

/* Whose scale was wrong: one of equal numbers (zeros among them), of zeros alone, or of any. */
static void blame(const cell *of, quantise_score *s)
{
    s->bad++;
    s->bad_equal += !of->differ;
    s->bad_zero += of->most == 0;
}

static void worst_of(quantise_score *s, double ratio, double e, int64_t at)
{
    s->max_abs = fmax(s->max_abs, e);
    if (!(ratio <= s->ratio)) {
        s->ratio = ratio;
        s->at = s->nonfinite > 0 ? s->at : at;
    }
}

static void lose(quantise_score *s, int64_t at)
{
    if (s->nonfinite++ == 0)
        s->at = at;
}

static void judge_one(const quantise_case *c, const cell *of, double x, double got, int64_t at,
                      quantise_score *s)
{
    double e = fabs(got - x), most = allowed(c, of, x);

    if (isfinite(x) && !isfinite(got) && of->tainted)
        return;
    if (isfinite(x) != isfinite(got)) {
        lose(s, at);
        blame(of, s);
    }
    if (!isfinite(x) || !isfinite(got))
        return;
    if (!(e <= most))
        blame(of, s);
    worst_of(s, e == 0 ? 0 : most > 0 ? e / most : (double)INFINITY, e, at);
}

quantise_score quantise_judge(const quantise_case *c, const double *from, const double *got)
{
    int64_t scales[4] = {0}, cells = quantise_cells(c);
    att_quant q = parity_quant_of(c->how, c->n, scales);
    cell *groups = calloc((size_t)cells + 1, sizeof *groups);
    quantise_score s = {.at = -1};

    if (!groups)
        return (quantise_score){.nonfinite = (double)NAN, .ratio = (double)NAN, .at = -1};
    for (int64_t e = 0; e < cells; e++)
        gather(&groups[group_of(c, &q, scales, e)], from[e]);
    for (int64_t e = 0; e < cells; e++)
        judge_one(c, &groups[group_of(c, &q, scales, e)], from[e], got[e], e, &s);
    free(groups);
    return s;
}

quantise_score quantise_judge_back(const quantise_case *c, const double *exact, const double *got)
{
    att_format f = att_fp_format(c->dtype);
    quantise_score s = {.at = -1};

    for (int64_t e = 0; e < quantise_cells(c); e++) {
        double x = exact[e], off = fabs(got[e] - x);
        if (!isfinite(x) || !isfinite(got[e])) {
            if (isfinite(x) ? fabs(x) < f.largest : isfinite(got[e]))
                lose(&s, e);
            continue;
        }
        double most = fabs(x) * (f.unit + F32_SLACK) + f.half_subnormal;
        worst_of(&s, off / most, off, e);
    }
    return s;
}

int64_t quantise_prefix(const quantise_case *c, int64_t first)
{
    int64_t scales[4] = {0};
    att_quant q = parity_quant_of(c->how, c->n, scales);

    if (q.scheme != ATT_QUANT_AFFINE)
        return first;
    if (scales[2] == 1)
        return 0;
    return q.axis == 2 ? first / q.group * q.group : first;
}
