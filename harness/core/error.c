/* SPDX-License-Identifier: Apache-2.0 */
/* One output of a whole problem under the numeric rule, from the problem's profile: O(rows Dv).  A
 * row's exact degrees of freedom, O(n Dv), are worked out only where a cheap bound of them leaves
 * doubt. */
#include "core/error.h"

#include <math.h>

#include "base/fp.h"
#include "core/error_profile.h"

#define SIGMA_LIMIT 6

double att_error_fold(double m, double x)
{
    return isnan(m) || isnan(x) ? (double)NAN : x > m ? x : m;
}

att_status att_units_of(const att_precision *declared, int32_t in, int32_t out, att_units *units)
{
    int32_t prob = declared->prob == ATT_DTYPES ? in : declared->prob;
    att_format acc = att_fp_format(declared->acc), p = att_fp_format(prob),
               stored = att_fp_format(out);
    att_format o = declared->out == ATT_DTYPES ? stored : att_fp_format(declared->out);

    if (!(acc.unit > 0 && p.unit > 0 && o.unit > 0 && stored.unit > 0))
        return ATT_INVALID;
    o = o.unit > stored.unit ? o : stored; /* what is stored is rounded at least that far */
    *units = (att_units){acc.unit, p.unit,    p.half_subnormal,  o.unit,
                         o.tiny,   o.largest, acc.half_subnormal};
    return ATT_OK;
}

/* --------------------------------------------------------------------------- judging */

/* Running totals of one judgement. */
typedef struct tally {
    const att_profile *f;
    const att_units *u;
    att_error *e;
    double square, want_square, got_square, product, rounding;
} tally;

static void blame(tally *t, const char *what, int64_t r, int64_t d, double got, double want,
                  double allowed, double ratio)
{
    att_error *e = t->e;

    if (e->bad)
        return;
    e->bad = true;
    e->what = what;
    e->at[0] = r / (t->f->heads * t->f->q_len);
    e->at[1] = r / t->f->q_len % t->f->heads;
    e->at[2] = r % t->f->q_len;
    e->at[3] = d;
    e->got = got;
    e->want = want;
    e->allowed = allowed;
    e->ratio = ratio;
}

static double over(double e, double allowed)
{
    return e == 0 ? 0 : allowed > 0 ? e / allowed : (double)INFINITY;
}

/* Is got's NaN/Inf pattern what want and the output type's range ask for? */
static bool pattern_holds(double got, double want, double reach, double largest)
{
    if (isfinite(want))
        return isfinite(got) ||
               (isinf(got) && fabs(want) + reach > largest && (got > 0) == (want > 0));
    return !isfinite(got) && !(isinf(got) && isinf(want) && (got > 0) != (want > 0));
}

static void familiar(tally *t, double got, double want, int32_t dtype)
{
    double e = got - want;

    t->e->max_abs = att_error_fold(t->e->max_abs, fabs(e));
    t->square += e * e;
    t->want_square += want * want;
    t->got_square += got * got;
    t->product += got * want;
    t->rounding = fmax(t->rounding, fabs(att_fp_round(dtype, want) - want));
}

/* One element of row r; returns e^2 / variance, NAN where it does not count. */
static double judge_element(tally *t, int64_t r, int64_t d, double got, const att_error_sums *s,
                            int32_t dtype)
{
    double want = t->f->out[r * t->f->dv + d], widen = 0, bound = 0, own = 0, variance = 0;
    double lo = 0, hi = 0, e = fabs(got - want);

    if (t->f->n[r] > 0) {
        variance = att_error_variance(s, d, t->f->u_acc, t->u);
        own = s->column[ATT_SUM_OWN][d];
        bound = att_error_bound(s, d, t->f->u_acc, t->u, &widen) + own;
        lo = s->column[ATT_SUM_LO][d] - widen - own;
        hi = s->column[ATT_SUM_HI][d] + widen + own;
    }
    t->f->variance[d] = isfinite(want) ? variance : (double)NAN;
    if (!pattern_holds(got, want, bound, t->u->out_largest)) {
        t->e->nonfinite++;
        blame(t, "nonfinite", r, d, got, want, 0, (double)INFINITY);
    }
    if (!isfinite(got) || !isfinite(want))
        return (double)NAN;
    double sigma = sqrt(variance), sigmas = over(e, sigma), bounds = over(e, bound);
    bool inside = got >= lo && got <= hi;
    t->e->sigma_ratio = att_error_fold(t->e->sigma_ratio, sigmas);
    t->e->bound_ratio = att_error_fold(t->e->bound_ratio, bounds);
    t->e->hull += !inside;
    if (!(bounds <= 1))
        blame(t, "bound", r, d, got, want, bound, bounds);
    if (!(sigmas <= SIGMA_LIMIT))
        blame(t, "sigma", r, d, got, want, SIGMA_LIMIT * sigma, sigmas / SIGMA_LIMIT);
    if (!inside)
        blame(t, "hull", r, d, got, want, got < lo ? lo : hi, (double)INFINITY);
    familiar(t, got, want, dtype);
    return sigmas * sigmas;
}

