/* SPDX-License-Identifier: Apache-2.0 */
/* The numeric rule for one row: o = sum p_j v_j over n allowed keys, final logits s_j, row maximum
 * m, a_j = |scale| sum |q.k_j|, x_j the magnitudes of the intermediates after the dot product.
 *
 *   eps_j   = u_acc (max(2, sqrt(Dk/3)) a_j + 2 (1 + |s_j - m|) + x_j)        likely logit error
 *             (g equal products in a row drift together, as g equal addends of the denominator do:
 *             at least g/4 of their share of a_j)
 *   b_j     = u_acc ((Dk + 3) a_j + 2 (1 + |s_j - m|) + 2 x_j)                worst logit error
 *   sigma^2 = sum (p_j (v_j - o) eps_j)^2                                     score
 *           + max(sum_j P(p_j M_j, M_j), sum_groups P(|sum p v|, |sum v|))    probabilities
 *           + u_acc^2 n (sum p_j |v_j|)^2                                     numerator's sum
 *           + u_acc^2 (n o^2 + [g > 1] g^2/4 (sum p_j |v_j|)^2)               denominator
 *           + ulp_out(o)^2 / 12                                               P(x,y) = u_P^2/3 x^2
 * + w_P^2/3 y^2 rest    = u_P max(sum p|v|, sum p|v - o|) + n u_acc sum p|v| + w_P max(sum |v|, sum
 * |v - o|) B       = sum p|v - o| expm1(b) / sum p e^-b + rest, + ulp_out(|o| + B)/2 B_LSE   = sum
 * p b + (n + 2) u_acc + 2^-24 (|m| + ln n) nu      = 1 / (sum of squared shares of sigma^2: each
 * key's score, each group's P, the shared denominator; w_0^2/d for the rest, independent over the d
 * elements; c times that where elements come in groups of c that round alike)
 *
 * M_j = max(|v_j|, |v_j - o|), since kernels normalise by the sum of rounded or of unrounded
 * probabilities; groups are keys with equal logits, whose probabilities may round alike or not; g
 * equal addends summed in order drift together.  Every term is there because a right kernel failed
 * without it.  First-order analysis after Higham 2002; Blanchard, Higham and Higham 2021 for
 * softmax. */
#include "core/error_row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error_lanes.h"

/* ------------------------------------------------------------------ given the units */

/* 2 u 2^floor(log2 max(|x|, tiny)), by the exponent's bits. */
static double ulp(double x, double u, double tiny)
{
    uint64_t pattern;
    double power;

    x = fabs(x);
    x = x > tiny ? x : tiny;
    memcpy(&pattern, &x, sizeof pattern);
    pattern &= 0x7ff0000000000000u;
    memcpy(&power, &pattern, sizeof power);
    return power * 2 * u;
}

static double tied_part(const att_error_sums *s, int64_t d, const att_units *u)
{
    return u->prob * u->prob / 3 * s->column[ATT_SUM_TIED_P][d] +
           u->prob_lost * u->prob_lost / 3 * s->column[ATT_SUM_TIED_W][d];
}

static double each_part(const att_error_sums *s, int64_t d, const att_units *u)
{
    return u->prob * u->prob / 3 * s->column[ATT_SUM_EACH_P][d] +
           u->prob_lost * u->prob_lost / 3 * s->column[ATT_SUM_EACH_W][d];
}

static double shared_part(const att_error_sums *s, int64_t d, double u_acc)
{
    double o = s->column[ATT_SUM_O][d], av = s->column[ATT_SUM_AV][d], g = (double)s->largest_group;

    return u_acc * u_acc * ((double)s->n * o * o + (g > 1 ? g * g / 4 * av * av : 0));
}

/* How often the accumulator may underflow: a product and a rescaling a key, and the division
 * (Higham 2002, 2.8: fl(x y) = x y (1 + d) + e, |e| <= half the smallest subnormal); never where v
 * is 0. */
static double underflows(const att_error_sums *s, int64_t d)
{
    return s->column[ATT_SUM_V][d] > 0 ? 2 * (double)s->n + 1 : 0;
}

static double free_part(const att_error_sums *s, int64_t d, double u_acc, const att_units *u)
{
    double av = s->column[ATT_SUM_AV][d], last = ulp(s->column[ATT_SUM_O][d], u->out, u->out_tiny);

    return u_acc * u_acc * (double)s->n * av * av + last * last / 12 +
           underflows(s, d) * u->acc_lost * u->acc_lost / 3;
}

