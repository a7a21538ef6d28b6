/* SPDX-License-Identifier: Apache-2.0 */
/* Top-p: the fewest of the largest weights that together reach p.
 *
 * A logit's error b_j moves its weight by a factor e^(2 b) at most, so a mass is known to
 * sum p_j expm1(2 b_j) and what summing adds, (n + 4) u; within that either count is right. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity_picks.h"

/* Weights p[j] of a row from logits s (NaN: no key) with errors b; the error of a sum of them, NaN
 * where they are not numbers. */
static double weights(const choice_head *c, const uint8_t *may, const double *s, const double *b,
                      double *p)
{
    const int64_t sk = c->in->spec.sk;
    double top = -(double)INFINITY, sum = 0, error = 0;
    int64_t n = 0;

    for (int64_t j = 0; j < sk; j++) { /* of a key allowed: then no weight is a number */
        if (may[j] && isnan(s[j]))
            return (double)NAN;
        top = s[j] > top ? s[j] : top;
    }
    for (int64_t j = 0; j < sk; j++) {
        p[j] = isnan(s[j]) ? 0 : exp(s[j] - top);
        sum += p[j];
    }
    for (int64_t j = 0; j < sk; j++) {
        p[j] /= sum;
        if (isnan(s[j]))
            continue;
        n++;
        error += p[j] > 0 ? p[j] * expm1(2 * (b[j] + 2 * c->u * (1 + fabs(s[j] - top)))) : 0;
    }
    return error + (double)(n + 4) * c->u;
}

/* The largest weight that was not kept. */
static double heaviest_left(const candidate *row, const double *p, const uint8_t *kept, int64_t n)
{
    double most = 0;

    for (int64_t j = 0; j < n; j++)
        most = row[j].may && !kept[j] && p[j] > most ? p[j] : most;
    return most;
}

static void judge_row(const choice_head *c, const double *s, const double *b, const double *p,
                      candidate *row, const uint8_t *kept, double slack, choice_tally *t)
{
    const int64_t sk = c->in->spec.sk;
    const double goal = c->v[0].f;
    double mass = 0, least = (double)INFINITY;
    int64_t have = 0, all = 0;
    choice_tally own = {0};

    for (int64_t j = 0; j < sk; j++) {
        row[j] = (candidate){.may = !isnan(s[j]), .score = s[j], .error = b[j]};
        all += row[j].may;
        if (!row[j].may || !kept[j])
            continue;
        row[j].kept = 1;
        have++;
        mass += p[j];
        least = p[j] < least ? p[j] : least;
    }
    choice_judge(row, sk, have, &own);
    t->gap = att_error_fold(t->gap, own.gap);
    const int64_t floor = c->v[1].i < all ? c->v[1].i : all;
    if (c->reading.crossing_left) { /* the most keys that do not go beyond it */
        const double next = heaviest_left(row, p, kept, sk);
        t->missing += have < floor || (have < all && mass + next <= goal - slack);
        t->over += have > floor && mass > goal + slack;
        return;
    }
    t->missing += have < floor || (have < all && mass < goal - slack);
    t->over += have > floor && mass - least >= goal + slack;
}

att_status choice_mass(const choice_head *c, choice_tally *t)
{
    const parity_spec *s = &c->in->spec;
    double *x = malloc((size_t)(3 * s->sk + 1) * sizeof *x);
    candidate *row = malloc((size_t)(s->sk + 1) * sizeof *row);

    for (int64_t i = 0; x && row && i < s->sq; i++) {
        double *b = x + s->sk, *p = b + s->sk;
        if (!att_profile_logits(c->profile, (c->b * s->hq + c->h) * s->sq + i, x, b))
            continue;
        const double slack = weights(c, c->may + i * s->sk, x, b, p);
        if (isfinite(slack))
            judge_row(c, x, b, p, row, c->kept + i * s->sk, slack, t);
    }
    const bool held = x && row;
    free(x);
    free(row);
    return held ? ATT_OK : ATT_NO_MEMORY;
}
