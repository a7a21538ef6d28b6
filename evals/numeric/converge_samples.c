/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that draw random numbers: R draws (seeds) at a budget m, 4 m and 16 m.
 *
 *   U_r = (o_r - o) exp(LSE_r - LSE)   where the kernel gives an LSE, else o_r - o
 *
 * is the error of the numerator against the true output, over the true denominator: its mean is 0
 * where numerator and denominator are unbiased (without an LSE: but for the ratio's bias, ~ 1/m).
 *
 *   bias      sum mean(U)^2 over sum s^2/R at 16 m: at worst, all elements moving as one, a squared
 *             t of R - 1 degrees of freedom, told as the normal deviate as unlikely as that
 *   rate      ln(E_m / E_16m) / ln 16 of the mean squared errors E; theory says 1, 1/2 is demanded
 *             (small m saturates), by standard errors of the ratio of means
 *   variance  for features of known variance: mean over draws of sum U^2 over its expectation, by
 *             standard errors above its largest value, 1 + 3 / (d + 1)
 *
 * A mean of skewed positive numbers has, by its own standard error, a thin upper tail, so that the
 * variance's side is the safe one.  To every variance the square of a bound on rounding is added.
 * Source: Wallace 1959, "Bounds on normal approximations to Student's distributions". */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/converge.h"

#define LEVELS 3

/* Sums over draws; all arrays one an element or a row. */
typedef struct tally {
    double *u, *u2;      /* [rows][Dv] sums of U and U^2, at 16 m */
    double *w, *w2;      /* [rows] of exp(LSE_r - LSE) - 1 */
    double *var, *var_w; /* closed forms for m = 1; NULL = none known */
    double *floor;       /* [rows][Dv] squares of what rounding may do */
    double *floor_w;     /* [rows] the same of exp(LSE_r - LSE) */
    double *error;       /* [LEVELS][R] squared relative errors */
    double *q, *q_w;     /* [R] sum U^2 over its expectation; of the LSE */
    double *uniform;     /* [rows][Dv] mean of v over the allowed keys */
    int64_t rows, cells, m;
} tally;

/* The normal deviate that is exceeded as seldom as the square root of t2, a squared t. */
static double deviate(double t2, double nu)
{
    return (8 * nu + 1) / (8 * nu + 3) * sqrt(nu * log1p(t2 / nu));
}

static double mean(const double *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

/* The mean's standard error. */
static double spread(const double *x, int64_t n)
{
    const double m = mean(x, n);
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - m) * (x[i] - m);
    return sqrt(sum / (double)(n - 1) / (double)n);
}

/* --------------------------------------------------------------------------- rounding */

/* f32 sums of n weights, each from an exponent of Dk products with |w| ~ sqrt(Dk), |x| = |y| =
 * sqrt(size); and the output's own rounding. */
static void bound_rounding(const converge_case *c, tally *t)
{
    const parity_spec *s = &c->in->spec;
    const double exponent = (double)(s->d + 4) * sqrt((double)s->d * fmax(1, c->size)) * 4;
    const double unit = c->units.acc * ((double)s->sk + exponent + 8);

    for (int64_t i = 0; i < t->cells; i++) {
        const int64_t row = i / s->dv, kv = row / s->sq / (s->hq / s->hkv);
        double most = 0, sum = 0, n = 0;
        for (int64_t j = 0; j < s->sk; j++) {
            const double v = c->in->v[(kv * s->sk + j) * s->dv + i % s->dv];
            if (!c->in->allowed[row * s->sk + j])
                continue;
            most = fmax(most, fabs(v));
            sum += v;
            n++;
        }
        t->uniform[i] = n > 0 ? sum / n : 0;
        const double off = most * (unit + c->units.out);
        t->floor[i] = off * off + DBL_MIN;
        t->floor_w[row] = pow(unit * (1 + fabs(c->in->lse[row])), 2);
    }
}

/* ------------------------------------------------------------------------------ draws */

/* How the LSE of this row came out against the true one, as a factor less 1. */
static double denominator(const converge_case *c, int64_t row)
{
    if (!c->p.lse.data)
        return 0;
    return expm1((double)((const float *)c->o.got_lse.data)[row] - c->in->lse[row]);
}

static void take(const converge_case *c, int64_t draw, tally *t)
{
    const parity_inputs *in = c->in;
    const int64_t dv = in->spec.dv;
    double square = 0, expected = 0, square_w = 0, expected_w = 0;

    for (int64_t row = 0; row < t->rows; row++) {
        if (!converge_row(in, row) || !isfinite(in->lse[row]))
            continue;
        const double w = denominator(c, row);
        t->w[row] += w;
        t->w2[row] += w * w;
        square_w += w * w;
        expected_w += (t->var_w ? t->var_w[row] / (double)t->m : 0) + t->floor_w[row];
        for (int64_t i = row * dv; i < (row + 1) * dv; i++) {
            const double u = (att_fp_load(c->o.got.data, c->o.got.dtype, i) - in->out[i]) * (1 + w);
            t->u[i] += u;
            t->u2[i] += u * u;
            square += u * u;
            expected += (t->var ? t->var[i] / (double)t->m : 0) + t->floor[i];
        }
    }
    t->q[draw] = expected > 0 ? square / expected : 0;
    t->q_w[draw] = expected_w > 0 ? square_w / expected_w : 0;
}

static att_status draw_all(converge_case *c, tally *t)
{
    att_status status = ATT_OK;
    int64_t m = c->base;

    for (int level = 0; level < LEVELS; level++, m *= 4)
        for (int64_t r = 0; r < c->draws && status == ATT_OK; r++) {
            status = converge_call(c, m, r + 1);
            if (status != ATT_OK)
                break;
            t->m = m;
            t->error[level * c->draws + r] = converge_error(c);
            if (level == LEVELS - 1)
                take(c, r, t);
        }
    return status;
}

/* ------------------------------------------------------------------------ what it says */

/* Of sums over R draws of n elements: are their means `away` (NULL = 0)? */
static double bias(const double *sum, const double *sum2, const double *off, const double *away,
                   int64_t n, int64_t draws)
{
    const double r = (double)draws;
    double square = 0, scatter = 0;

    for (int64_t i = 0; i < n; i++) {
        const double m = sum[i] / r;
        square += pow(m - (away ? away[i] : 0), 2);
        scatter += fmax(0, sum2[i] / r - m * m) / (r - 1) + off[i];
    }
    return square == 0 ? 0 : deviate(square / scatter, r - 1);
}

static double above(const double *x, int64_t n, double limit)
{
    const double over = mean(x, n) - limit, se = spread(x, n);

    if (!(over > 0))
        return isnan(over) ? over : 0;
    return deviate(pow(over / se, 2), (double)(n - 1));
}

/* Standard errors by which errors fall slower than the fourth root of the budget. */
static double rate_short(const converge_case *c, const tally *t, double rounding)
{
    const double *last = t->error + (LEVELS - 1) * c->draws;
    const double e0 = mean(t->error, c->draws), e1 = mean(last, c->draws);
    const double growth = log(pow(4, LEVELS - 1));
    const double slope = log(e0 / e1) / growth;
    const double se = hypot(spread(t->error, c->draws) / e0, spread(last, c->draws) / e1) / growth;

    if (e1 <= rounding || slope >= 0.5)
        return 0;
    return isnan(slope) ? slope : deviate(pow((0.5 - slope) / se, 2), (double)(c->draws - 1));
}

/* sum floor over sum o^2: below that an error is rounding. */
static double rounding_of(const converge_case *c, const tally *t)
{
    double off = 0, size = 0;

    for (int64_t i = 0; i < t->cells; i++) {
        off += t->floor[i];
        size += c->in->out[i] * c->in->out[i];
    }
    return size > 0 ? off / size : (double)INFINITY;
}

/* Does the estimate approach the plain mean of V instead?  U's mean is then (mean v - o) times the
 * mean denominator over the true one. */
static double as_uniform(const converge_case *c, tally *t)
{
    const int64_t dv = c->in->spec.dv;

    for (int64_t i = 0; i < t->cells; i++) {
        const double w = 1 + t->w[i / dv] / (double)c->draws;
        t->uniform[i] = (t->uniform[i] - c->in->out[i]) * w;
    }
    return bias(t->u, t->u2, t->floor, t->uniform, t->cells, c->draws);
}

static void explain(const converge_case *c, tally *t, double off, double variance)
{
    const double uniform = as_uniform(c, t), scatter = mean(t->q, c->draws);
    char text[160];

    if (off > 6 && uniform < 6)
        att_ctx_diagnose(c->x, "favor_two_projections", uniform / 6,
                         "on average all keys weigh the same: features of queries and keys differ");
    if (spread(t->error, c->draws) <= 0x1p-40 * mean(t->error, c->draws))
        att_ctx_diagnose(c->x, "seed_ignored", 0, "every seed gives the same answer");
    else if (off > 6 && uniform >= 6)
        att_ctx_diagnose(c->x, "features_biased", 1,
                         "the mean over seeds is neither dense attention nor the mean of V");
    if (off <= 6 && variance > 6) {
        snprintf(text, sizeof text, "unbiased, but scatters as if of %.3g times fewer features",
                 scatter);
        att_ctx_diagnose(c->x, "features_repeated", 0, text);
    }
}

static void record(converge_case *c, tally *t)
{
    const double limit = 1 + 3 / ((double)c->in->spec.d + 1);
    const double off = bias(t->u, t->u2, t->floor, NULL, t->cells, c->draws);
    const double rate = rate_short(c, t, rounding_of(c, t));
    double off_w = 0, scatter = 0;

    att_ctx_record(c->x, "bias", off);
    if (c->p.lse.data)
        att_ctx_record(c->x, "lse_bias",
                       off_w = bias(t->w, t->w2, t->floor_w, NULL, t->rows, c->draws));
    att_ctx_record(c->x, "rate_short", rate);
    if (t->var) {
        scatter = above(t->q, c->draws, limit);
        att_ctx_record(c->x, "variance", scatter);
        att_ctx_record(c->x, "variance_ratio", mean(t->q, c->draws));
        if (c->p.lse.data) {
            const double scatter_w = above(t->q_w, c->draws, limit);
            att_ctx_record(c->x, "lse_variance", scatter_w);
            scatter = att_error_fold(scatter, scatter_w);
        }
    }
    att_ctx_record(c->x, "error_first", sqrt(mean(t->error, c->draws)));
    att_ctx_record(c->x, "error_last", sqrt(mean(t->error + 2 * c->draws, c->draws)));
    if (!(off <= 6 && off_w <= 6 && rate <= 6 && scatter <= 6))
        explain(c, t, off, scatter);
}

static bool make_room(const converge_case *c, tally *t, double **room)
{
    const int64_t rows = t->rows, cells = t->cells, draws = c->draws;
    double *at = calloc((size_t)(5 * cells + 4 * rows + (LEVELS + 2) * draws) + 1, sizeof *at);

    *room = at;
    if (!at)
        return false;
    t->u = at;
    t->u2 = t->u + cells;
    t->floor = t->u2 + cells;
    t->uniform = t->floor + cells;
    t->var = t->uniform + cells;
    t->w = t->var + cells;
    t->w2 = t->w + rows;
    t->var_w = t->w2 + rows;
    t->floor_w = t->var_w + rows;
    t->error = t->floor_w + rows;
    t->q = t->error + LEVELS * draws;
    t->q_w = t->q + draws;
    return true;
}

att_status converge_samples(converge_case *c)
{
    const parity_spec *s = &c->in->spec;
    const bool features = parity_is(c->part.kernel->params[c->place].unit, "features");
    tally t = {.rows = s->b * s->hq * s->sq, .cells = s->b * s->hq * s->sq * s->dv};
    double *room = NULL;
    att_status status = make_room(c, &t, &room) ? ATT_OK : ATT_NO_MEMORY;

    if (status == ATT_OK && c->seed < 0) {
        att_ctx_why(c->x, "random draws without a seed to draw anew");
        status = ATT_UNSUPPORTED;
    }
    if (status == ATT_OK && c->size > 1) {
        att_ctx_why(c->x, "size > 1: the tails of random features are too heavy for a few draws");
        status = ATT_UNSUPPORTED;
    }
    if (status == ATT_OK)
        bound_rounding(c, &t);
    if (status == ATT_OK && features)
        status = converge_features(c->in, t.var, t.var_w);
    if (!features)
        t.var = t.var_w = NULL;
    if (status == ATT_OK)
        status = draw_all(c, &t);
    if (status == ATT_OK)
        record(c, &t);
    free(room);
    return status;
}