double att_error_part(att_error_kind kind, const att_error_sums *s, int64_t d, double u_acc,
                      const att_units *u)
{
    return kind == ATT_PART_TIED     ? tied_part(s, d, u)
           : kind == ATT_PART_EACH   ? each_part(s, d, u)
           : kind == ATT_PART_SHARED ? shared_part(s, d, u_acc)
                                     : free_part(s, d, u_acc, u);
}

double att_error_variance(const att_error_sums *s, int64_t d, double u_acc, const att_units *u)
{
    double tied = tied_part(s, d, u), each = each_part(s, d, u);

    return s->column[ATT_SUM_SCORE][d] + (tied >= each ? tied : each) + shared_part(s, d, u_acc) +
           free_part(s, d, u_acc, u);
}

double att_error_bound(const att_error_sums *s, int64_t d, double u_acc, const att_units *u,
                       double *widen)
{
    double o = s->column[ATT_SUM_O][d], av = s->column[ATT_SUM_AV][d],
           first = s->column[ATT_SUM_FIRST][d];
    double rest = u->prob * fmax(av, s->column[ATT_SUM_AD][d]) + (double)s->n * u_acc * av +
                  u->prob_lost * fmax(s->column[ATT_SUM_V][d], s->column[ATT_SUM_D][d]) +
                  underflows(s, d) * u->acc_lost;

    *widen = rest + ulp(fabs(o) + rest, u->out, u->out_tiny) / 2;
    return first + rest + ulp(fabs(o) + first + rest, u->out, u->out_tiny) / 2;
}

/* A kernel that normalises by the sum of rounded weights e^(s_j - m) has the logarithm of that sum
 * as its LSE: each weight is off by at most u_P of itself and w_P, the sum l >= 1 by u_P l + n w_P,
 * its logarithm by -ln(1 - u_P - n w_P).  Weights that are no coarser than the accumulator are
 * among the (n + 2) u_acc of B_LSE. */
double att_error_lse_prob(int64_t n, const att_units *u)
{
    double off = u->prob + (double)n * u->prob_lost;

    return u->prob <= u->acc ? 0 : off < 1 ? -log1p(-off) : (double)INFINITY;
}

double att_error_tau(double nu)
{
    double c = 2 / (9 * nu), root = 1 - c + 8 * sqrt(c);

    return root * root * root;
}

/* mean over the counted elements of x[d]^2 / variance[d], x given as lanes of squares. */
static double lane_sum(lanes x)
{
    return x[0] + x[1];
}

/* sum_d (p eps (v - o))^2 / variance: one key's share before the mean. */
static double score_share(const att_error_keys *k, const att_error_sums *s, const work *w,
                          int64_t j)
{
    double factor = w->p[j] * w->eps[j];
    lanes sum = {0};

    for (int64_t d = 0; d < att_error_pad(k->dv); d += ATT_ERROR_LANES) {
        lanes off = factor * (load(k->v[j] + d) - load(s->column[ATT_SUM_O] + d));
        lanes weight = load(w->inverse + d);
        sum += (lanes)((bits)(off * off * weight) & (bits)(weight > 0));
    }
    return lane_sum(sum);
}

/* One group's share of the P term; where rounding apart is larger, an equal part of that. */
static double group_share(const att_error_keys *k, const att_error_sums *s, const work *w,
                          const att_units *u)
{
    double sum = 0, p2 = u->prob * u->prob / 3, w2 = u->prob_lost * u->prob_lost / 3;

    for (int64_t d = 0; d < k->dv; d++) {
        if (!(w->inverse[d] > 0))
            continue;
        double each = each_part(s, d, u), part;
        if (tied_part(s, d, u) >= each || s->groups == s->n) {
            double weighted = fmax(fabs(w->group[0][d]), fabs(w->group[1][d]));
            double plain = fmax(fabs(w->group[2][d]), fabs(w->group[3][d]));
            part = p2 * weighted * weighted + w2 * plain * plain;
        } else {
            part = each / (double)s->groups;
        }
        sum += part * w->inverse[d];
    }
    return sum;
}

/* 1 / variance, 0 where there is none to speak of; returns how many elements count. */
static int64_t invert(const double *variance, int64_t dv, double *inverse)
{
    int64_t counted = 0;

    memset(inverse, 0, (size_t)att_error_pad(dv) * sizeof *inverse);
    for (int64_t d = 0; d < dv; d++)
        if (isfinite(variance[d])) {
            inverse[d] = variance[d] > 0 ? 1 / variance[d] : 1;
            counted++;
        }
    return counted;
}

