/* SPDX-License-Identifier: Apache-2.0 */
/* f64 gradients against central differences of the oracle's forward, a tensor at a time.
 *
 *   L(x) = sum dout . out(x)     g.u = (L(x + h u) - L(x - h u)) / 2h + e     u random, normal
 *   |e| <= h^2/6 max |L'''| + N/h + sum |u| B        B: the bound of f64 gradients (grad_rule.c)
 *
 * N, the forward's rounding: sum over rows and d of |dout| (sum p |v - o| expm1(d) + 4 2^-53 sum p
 * |v|), the oracle's own bound (kernels/exact/reference_f64.c).  L''' of a row, by the cumulants of
 * z = dout.v and of the logits' derivatives s' along u (x'' = 0, since u moves one tensor; V moves
 * out linearly, so its L''' is 0):
 *   L''' = k4(z, s', s', s') + 3 k3(z, s', s'') + k2(z, s''')
 *        <= E|zc| |sc|^3 + 3 E|zc sc| E sc^2 + 6 max|s''| E|zc sc| + 2 max|s'''| E|zc|
 * c: centred; cap: |s''| <= 0.77 x'^2 / cap, |s'''| <= 2 |x'|^3 / cap^2.  h = (3 N / L''')^(1/3)
 * balances both; h max |sc| <= 1/64 keeps every p within e^(1/16) of where it was, which a factor 2
 * on L''' and on N covers.  Where a direction is off, halves of it are tried down to one element.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/error_profile.h"
#include "evals/numeric/grad.h"

#define U     0x1p-53
#define REACH 0x1p-6 /* of h max |sc| */
#define STEP  0x1p-2 /* along V, and the longest along anything */
#define SLACK 2.0

typedef struct probe {
    att_ctx *x;
    const grad_inputs *g;
    const att_profile *f;
    att_problem p;
    double *moved[GRADS];      /* q, k, v, bias as they are asked about */
    double *start[GRADS];      /* and as they were */
    double *u, *out, *s1, *p1; /* the direction; [Skv + 1] of a row: s', p */
    double noise;
} probe;

/* ------------------------------------------------------------------------------ a row */

/* log of the sum of all weights, sink and all, and p of each pair into o->p1. */
static double weights(probe *o, int64_t r)
{
    const att_profile *f = o->f;
    const double *s = f->s + f->first[r];
    double top = -(double)INFINITY, sum = 0;

    for (int64_t n = 0; n < f->n[r]; n++)
        top = fmax(top, s[n]);
    for (int64_t n = 0; n < f->n[r]; n++)
        sum += o->p1[n] = exp(s[n] - top);
    for (int64_t n = 0; n < f->n[r]; n++)
        o->p1[n] /= sum;
    return top;
}

static const double *value_row(const probe *o, int64_t r, int64_t n)
{
    const att_profile *f = o->f;
    const int32_t key = f->key[f->first[r] + n];

    return key < 0 ? f->zeros : f->values + (r / f->q_len / f->group * f->kv_len + key) * f->wide;
}

/* The row's share of N. */
static double row_noise(probe *o, int64_t r)
{
    const att_profile *f = o->f;
    const double *out = f->out + r * f->dv, *dout = o->g->dout_x + r * f->dv;
    const double top = weights(o, r);
    double noise = 0;

    for (int64_t n = 0; n < f->n[r]; n++) {
        const int64_t at = f->first[r] + n;
        const double *v = value_row(o, r, n);
        const double d =
            U * (((double)f->dk + 3) * f->a[at] + 2 * (1 + fabs(f->s[at] - top)) + 2 * f->x[at]);
        for (int64_t c = 0; c < f->dv; c++)
            noise += o->p1[n] * fabs(dout[c]) *
                     (fabs(v[c] - out[c]) * expm1(d) + 4 * U * fabs(v[c]));
    }
    return noise;
}

/* x' of pair n of row r along u. */
static double slope_along(const probe *o, grad_of of, int64_t r, int64_t n)
{
    const att_profile *f = o->f;
    const int32_t j = f->key[f->first[r] + n];
    const int64_t head = r / f->q_len, key = (head / f->group * f->kv_len + j) * f->dk;
    const double *a = of == GRAD_DQ ? o->u + r * f->dk : o->start[GRAD_DQ] + r * f->dk;
    const double *b = of == GRAD_DK ? o->u + key : o->start[GRAD_DK] + key;
    double sum = 0;

    if (j < 0)
        return 0;
    if (of == GRAD_DBIAS) {
        const int64_t at[4] = {head / f->heads, head % f->heads, r % f->q_len, j};
        const int64_t *m = o->p.bias.shape;
        int64_t cell = 0;
        for (int d = 0; d < 4; d++)
            cell = cell * m[d] + (m[d] == 1 ? 0 : at[d]);
        return o->u[cell];
    }
    for (int64_t d = 0; d < f->dk; d++)
        sum += a[d] * b[d];
    return att_scale(&o->p) * sum;
}

