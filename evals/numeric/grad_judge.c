/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's gradients against what the rule (grad_rule.c) says of each element. */
#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/grad.h"

#define SIGMA_LIMIT 6

typedef struct tally {
    const grad_inputs *g;
    const grad_answer *want;
    const att_units *units;
    grad_error *e;
    double square, want_square;
} tally;

/* Coordinates of element i of a gradient in what it is the gradient of. */
static void place(const grad_inputs *g, grad_of of, int64_t i, int64_t at[4])
{
    const parity_spec *s = &g->in->spec;
    const int64_t *bias = g->in->plain.bias.shape;
    const int64_t n[GRADS][3] = {{s->hq, s->sq, s->d},
                                 {s->hkv, s->sk, s->d},
                                 {s->hkv, s->sk, s->dv},
                                 {bias[1], bias[2], bias[3]}};

    for (int a = 3; a > 0; a--) {
        at[a] = i % n[of][a - 1];
        i /= n[of][a - 1];
    }
    at[0] = i;
}

static void blame(tally *t, const char *what, grad_of of, int64_t i, double got, double allowed,
                  double ratio)
{
    grad_error *e = t->e;

    if (e->what)
        return;
    e->what = what;
    e->of = of;
    place(t->g, of, i, e->at);
    e->got = got;
    e->want = t->want->of[of].x[i];
    e->allowed = allowed;
    e->ratio = ratio;
}

static double over(double e, double allowed)
{
    return e == 0 ? 0 : allowed > 0 ? e / allowed : (double)INFINITY;
}

/* Is the element within the lengths? */
static bool there(const grad_inputs *g, grad_of of, const int64_t at[4])
{
    return of == GRAD_DBIAS ? true
           : of == GRAD_DQ  ? at[2] < g->in->nq[at[0]]
                            : at[2] < g->in->nk[at[0]];
}

static void judge_element(tally *t, grad_of of, int64_t i, double got)
{
    const grad_field *f = &t->want->of[of];
    const double want = f->x[i], bound = f->bound[i], largest = t->units[of].out_largest;
    const double e = fabs(got - want), sigma = sqrt(f->variance[i]);
    const bool over_range = isinf(got) && fabs(want) + bound > largest && (got > 0) == (want > 0);
    grad_error *err = t->e;

    err->elements++;
    if (!f->reached[i] && (got != 0 || signbit(got))) {
        err->unreached++;
        blame(t, "not +0, though no pair adds to it", of, i, got, 0, (double)INFINITY);
    }
    if (isfinite(want) != isfinite(got) && !over_range) {
        err->nonfinite++;
        blame(t, "wrong NaN/Inf pattern", of, i, got, bound, (double)INFINITY);
    }
    if (!isfinite(want) || !isfinite(got))
        return;
    err->compared++;
    const double bounds = over(e, bound), sigmas = over(e, sigma);
    err->bound_ratio[of] = att_error_fold(err->bound_ratio[of], bounds);
    err->sigma_ratio[of] = att_error_fold(err->sigma_ratio[of], sigmas);
    if (!(bounds <= 1))
        blame(t, "over its bound", of, i, got, bound, bounds);
    if (!(sigmas <= SIGMA_LIMIT))
        blame(t, "over 6 sigma", of, i, got, SIGMA_LIMIT * sigma, sigmas / SIGMA_LIMIT);
    err->max_abs = att_error_fold(err->max_abs, e);
    t->square += e * e;
    t->want_square += want * want;
}

void grad_judge(const grad_inputs *g, const grad_answer *want, const att_tensor got[GRADS],
                const att_units units[GRADS], grad_error *e)
{
    tally t = {.g = g, .want = want, .units = units, .e = e};
    int64_t at[4];

    *e = (grad_error){0};
    for (int of = 0; of < GRADS; of++)
        for (int64_t i = 0; got[of].data && i < g->n[of]; i++) {
            place(g, of, i, at);
            if (there(g, of, at))
                judge_element(&t, of, i, att_fp_load(got[of].data, got[of].dtype, i));
        }
    e->nmse = over(t.square, t.want_square);
}
