/* SPDX-License-Identifier: Apache-2.0 */
/* Degrees of freedom of a row whose keys' errors lie in like directions.
 *
 * A row's errors are e = sum_i x_i w_i over independent sources i (a key's logit, a group's
 * probability, the denominator; one each d for what is independent), w_i the vector over d of their
 * sizes over sigma.  With S = sum w_i w_i^T, mean_d (e_d / sigma_d)^2 is spread as chi^2_nu / nu
 * with
 *
 *   nu = (tr S)^2 / tr(S^2)          (Satterthwaite 1946)
 *
 * att_error_nu takes the w_i as orthogonal, tr(S^2) = sum |w_i|^4, which is cheap and nu's upper
 * bound.  Where every V row is alike the w_i all point one way: 640 keys are then one degree of
 * freedom, not 640.  O((keys + groups) Dv^2), so only where a row is about to fail. */
#include <stdlib.h>
#include <string.h>

#include "core/error_lanes.h"

typedef struct moments {
    double *s; /* [wide][wide] */
    double *w; /* [wide], the vector in work; weighed by 1 / sigma */
    int64_t dv, wide;
} moments;

static void take(moments *m)
{
    for (int64_t d = 0; d < m->dv; d++) {
        double x = m->w[d];
        for (int64_t e = 0; x != 0 && e < m->wide; e += ATT_ERROR_LANES)
            add(m->s + d * m->wide + e, x * load(m->w + e));
    }
}

/* The larger of two sizes that v or v - o leaves, with its sign. */
static double most(double of_v, double of_off)
{
    return fabs(of_v) >= fabs(of_off) ? of_v : of_off;
}

/* Probabilities, by groups of equal logits or key by key, whichever the rule holds larger. */
static void take_probabilities(const att_error_keys *k, const att_error_sums *s, work *w,
                               const att_units *u, bool tied, moments *m)
{
    const tie *order = att_error_sorted(k, w);
    double unit = u->prob / sqrt(3), lost = u->prob_lost / sqrt(3);

    for (int64_t from = 0, to; from < k->n; from = to) {
        to = tied ? group_end(order, from, k->n) : from + 1;
        att_error_sum_group(k, s, w, order, from, to);
        for (int64_t d = 0; d < k->dv; d++) {
            double p = unit * most(w->group[0][d], w->group[1][d]);
            double flat = lost * most(w->group[2][d], w->group[3][d]);
            m->w[d] = copysign(hypot(p, flat), p) * sqrt(w->inverse[d]);
        }
        take(m);
    }
}

static void take_scores(const att_error_keys *k, const att_error_sums *s, const work *w, moments *m)
{
    for (int64_t j = 0; j < k->n; j++) {
        double factor = w->p[j] * w->eps[j];
        for (int64_t d = 0; d < k->dv && factor > 0; d++)
            m->w[d] = factor * (k->v[j][d] - s->column[ATT_SUM_O][d]) * sqrt(w->inverse[d]);
        if (factor > 0)
            take(m);
    }
}

static bool is_tied(const att_error_sums *s, const double *inverse, int64_t dv, const att_units *u)
{
    double tied = 0, each = 0;

    for (int64_t d = 0; d < dv; d++) {
        tied += att_error_part(ATT_PART_TIED, s, d, u->acc, u) * inverse[d];
        each += att_error_part(ATT_PART_EACH, s, d, u->acc, u) * inverse[d];
    }
    return tied >= each;
}

double att_error_nu_joint(const att_error_keys *k, const att_error_sums *s, const double *variance,
                          double u_acc, const att_units *u, void *room)
{
    work w = work_of(room, k->n, k->dv);
    att_error_sums lse = *s;
    moments m = {.dv = k->dv, .wide = att_error_pad(k->dv)};
    double trace = 0, square = 0;

    m.s = calloc((size_t)(m.wide * (m.wide + 1)), sizeof *m.s);
    if (!m.s)
        return (double)INFINITY;
    m.w = m.s + m.wide * m.wide;
    memset(w.inverse, 0, (size_t)m.wide * sizeof *w.inverse);
    for (int64_t d = 0; d < k->dv; d++)
        w.inverse[d] = isfinite(variance[d]) && variance[d] > 0 ? 1 / variance[d] : 0;
    att_error_weigh(k, u_acc, &w, &lse);
    take_scores(k, s, &w, &m);
    take_probabilities(k, s, &w, u, is_tied(s, w.inverse, k->dv, u), &m);
    for (int64_t d = 0; d < k->dv; d++)
        m.w[d] = sqrt(att_error_part(ATT_PART_SHARED, s, d, u_acc, u) * w.inverse[d]);
    take(&m);
    for (int64_t d = 0; d < k->dv; d++) {
        m.s[d * m.wide + d] += att_error_part(ATT_PART_FREE, s, d, u_acc, u) * w.inverse[d];
        trace += m.s[d * m.wide + d];
    }
    for (int64_t i = 0; i < m.wide * m.wide; i++)
        square += m.s[i] * m.s[i];
    free(m.s);
    return square > 0 ? trace * trace / square : (double)INFINITY;
}
