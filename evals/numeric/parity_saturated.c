/* SPDX-License-Identifier: Apache-2.0 */
/* Do probabilities that saturate explain a wrong output?
 *
 *   o = sum_j min(p_j, c) v_j / Z,   Z = sum p_j or sum min(p_j, c),   one c a row
 *
 * With the k largest probabilities cut, o is linear in c (with the second Z, o Z is), so the best c
 * of a row is a least-squares fit for each k.  Where one Z and a c a row bring every element within
 * 6 sigma of the output, and no more than half of a row's keys are cut, saturation is named.  A fit
 * of few columns says nothing: value_dim under 4 is not looked at.  O(pairs Dv). */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

#define LEAST_COLUMNS 4

typedef struct weight {
    double p;
    int64_t j;
} weight;

/* One row in work: weights from the largest on, the output, and what the rule allows it. */
typedef struct cut_row {
    parity_trial t; /* of the right reading, for its logits */
    const parity_inputs *in;
    int64_t r, n;
    weight *w;
    const double *v;                  /* the head's values, [Skv][Dv] */
    double *got, *sigma, *kept, *cut; /* [Dv]; sums of p v of uncut keys, of v of cut ones */
} cut_row;

static int by_size(const void *a, const void *b)
{
    double x = ((const weight *)a)->p, y = ((const weight *)b)->p;

    return (x < y) - (x > y);
}

/* The row's weights, summing to what the sink leaves of 1. */
static void weigh(cut_row *w)
{
    const parity_inputs *in = w->in;
    const parity_spec *s = &in->spec;
    int64_t b = w->r / (s->hq * s->sq), h = w->r / s->sq % s->hq;
    double lse = in->lse[w->r], rest = 1;

    if (in->plain.sinks.data)
        rest = 1 / (1 + exp(att_fp_load(in->plain.sinks.data, ATT_F32, h) - lse));
    w->n = 0;
    w->v = in->v + (b * s->hkv + h / (s->hq / s->hkv)) * s->sk * s->dv;
    for (int64_t j = 0; j < s->sk; j++)
        if (in->allowed[w->r * s->sk + j])
            w->w[w->n++] = (weight){rest * exp(parity_logit(&w->t, w->r, j) - lse), j};
    qsort(w->w, (size_t)w->n, sizeof *w->w, by_size);
}

/* Largest |got - o(c)| / 6 sigma with the k largest weights cut to c. */
static double distance(const cut_row *w, double c, double total)
{
    double worst = 0;

    for (int64_t d = 0; d < w->in->spec.dv; d++) {
        double e = fabs(w->got[d] - (w->kept[d] + c * w->cut[d]) / total);
        worst = att_error_fold(worst, w->sigma[d] > 0 ? e / (6 * w->sigma[d])
                                      : e > 0         ? (double)INFINITY
                                                      : 0);
    }
    return worst;
}

/* The best c between the k-th and the next weight; `summed`: Z is the sum of cut weights. */
static double fit(const cut_row *w, int64_t k, double uncut, bool summed)
{
    double top = w->w[k - 1].p, low = k < w->n ? w->w[k].p : 0, xy = 0, xx = 0;

    for (int64_t d = 0; d < w->in->spec.dv; d++) {
        double x = w->cut[d] - (summed ? (double)k * w->got[d] : 0);
        double y = w->got[d] * (summed ? uncut : 1) - w->kept[d];
        double share = w->sigma[d] > 0 ? 1 / (w->sigma[d] * w->sigma[d]) : 0;
        xy += share * x * y;
        xx += share * x * x;
    }
    double c = xx > 0 ? xy / xx : top;
    return c > top ? top : c < low ? low : c;
}

/* How well a cut explains the row; *cut: does it need one? */
static double explain(cut_row *w, bool summed, bool *cut)
{
    int64_t dv = w->in->spec.dv;
    double uncut = 0, best;

    for (int64_t d = 0; d < dv; d++)
        w->kept[d] = w->cut[d] = 0;
    for (int64_t n = 0; n < w->n; n++) {
        uncut += w->w[n].p;
        for (int64_t d = 0; d < dv; d++)
            w->kept[d] += w->w[n].p * w->v[w->w[n].j * dv + d];
    }
    best = distance(w, 0, 1);
    *cut = !(best <= 1);
    double rest = 1 - uncut; /* the sink's */
    for (int64_t k = 1; !(best <= 1) && k <= w->n / 2; k++) {
        const weight *from = &w->w[k - 1];
        uncut -= from->p;
        for (int64_t d = 0; d < dv; d++) {
            w->kept[d] -= from->p * w->v[from->j * dv + d];
            w->cut[d] += w->v[from->j * dv + d];
        }
        double c = fit(w, k, uncut + rest, summed);
        best = fmin(best, distance(w, c, summed ? uncut + rest + (double)k * c : 1));
    }
    return best;
}

/* Over all rows; NaN: not explained, or nothing is cut. */
static double explain_all(cut_row *w, const att_tensor *got, const again *g, bool summed)
{
    const parity_inputs *in = w->in;
    const parity_spec *s = &in->spec;
    double worst = 0, bound;
    bool any = false;

    for (w->r = 0; w->r < s->b * s->hq * s->sq && worst <= 1; w->r++) {
        bool cut = false;
        if (w->r % s->sq >= in->nq[w->r / (s->hq * s->sq)] || !isfinite(in->lse[w->r]))
            continue;
        for (int64_t d = 0; d < s->dv; d++) {
            w->got[d] = att_fp_load(got->data, got->dtype, w->r * s->dv + d);
            att_profile_element(g->profile, w->r, d, g->units, &w->sigma[d], &bound);
        }
        weigh(w);
        worst = att_error_fold(worst, explain(w, summed, &cut));
        any |= cut;
    }
    return any && worst <= 1 ? worst : (double)NAN;
}

void parity_saturated(const att_tensor *got, again *g)
{
    const parity_spec *s = &g->in->spec;
    size_t wide = (size_t)s->dv;
    double *room = calloc(4 * wide + 1, sizeof *room), ratio = (double)NAN;
    cut_row w = {.t = {.x = g->x, .in = g->in, .p = g->in->plain},
                 .in = g->in,
                 .w = calloc((size_t)s->sk + 1, sizeof *w.w)};

    if (room && w.w && s->dv >= LEAST_COLUMNS && s->hkv > 0 && parity_own_bias(&w.t)) {
        w.got = room;
        w.sigma = room + wide;
        w.kept = room + 2 * wide;
        w.cut = room + 3 * wide;
        ratio = explain_all(&w, got, g, false);
        if (isnan(ratio))
            ratio = explain_all(&w, got, g, true);
    }
    if (!isnan(ratio))
        parity_name(g, "fp8_p_saturation", ratio,
                    "the largest probabilities of a row cut to one size: they saturate");
    parity_trial_drop(&w.t);
    free(room);
    free(w.w);
}
