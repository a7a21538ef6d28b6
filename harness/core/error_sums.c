/* SPDX-License-Identifier: Apache-2.0 */
/* The sums over a row's keys that the numeric rule is made of (formulas: error_row.c).  O(n (Dk +
 * Dv)) and a sort of n logits; V goes by in vectors, twice, since deviations need o. */
#include <math.h>
#include <string.h>

#include "core/error_lanes.h"

size_t att_error_room(int64_t n, int64_t dv)
{
    size_t keys = (size_t)n, wide = (size_t)att_error_pad(dv);

    return (3 * keys + 5 * wide) * sizeof(double) + 2 * keys * sizeof(tie);
}

/* Keys by logit, so that equal ones lie together (merge sort, bottom up). */
const tie *att_error_sorted(const att_error_keys *k, work *w)
{
    tie *from = w->order, *to = w->spare;

    for (int64_t j = 0; j < k->n; j++)
        from[j] = (tie){k->s[j], j};
    for (int64_t run = 1; run < k->n; run *= 2) {
        for (int64_t at = 0; at < k->n; at += 2 * run) {
            int64_t mid = at + run < k->n ? at + run : k->n;
            int64_t end = mid + run < k->n ? mid + run : k->n, i = at, j = mid;
            for (int64_t o = at; o < end; o++)
                to[o] = j >= end || (i < mid && from[i].s <= from[j].s) ? from[i++] : from[j++];
        }
        tie *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* Probabilities, likely and worst logit errors (eps and b with u_acc in them), LSE. */
void att_error_weigh(const att_error_keys *k, double u_acc, work *w, att_error_sums *out)
{
    double top = -(double)INFINITY, total = 0, keys_total = 0, keys_top = top, spread = 0, own = 0;
    double wide = fmax(2, sqrt((double)k->dk / 3));
    int64_t keys = k->n - k->sink;

    for (int64_t j = 0; j < k->n; j++) {
        top = isnan(k->s[j]) || k->s[j] > top ? k->s[j] : top;
        if (j == keys - 1)
            keys_top = top;
    }
    for (int64_t j = 0; j < k->n; j++) {
        w->p[j] = exp(k->s[j] - top);
        total += w->p[j];
        if (j == keys - 1)
            keys_total = total;
    }
    w->top = top;
    /* cppcheck-suppress invalidFunctionArg ; of an empty row the logarithm is -inf, as it should be
     */
    w->log_total = log(total);
    out->lse = keys > 0 ? top + log(keys_total) : -(double)INFINITY;
    if (!(keys_total > 0) && keys > 0) { /* the sink dwarfs every key: start again without it */
        for (int64_t j = 0; j < keys; j++)
            keys_total += exp(k->s[j] - keys_top);
        out->lse = keys_top + log(keys_total);
    }
    for (int64_t j = 0; j < k->n; j++) {
        double far = fabs(k->s[j] - top);
        double x = k->sink && j == keys ? fabs(k->s[j]) + fabs(out->lse) : k->x[j];
        double worst = ((double)k->dk + 3) * k->a[j] + 2 * (1 + far) + 2 * x;
        double likely = fmax(wide * k->a[j], k->drift ? k->drift[j] : 0);
        w->eps[j] = u_acc * (likely + 2 * (1 + far) + x);
        w->b[j] = u_acc * worst;
        if (j < keys) {
            spread += exp(k->s[j] - out->lse) * w->b[j];
            own += exp(k->s[j] - out->lse) * UNIT_F64 * worst;
        }
        w->p[j] /= total;
    }
    double n = (double)keys, size = fabs(keys_top) + log(n > 0 ? n : 1);
    out->lse_bound = spread + (n + 2) * u_acc + 0x1p-24 * size;
    out->lse_own = own + (n + 2) * UNIT_F64 + UNIT_F64 * 4 * size;
}

static void zero(const att_error_sums *out, int64_t wide)
{
    for (int c = 0; c < ATT_SUMS; c++)
        memset(out->column[c], 0, (size_t)wide * sizeof(double));
}

/* Everything that needs no o. */
static void sum_values(const att_error_keys *k, const work *w, att_error_sums *out)
{
    int64_t wide = att_error_pad(k->dv);

    for (int64_t j = 0; j < k->n; j++)
        for (int64_t d = 0; d < wide; d += ATT_ERROR_LANES) {
            lanes v = load(k->v[j] + d), size = magnitude(v);
            add(out->column[ATT_SUM_O] + d, w->p[j] * v);
            add(out->column[ATT_SUM_AV] + d, w->p[j] * size);
            add(out->column[ATT_SUM_V] + d, size);
            lanes lo = load(out->column[ATT_SUM_LO] + d), hi = load(out->column[ATT_SUM_HI] + d);
            store(out->column[ATT_SUM_LO] + d, j ? -larger(-lo, -v) : v);
            store(out->column[ATT_SUM_HI] + d, j ? larger(hi, v) : v);
        }
}

/* p (e^b - 1) and p e^-b for p = e^s; b is some units roundoff nearly always.  Beyond e^300, where
 * the bound says nothing and the hull has to, both stop growing, lest 0 times infinity make a NaN.
 */
static void around(double p, double s, double b, double *minus, double *inverse)
{
    if (b < 1e-4) {
        *minus = p * (b * (1 + b * (0.5 + b / 6)));
        *inverse = p * (1 - b * (1 - b * (0.5 - b / 6)));
    } else if (b < 30) {
        *minus = p * expm1(b);
        *inverse = p * exp(-b);
    } else { /* NaN too */
        *minus = exp(s + b > 300 ? 300 : s + b);
        *inverse = p * exp(b > 300 ? -300 : -b);
    }
}

static void sum_deviations(const att_error_keys *k, double u_acc, const work *w,
                           att_error_sums *out)
{
    int64_t wide = att_error_pad(k->dv);
    double kept = 0;

    for (int64_t j = 0; j < k->n; j++) {
        double p = w->p[j], score = p * w->eps[j], minus, inverse;
        around(p, k->s[j] - w->top - w->log_total, w->b[j], &minus, &inverse);
        kept += inverse;
        double first = minus, own = p * w->b[j] * (UNIT_F64 / u_acc);
        for (int64_t d = 0; d < wide; d += ATT_ERROR_LANES) {
            lanes v = load(k->v[j] + d), off = v - load(out->column[ATT_SUM_O] + d);
            lanes size = magnitude(off), most = larger(magnitude(v), size), pm = p * most;
            add(out->column[ATT_SUM_AD] + d, p * size);
            add(out->column[ATT_SUM_D] + d, size);
            add(out->column[ATT_SUM_SCORE] + d, (score * off) * (score * off));
            add(out->column[ATT_SUM_EACH_P] + d, pm * pm);
            add(out->column[ATT_SUM_EACH_W] + d, most * most);
            add(out->column[ATT_SUM_FIRST] + d, first * size);
            add(out->column[ATT_SUM_OWN] + d, own * size);
        }
    }
    for (int64_t d = 0; d < wide; d++) {
        out->column[ATT_SUM_FIRST][d] /= kept;
        out->column[ATT_SUM_OWN][d] += (double)(k->n + 4) * UNIT_F64 *
                                       (out->column[ATT_SUM_AV][d] + out->column[ATT_SUM_AD][d]);
    }
}

/* Sums of one group of equal logits into w->group: p v, p (v - o), v, v - o. */
void att_error_sum_group(const att_error_keys *k, const att_error_sums *sums, const work *w,
                         const tie *order, int64_t from, int64_t to)
{
    int64_t wide = att_error_pad(k->dv);

    for (int i = 0; i < 4; i++)
        memset(w->group[i], 0, (size_t)wide * sizeof(double));
    for (; from < to; from++) {
        int64_t j = order[from].j;
        for (int64_t d = 0; d < wide; d += ATT_ERROR_LANES) {
            lanes v = load(k->v[j] + d), off = v - load(sums->column[ATT_SUM_O] + d);
            add(w->group[0] + d, w->p[j] * v);
            add(w->group[1] + d, w->p[j] * off);
            add(w->group[2] + d, v);
            add(w->group[3] + d, off);
        }
    }
}

static lanes group_part(const work *w, int64_t d, int weighted)
{
    int at = weighted ? 0 : 2;
    lanes most = larger(magnitude(load(w->group[at] + d)), magnitude(load(w->group[at + 1] + d)));

    return most * most;
}

static void sum_ties(const att_error_keys *k, work *w, att_error_sums *out)
{
    int64_t wide = att_error_pad(k->dv);
    const tie *order = att_error_sorted(k, w);

    out->groups = 0;
    out->largest_group = 0;
    for (int64_t from = 0, to; from < k->n; from = to, out->groups++) {
        to = group_end(order, from, k->n);
        out->largest_group = to - from > out->largest_group ? to - from : out->largest_group;
    }
    if (out->groups == k->n) {
        memcpy(out->column[ATT_SUM_TIED_P], out->column[ATT_SUM_EACH_P],
               (size_t)wide * sizeof(double));
        memcpy(out->column[ATT_SUM_TIED_W], out->column[ATT_SUM_EACH_W],
               (size_t)wide * sizeof(double));
        return;
    }
    for (int64_t from = 0, to; from < k->n; from = to) {
        to = group_end(order, from, k->n);
        att_error_sum_group(k, out, w, order, from, to);
        for (int64_t d = 0; d < wide; d += ATT_ERROR_LANES) {
            add(out->column[ATT_SUM_TIED_P] + d, group_part(w, d, 1));
            add(out->column[ATT_SUM_TIED_W] + d, group_part(w, d, 0));
        }
    }
}

void att_error_sum_row(const att_error_keys *k, double u_acc, void *room, att_error_sums *out)
{
    work w = work_of(room, k->n, k->dv);

    out->n = k->n;
    zero(out, att_error_pad(k->dv));
    att_error_weigh(k, u_acc, &w, out);
    sum_values(k, &w, out);
    sum_deviations(k, u_acc, &w, out);
    sum_ties(k, &w, out);
}