/* The bound of |L'''| of row r, and its largest |sc| into *reach. */
static double row_third(probe *o, grad_of of, int64_t r, double *reach)
{
    const att_profile *f = o->f;
    const double *dout = o->g->dout_x + r * f->dv, cap = o->p.softcap;
    double mean = 0, mean_z = 0, cubes = 0, products = 0, squares = 0, sizes = 0, s2 = 0, s3 = 0;

    weights(o, r);
    for (int64_t n = 0; n < f->n[r]; n++) {
        const double x = slope_along(o, of, r, n);
        o->s1[n] = x; /* |s'| <= |x'|; the cap only shrinks it */
        mean += o->p1[n] * (cap > 0 ? fabs(x) : x);
        if (cap > 0 && of != GRAD_DBIAS) {
            s2 = fmax(s2, 0.77 * x * x / cap);
            s3 = fmax(s3, 2 * fabs(x * x * x) / (cap * cap));
        }
    }
    for (int64_t n = 0; n < f->n[r]; n++)
        for (int64_t c = 0; c < f->dv; c++)
            mean_z += o->p1[n] * dout[c] * value_row(o, r, n)[c];
    for (int64_t n = 0; n < f->n[r]; n++) {
        const double *v = value_row(o, r, n);
        double z = -mean_z;
        for (int64_t c = 0; c < f->dv; c++)
            z += dout[c] * v[c];
        /* with a cap each s' lies between 0 and x' */
        const double y = cap > 0 ? fabs(o->s1[n]) + fabs(mean) : fabs(o->s1[n] - mean);
        cubes += o->p1[n] * fabs(z) * y * y * y;
        products += o->p1[n] * fabs(z) * y;
        squares += o->p1[n] * y * y;
        sizes += o->p1[n] * fabs(z);
        *reach = fmax(*reach, y);
    }
    return cubes + 3 * products * squares + 6 * s2 * products + 2 * s3 * sizes;
}

/* ------------------------------------------------------------------------- a direction */

/* L at x + h u of tensor `of`. */
static att_status loss(probe *o, grad_of of, double h, long double *sum)
{
    const grad_inputs *g = o->g;
    const int64_t n = g->n[GRAD_DQ] / g->in->spec.d * g->in->spec.dv;

    for (int64_t i = 0; i < g->n[of]; i++)
        o->moved[of][i] = o->start[of][i] + h * o->u[i];
    const att_status status = att_ctx_oracle(o->x, ATT_OP_ATTEND, &o->p);
    *sum = 0;
    for (int64_t i = 0; i < n; i++)
        *sum += (long double)g->dout_x[i] * o->out[i];
    return status;
}

/* |g.u - differences| over its tolerance, for the direction o->u. */
static att_status along(probe *o, grad_of of, const double *grad, double *ratio)
{
    const att_profile *f = o->f;
    double third = 0, reach = 0, h = STEP, own = 0;
    long double plus, minus, expected = 0;

    for (int64_t r = 0; of != GRAD_DV && r < f->rows; r++)
        if (f->n[r] > 0)
            third += row_third(o, of, r, &reach);
    if (reach > 0)
        h = fmin(h, REACH / reach);
    if (third > 0)
        h = fmin(h, cbrt(3 * o->noise / third));
    att_status status = loss(o, of, h, &plus);
    for (int64_t i = 0; i < o->g->n[of]; i++) { /* what was really moved, of either side */
        const double from = o->start[of][i] - h * o->u[i], to = o->moved[of][i];
        if (o->u[i] == 0)
            continue;
        expected += (long double)grad[i] * (to - from);
        own += o->g->exact.of[of].bound[i] * fabs(to - from);
    }
    if (status == ATT_OK)
        status = loss(o, of, -h, &minus);
    memcpy(o->moved[of], o->start[of], (size_t)o->g->n[of] * sizeof(double));
    if (status != ATT_OK)
        return status;
    const double e = fabs((double)(plus - minus - expected));
    const double limit = SLACK * (h * h * h / 3 * third + 2 * o->noise) + own;
    *ratio = e == 0 ? 0 : e / limit;
    return ATT_OK;
}

/* u normal on elements lo .. hi that something reaches, 0 elsewhere. */
static void aim(probe *o, grad_of of, int64_t lo, int64_t hi)
{
    att_rng rng = att_ctx_group_rng(o->x, grad_names[of]);
    double size = 0;

    for (int64_t i = 0; of == GRAD_DV && i < o->g->n[of]; i++)
        size = isfinite(o->start[of][i]) ? fmax(size, fabs(o->start[of][i])) : size;
    for (int64_t i = 0; i < o->g->n[of]; i++) {
        const double x = (size > 0 ? size : 1) * att_rng_normal(&rng);
        o->u[i] = i >= lo && i < hi && isfinite(o->start[of][i]) ? x : 0;
    }
}

