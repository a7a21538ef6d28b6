/* SPDX-License-Identifier: Apache-2.0 */
/* The numeric rule on a merge, with what a merge may do and attention does not: weigh by
 * e^(l_i - LSE), with the LSE rounded, and divide by nothing.  All of a row's weights are then off
 * by one factor 1 + d,
 *
 *   |d| <= u_acc (|LSE| + n + 2 (1 + ln n))        rounding of m + ln s; the sum s; ln
 *
 * So of each element's error that multiple of the right result which fits the row best, within the
 * bound, is taken away as far as that makes it smaller; the rest is judged. */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/merge.h"

/* sum e o / sum o^2 over what is finite, cut to +-limit. */
static double common_factor(const double *got, const double *want, int64_t dv, double limit)
{
    double across = 0, along = 0, largest = 0;

    for (int64_t d = 0; d < dv; d++)
        if (isfinite(want[d]) && isfinite(got[d]))
            largest = fmax(largest, fabs(want[d]));
    for (int64_t d = 0; d < dv && largest > 0; d++) {
        if (!isfinite(want[d]) || !isfinite(got[d]))
            continue;
        double o = want[d] / largest;
        across += (got[d] / largest - o) * o;
        along += o * o;
    }
    return along > 0 ? fmax(-limit, fmin(limit, across / along)) : 0;
}

/* x without as much of `part` as brings it nearest to `want`. */
static double nearest(double x, double part, double want)
{
    double whole = x - part;

    if (!isfinite(part) || fabs(part) <= 0)
        return x;
    if ((x - want) * (whole - want) <= 0)
        return want;
    return fabs(whole - want) < fabs(x - want) ? whole : x;
}

att_status merge_judge(const merge_spec *s, const merge_answer *right, const att_tensor *got,
                       const att_tensor *lse, const att_units *units, att_error *e)
{
    int64_t rows = merge_rows(s), dv = s->dv;
    double n = s->parts > 1 ? (double)s->parts : 1;
    double *out = malloc((size_t)(rows * dv + 1) * sizeof *out);
    att_tensor rest = att_tensor_dense(out, ATT_F64, s->b * s->s, s->h, 1, dv);

    if (!out)
        return ATT_NO_MEMORY;
    for (int64_t row = 0; row < rows; row++) {
        double l = fabs(right->lse[row]);
        double limit = isfinite(l) ? units->acc * (l + n + 2 * (1 + log(n))) : 0;
        double *o = out + row * dv;
        const double *want = right->out + row * dv;
        for (int64_t d = 0; d < dv; d++)
            o[d] = att_fp_load(got->data, got->dtype, row * dv + d);
        double factor = common_factor(o, want, dv, limit);
        for (int64_t d = 0; d < dv; d++)
            o[d] = nearest(o[d], factor * want[d], want[d]);
    }
    att_status status = att_error_judge(right->profile, &rest, lse, units, e);
    free(out);
    return status;
}