static void judge_row(tally *t, int64_t r, double mean)
{
    const att_profile *f = t->f;
    att_error_sums sums = att_profile_sums(f, r);

    if (f->n[r] <= 0 || mean == 0)
        return;
    double most = att_error_nu_most(&sums, f->dv, f->variance, f->u_acc, t->u);
    if (mean / att_error_tau(most) <= t->e->row_ratio)
        return;
    att_error_keys keys = att_profile_keys(f, r);
    double nu = att_error_nu(&keys, &sums, f->variance, f->u_acc, t->u, false, f->room);
    if (!(mean <= att_error_tau(nu)))
        nu = fmin(nu, att_error_nu_joint(&keys, &sums, f->variance, f->u_acc, t->u, f->room));
    double tau = att_error_tau(nu);
    t->e->row_ratio = att_error_fold(t->e->row_ratio, mean / tau);
    if (!(mean <= tau))
        blame(t, "row", r, -1, mean, 0, tau, mean / tau);
}

static void judge_lse(tally *t, int64_t r, double got)
{
    double want = t->f->lse[r];
    bool holds = isfinite(want) ? isfinite(got) : isnan(want) ? !isfinite(got) : got == want;

    if (!holds) {
        t->e->nonfinite++;
        blame(t, "lse", r, -1, got, want, 0, (double)INFINITY);
    }
    if (!isfinite(want) || !isfinite(got))
        return;
    double bound = att_profile_lse_bound(t->f, r, t->u);
    double ratio = over(fabs(got - want), bound);
    t->e->lse_ratio = att_error_fold(t->e->lse_ratio, ratio);
    if (!(ratio <= 1))
        blame(t, "lse", r, -1, got, want, bound, ratio);
}

att_status att_error_judge(att_profile *f, const att_tensor *out, const att_tensor *lse,
                           const att_units *units, att_error *error)
{
    tally t = {.f = f, .u = units, .e = error};

    *error = (att_error){.what = ""};
    if (units->acc != f->u_acc || !(att_fp_format(out->dtype).unit > 0))
        return ATT_INVALID;
    for (int64_t r = 0; r < f->rows; r++) {
        int64_t b = r / (f->heads * f->q_len), h = r / f->q_len % f->heads, i = r % f->q_len;
        att_error_sums sums = att_profile_sums(f, r);
        double mean = 0;
        int64_t counted = 0;
        if (f->n[r] < 0)
            continue;
        for (int64_t d = 0; d < f->dv; d++) {
            double got = att_fp_load(out->data, out->dtype, att_tensor_at(out, b, h, i, d));
            double part = judge_element(&t, r, d, got, &sums, out->dtype);
            mean += isnan(part) ? 0 : part;
            counted += !isnan(part);
        }
        if (counted > 0)
            judge_row(&t, r, mean / (double)counted);
        if (lse && lse->data)
            judge_lse(&t, r, att_fp_load(lse->data, lse->dtype, att_tensor_at(lse, 0, b, h, i)));
        error->rows++;
        error->elements += f->dv;
    }
    error->nmse = over(t.square, t.want_square);
    double sizes = sqrt(t.want_square) * sqrt(t.got_square);
    error->cosine = sizes > 0 ? t.product / sizes : 1;
    error->twice_ratio = over(error->max_abs, 2 * t.rounding);
    return ATT_OK;
}