/* Half by half, the one that is further off, to one element. */
static att_status locate(probe *o, grad_of of, const double *grad, int64_t *at)
{
    int64_t lo = 0, hi = o->g->n[of];
    att_status status = ATT_OK;

    while (hi - lo > 1 && status == ATT_OK) {
        const int64_t middle = lo + (hi - lo) / 2;
        double left = 0, right = 0;
        aim(o, of, lo, middle);
        status = along(o, of, grad, &left);
        aim(o, of, middle, hi);
        if (status == ATT_OK)
            status = along(o, of, grad, &right);
        if (left >= right)
            hi = middle;
        else
            lo = middle;
    }
    *at = lo;
    return status;
}

/* ---------------------------------------------------------------------------- the case */

static bool take_memory(probe *o)
{
    const grad_inputs *g = o->g;
    const parity_spec *s = &g->in->spec;
    const att_tensor *bias = &g->in->plain.bias;
    const double *from[3] = {g->in->q, g->in->k, g->in->v};
    int64_t most = 0;
    bool room = true;

    for (int of = 0; of < GRADS; of++) {
        most = g->n[of] > most ? g->n[of] : most;
        o->moved[of] = calloc((size_t)g->n[of] + 1, sizeof(double));
        o->start[of] = calloc((size_t)g->n[of] + 1, sizeof(double));
        room &= o->moved[of] && o->start[of];
        for (int64_t i = 0; room && i < g->n[of]; i++) {
            const int64_t *n = bias->shape;
            const double x =
                of < GRAD_DBIAS
                    ? from[of][i]
                    : att_fp_load(bias->data, bias->dtype,
                                  att_tensor_at(bias, i / n[3] / n[2] / n[1],
                                                i / n[3] / n[2] % n[1], i / n[3] % n[2], i % n[3]));
            o->moved[of][i] = o->start[of][i] = x;
        }
    }
    o->u = calloc((size_t)most + 1, sizeof(double));
    o->s1 = calloc((size_t)s->sk + 2, sizeof(double));
    o->p1 = calloc((size_t)s->sk + 2, sizeof(double));
    o->out = calloc((size_t)(s->b * s->hq * s->sq * s->dv) + 1, sizeof(double));
    return room && o->u && o->s1 && o->p1 && o->out;
}

static void drop_memory(probe *o)
{
    for (int of = 0; of < GRADS; of++) {
        free(o->moved[of]);
        free(o->start[of]);
    }
    free(o->u);
    free(o->s1);
    free(o->p1);
    free(o->out);
}

static bool all_finite(const grad_inputs *g)
{
    bool all = true;

    for (int of = 0; of < GRADS; of++)
        for (int64_t i = 0; i < g->n[of]; i++)
            all &= isfinite(g->exact.of[of].x[i]) && isfinite(g->exact.of[of].bound[i]);
    return all;
}

static void aim_problem(probe *o)
{
    const parity_spec *s = &o->g->in->spec;
    const int64_t *n = o->g->in->plain.bias.shape;

    o->p = o->g->in->plain;
    o->p.q.data = o->moved[GRAD_DQ];
    o->p.k.data = o->moved[GRAD_DK];
    o->p.v.data = o->moved[GRAD_DV];
    if (o->p.bias.data)
        o->p.bias = att_tensor_dense(o->moved[GRAD_DBIAS], ATT_F64, n[0], n[1], n[2], n[3]);
    o->p.out = att_tensor_dense(o->out, ATT_F64, s->b, s->hq, s->sq, s->dv);
    o->p.lse = (att_tensor){0};
}

att_status grad_differences(att_ctx *x, const grad_inputs *g, double *const grads[GRADS],
                            double *worst, grad_of *of, int64_t *at)
{
    probe o = {.x = x, .g = g};
    att_profile *f = NULL;
    att_status status = parity_profile(x, g->in, U, &f);

    *worst = (double)NAN;
    *at = -1;
    if (status != ATT_OK || !all_finite(g))
        return status;
    o.f = f;
    *worst = 0;
    status = take_memory(&o) ? ATT_OK : ATT_NO_MEMORY;
    if (status == ATT_OK)
        aim_problem(&o);
    for (int64_t r = 0; status == ATT_OK && r < f->rows; r++)
        o.noise += f->n[r] > 0 ? row_noise(&o, r) : 0;
    for (int t = 0; status == ATT_OK && t < GRADS; t++) {
        double ratio = 0;
        aim(&o, t, 0, g->n[t]);
        if (g->n[t] > 0)
            status = along(&o, t, grads[t], &ratio);
        if (isnan(ratio) || ratio > *worst) {
            *worst = isnan(ratio) ? (double)INFINITY : ratio;
            *of = t;
        }
    }
    if (status == ATT_OK && !(*worst <= 1))
        status = locate(&o, *of, grads[*of], at);
    drop_memory(&o);
    return status;
}
