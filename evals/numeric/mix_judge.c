/* SPDX-License-Identifier: Apache-2.0 */
/* Judging a mix element by element: what must not be finite is looked at first, then |e| over its
 * worst and over its likely size (mix_walk.c).  Rows whose choice of keys is a near tie are
 * counted, not judged. */
#include <math.h>

#include "base/fp.h"
#include "evals/numeric/mix.h"

#define SIGMAS 6

static double over(double e, double size)
{
    return e == 0 ? 0 : size > 0 ? e / size : (double)INFINITY;
}

static void blame(mix_error *e, const mix_spec *s, int64_t at, double got, double want,
                  double allowed, double ratio)
{
    const int64_t row = at / s->dv;

    if (e->ratio > 0 || ratio <= 1)
        return;
    e->at[0] = row / s->sq / s->hq;
    e->at[1] = row / s->sq % s->hq;
    e->at[2] = row % s->sq;
    e->at[3] = at % s->dv;
    e->got = got;
    e->want = want;
    e->allowed = allowed;
    e->ratio = ratio;
}

void mix_judge(const mix_answer *want, const mix_spec *s, const att_tensor *got,
               const att_units *units, mix_error *e)
{
    double square = 0, want_square = 0;

    *e = (mix_error){0};
    for (int64_t at = 0; at < want->rows * want->dv; at++) {
        const double x = want->x[at], y = att_fp_load(got->data, got->dtype, at);
        const double allowed = want->worst[at] + want->own[at], off = fabs(y - x);
        const bool overflows = isinf(y) && fabs(x) + allowed > units->out_largest;
        if (want->skip[at / want->dv]) {
            e->unjudged += want->skip[at / want->dv] == 2 && at % want->dv == 0;
            continue;
        }
        e->elements++;
        if (isfinite(x) ? !isfinite(y) && !overflows : isfinite(y)) {
            e->nonfinite++;
            blame(e, s, at, y, x, allowed, (double)INFINITY);
        }
        if (!isfinite(x) || !isfinite(y))
            continue;
        const double bound = over(off, allowed), sigma = over(off, want->likely[at]);
        e->bound_ratio = att_error_fold(e->bound_ratio, bound);
        e->sigma_ratio = att_error_fold(e->sigma_ratio, sigma);
        e->max_abs = att_error_fold(e->max_abs, off);
        blame(e, s, at, y, x, allowed, fmax(bound, sigma / SIGMAS));
        square += off * off;
        want_square += x * x;
    }
    e->nmse = over(square, want_square);
}