/* Of row r: the best dropped logit less its possible error, the worst kept one plus its own. */
static double row_gap(const att_profile *f, int64_t r, const uint8_t *kept, const uint8_t *among)
{
    int64_t low = -1, high = -1;

    for (int64_t n = f->first[r]; n < f->first[r] + f->n[r]; n++) {
        if (f->key[n] < 0 || (among && !among[f->key[n]]))
            continue;
        if (kept[f->key[n]] && (low < 0 || f->s[n] < f->s[low]))
            low = n;
        if (!kept[f->key[n]] && (high < 0 || f->s[n] > f->s[high]))
            high = n;
    }
    if (low < 0 || high < 0 || !(f->s[high] > f->s[low]))
        return 0;
    double slack = ((double)f->dk + 3) * (f->a[low] + f->a[high]) + 2 * (f->x[low] + f->x[high]);
    return over(f->s[high] - f->s[low], f->u_acc * slack);
}

double att_profile_gap(const att_profile *f, const uint8_t *kept, const uint8_t *among)
{
    double gap = 0;

    for (int64_t r = 0; r < f->rows; r++)
        if (f->n[r] > 0)
            gap = att_error_fold(
                gap, row_gap(f, r, kept + r * f->kv_len, among ? among + r * f->kv_len : NULL));
    return gap;
}

int64_t att_profile_short(const att_profile *f, const uint8_t *kept, const uint8_t *among,
                          int64_t k, int64_t *over)
{
    int64_t missing = 0;

    *over = 0;
    for (int64_t r = 0; r < f->rows; r++) {
        int64_t have = 0, all = 0, heavy = 0;
        const uint8_t *some = among ? among + r * f->kv_len : NULL;
        for (int64_t j = 0; j < f->kv_len; j++)
            have += kept[r * f->kv_len + j] && (!some || some[j]);
        for (int64_t n = f->first[r]; n < f->first[r] + f->n[r]; n++) {
            if (f->key[n] < 0 || (some && !some[f->key[n]]))
                continue;
            all++;
            heavy += f->s[n] != -(double)INFINITY;
        }
        all = all < k ? all : k;
        heavy = heavy < k ? heavy : k;
        missing += heavy > have ? heavy - have : 0;
        *over += have > all ? have - all : 0;
    }
    return missing;
}

bool att_profile_logits(const att_profile *f, int64_t r, double *s, double *b)
{
    for (int64_t j = 0; j < f->kv_len; j++) {
        s[j] = (double)NAN;
        b[j] = 0;
    }
    for (int64_t n = f->first[r]; n < f->first[r] + f->n[r]; n++)
        if (f->key[n] >= 0) {
            s[f->key[n]] = f->s[n];
            b[f->key[n]] = f->u_acc * (((double)f->dk + 3) * f->a[n] + 2 * f->x[n]);
        }
    return f->n[r] >= 0;
}

void att_profile_element(const att_profile *f, int64_t r, int64_t d, const att_units *units,
                         double *sigma, double *bound)
{
    double widen = 0;

    *sigma = *bound = 0;
    if (f->n[r] <= 0)
        return;
    att_error_sums s = att_profile_sums(f, r);
    *sigma = sqrt(att_error_variance(&s, d, f->u_acc, units));
    *bound = att_error_bound(&s, d, f->u_acc, units, &widen) + s.column[ATT_SUM_OWN][d];
}

double att_profile_lse_bound(const att_profile *f, int64_t r, const att_units *u)
{
    return f->n[r] > 0 ? f->lse_bound[r] + att_error_lse_prob(f->n[r], u) : 0;
}

double att_profile_slack(const att_profile *f, const att_units *units)
{
    double sum = 0, counted = 0;

    for (int64_t r = 0; r < f->rows; r++) {
        if (f->n[r] <= 0)
            continue;
        att_error_sums s = att_profile_sums(f, r);
        for (int64_t d = 0; d < f->dv; d++) {
            double variance = att_error_variance(&s, d, f->u_acc, units);
            if (variance > 0 && isfinite(variance)) {
                sum += log2(variance) / 2;
                counted++;
            }
        }
    }
    return counted > 0 ? sum / counted : 0;
}
