/* SPDX-License-Identifier: Apache-2.0 */
/* Judging a recurrent kernel's results element by element: what must not be finite is looked at
 * first, then |e| over its worst and over its likely size (recur_walk.c). */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/recur.h"

/* One element's verdict. */
typedef struct verdict {
    bool nonfinite;
    double e, bound, sigma, allowed; /* |e|; over its worst; over its likely size; worst */
} verdict;

static double over(double e, double size)
{
    return e == 0 ? 0 : size > 0 ? e / size : (double)INFINITY;
}

static verdict weigh(const recur_field *f, int64_t i, double got, const att_units *u,
                     const att_format *stored)
{
    const double want = f->x[i], lost = f->lost[i] * u->acc_lost;
    const double worst = f->units[i] * (1.01 * u->acc + 0x1p-50) + lost;
    const double ulp = att_fp_ulp(stored, fabs(want) + worst), likely = f->sigma[i] * u->acc;
    const bool overflows = isinf(got) && fabs(want) + worst > stored->largest;
    verdict v = {.allowed = worst + ulp / 2};

    v.nonfinite = isfinite(want) ? !isfinite(got) && !overflows : isfinite(got);
    if (!isfinite(want) || !isfinite(got))
        return v;
    v.e = fabs(got - want);
    v.bound = over(v.e, v.allowed);
    v.sigma = over(v.e, sqrt(likely * likely + lost * lost + ulp * ulp / 12));
    return v;
}

static void blame(recur_error *e, const char *what, const att_tensor *t, int64_t i,
                  const verdict *v, double got, double want)
{
    const int64_t *n = t->shape;
    const double ratio = v->nonfinite ? (double)INFINITY : fmax(v->bound, v->sigma / 6);

    if (e->bad.what || !(ratio > 1))
        return;
    e->bad = (recur_bad){
        .what = what,
        .at = {i / n[3] / n[2] / n[1], i / n[3] / n[2] % n[1], i / n[3] % n[2], i % n[3]},
        .got = got,
        .want = want,
        .allowed = v->allowed,
        .ratio = ratio};
}

static void judge(const recur_field *f, const char *what, const att_tensor *got,
                  const att_units *units, const att_format *stored, recur_error *e, double *square,
                  double *want_square)
{
    const bool out = *what == 'o';

    for (int64_t i = 0; i < f->n && got->data; i++) {
        const double x = att_fp_load(got->data, got->dtype, i), want = f->x[i];
        const verdict v = weigh(f, i, x, units, stored);
        double *sigma = out ? &e->sigma_ratio : &e->state_sigma_ratio;
        double *bound = out ? &e->bound_ratio : &e->state_bound_ratio;
        e->elements++;
        e->nonfinite += v.nonfinite;
        *sigma = att_error_fold(*sigma, v.sigma);
        *bound = att_error_fold(*bound, v.bound);
        blame(e, what, got, i, &v, x, want);
        if (!out || !isfinite(want) || !isfinite(x))
            continue;
        e->max_abs = att_error_fold(e->max_abs, v.e);
        *square += v.e * v.e;
        *want_square += want * want;
    }
}

void recur_judge(const recur_spec *s, const recur_answer *want, const att_tensor *out,
                 const att_tensor *state, const att_tensor *z, const att_units *units,
                 recur_error *e)
{
    const att_format single = att_fp_format(ATT_F32);
    const att_format stored = {.unit = units->out,
                               .tiny = units->out_tiny,
                               .half_subnormal = 0,
                               .largest = units->out_largest};
    double square = 0, want_square = 0, none = 0;

    (void)s;
    *e = (recur_error){0};
    judge(&want->out, "out", out, units, &stored, e, &square, &want_square);
    judge(&want->s, "state", state, units, &single, e, &none, &none);
    judge(&want->z, "z", z, units, &single, e, &none, &none);
    e->nmse = square == 0 ? 0 : square / want_square;
}

static bool make_field(recur_field *f, int64_t n)
{
    double *x = calloc((size_t)(4 * n + 1), sizeof *x);

    *f = (recur_field){.x = x, .n = n};
    if (x)
        *f = (recur_field){x, x + n, x + 2 * n, x + 3 * n, n};
    return x != NULL;
}

att_status recur_answer_make(const recur_spec *s, recur_answer *out)
{
    *out = (recur_answer){0};
    if (make_field(&out->out, s->b * s->hq * s->t * s->dv) &&
        make_field(&out->s, s->b * s->hkv * recur_features(s) * s->dv) &&
        make_field(&out->z, s->b * s->hkv * recur_features(s)))
        return ATT_OK;
    recur_answer_drop(out);
    return ATT_NO_MEMORY;
}

void recur_answer_drop(recur_answer *a)
{
    free(a->out.x);
    free(a->s.x);
    free(a->z.x);
    *a = (recur_answer){0};
}