/* Pairs of counted elements that round alike, each with itself among them: equal columns of V give
 * equal results, whose roundings are one rounding; an exact 0 is not rounded at all. */
static double alike(const double *o, const double *inverse, int64_t dv)
{
    double pairs = 0;

    for (int64_t d = 0; d < dv; d++)
        for (int64_t e = 0; e < dv && inverse[d] > 0; e++)
            pairs += d == e || (inverse[e] > 0 && o[d] != 0 && fabs(o[d]) == fabs(o[e]));
    return pairs;
}

double att_error_nu(const att_error_keys *k, const att_error_sums *s, const double *variance,
                    double u_acc, const att_units *u, bool columns_apart, void *room)
{
    work w = work_of(room, k->n, k->dv);
    att_error_sums lse = *s;
    double total = 0, shared = 0, loose = 0, count = (double)invert(variance, k->dv, w.inverse);

    att_error_weigh(k, u_acc, &w, &lse);
    for (int64_t j = 0; j < k->n; j++) {
        double share = score_share(k, s, &w, j) / count;
        total += share * share;
    }
    const tie *order = att_error_sorted(k, &w);
    for (int64_t from = 0, to; from < k->n; from = to) {
        to = group_end(order, from, k->n);
        att_error_sum_group(k, s, &w, order, from, to);
        double share = group_share(k, s, &w, u) / count;
        total += share * share;
    }
    for (int64_t d = 0; d < k->dv; d++)
        if (w.inverse[d] > 0) {
            shared += shared_part(s, d, u_acc) * w.inverse[d] / count;
            loose += free_part(s, d, u_acc, u) * w.inverse[d] / count;
        }
    loose /= count;
    double pairs = columns_apart ? count : alike(s->column[ATT_SUM_O], w.inverse, k->dv);
    total += shared * shared + loose * loose * pairs;
    return total > 0 ? 1 / total : (double)k->dv;
}

double att_error_nu_most(const att_error_sums *s, int64_t dv, const double *variance, double u_acc,
                         const att_units *u)
{
    double score = 0, prob = 0, shared = 0, loose = 0, count = 0;

    for (int64_t d = 0; d < dv; d++) {
        double v = variance[d];
        if (!isfinite(v))
            continue;
        v = v > 0 ? 1 / v : 1;
        count++;
        score += s->column[ATT_SUM_SCORE][d] * v;
        prob += fmax(tied_part(s, d, u), each_part(s, d, u)) * v;
        shared += shared_part(s, d, u_acc) * v;
        loose += free_part(s, d, u_acc, u) * v;
    }
    /* shares add up: the sum of their squares is least where they are equal */
    double total = score * score / (double)s->n + prob * prob / (double)s->groups +
                   shared * shared + loose * loose / count;
    return total > 0 ? count * count / total : (double)dv;
}

att_status att_error_row_of(const att_error_keys *k, const att_units *u, att_error_row *out)
{
    size_t wide = (size_t)att_error_pad(k->dv);
    double *columns = calloc((ATT_SUMS + 1) * wide + 1, sizeof *columns);
    void *room = malloc(att_error_room(k->n, k->dv) + 1);
    att_error_sums sums = {0};
    att_status status = ATT_NO_MEMORY;

    if (!columns || !room)
        goto done;
    for (int c = 0; c < ATT_SUMS; c++)
        sums.column[c] = columns + (size_t)c * wide;
    double *variance = columns + ATT_SUMS * wide;
    att_error_sum_row(k, u->acc, room, &sums);
    for (int64_t d = 0; d < k->dv; d++) {
        double widen;
        variance[d] = att_error_variance(&sums, d, u->acc, u);
        out->o[d] = sums.column[ATT_SUM_O][d];
        out->sigma[d] = sqrt(variance[d]);
        out->bound[d] = att_error_bound(&sums, d, u->acc, u, &widen);
        out->own[d] = sums.column[ATT_SUM_OWN][d];
        out->hull_lo[d] = sums.column[ATT_SUM_LO][d] - widen;
        out->hull_hi[d] = sums.column[ATT_SUM_HI][d] + widen;
    }
    out->lse = sums.lse;
    out->lse_bound = sums.lse_bound;
    out->lse_own = sums.lse_own;
    out->nu = att_error_nu(k, &sums, variance, u->acc, u, true, room);
    out->tau = att_error_tau(out->nu);
    status = ATT_OK;
done:
    free(columns);
    free(room);
    return status;
}
