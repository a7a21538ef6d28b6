/* SPDX-License-Identifier: Apache-2.0 */
/* The rule for gradients: what a right kernel's dq, dk, dv and dbias may be off by.
 *
 *   z_j = do.v_j   D = sum p_j z_j = do.o   ds_j = p_j (z_j - D)   t = 1 - tanh^2   (softcap)
 *   dv_j = sum_i p_ij do_i   dq_i = scale sum_j t ds_j k_j   dk_j = scale sum_i t ds_ij q_i
 *
 * Every gradient is a sum of c y over pairs, y a row of k, q or dout (1 for dbias) and c a
 * coefficient of the pair: p, or scale t ds.  A kernel may get p from the LSE that it is given or
 * from its own sums, and D from dout . out (the given one) or from p and z: both are right, so
 * each error below is the larger of the two ways.  First order in likely errors (l), worst ones (w)
 * with their products; u = u_acc, eps_j and b_j the logit errors of the forward's rule, r(n) =
 * max(2, sqrt(n/3)), Z = sum |do v|:
 *
 *   C_w  = sum p b + (n + 3) u + u_lse |LSE| + 2 u (1 + |LSE| + |z| + |LSE - m|)    normaliser
 *   C_l^2 = sum p eps^2 + u^2 n + (u_lse LSE)^2 / 3 + u^2 (2 + |LSE| + |z| + |LSE - m|)^2
 *   f_j  = expm1(b_j + C_w + 2 u)             p_j is off by f_j of itself (likely: eps_j and C_l)
 *   z:     u (Dv + 2) Z_j                                        likely u r(Dv) Z_j
 *   D_w  = max(u_o sum |do o| + u (Dv + 2) sum |do o|,
 *              sum p (f |z| + (1 + f)(z_w + ((n + 2) u + u_P) |z|)) + w_P sum |z|)
 *   ds:    p (f |z - D| + (1 + f)(z_w + D_w + 2 u (|z| + |D|)))
 *   t:     u (6 + 2 |tanh| (Dk + 3) a / cap)                     a holds t already
 *   c y summed over n pairs: ((n + 4) u + u_P)(sum |c y| + worst) + w_P max(1, scale) sum |y|
 *   and half an ulp of the result; a kernel may store each query head of a group before it adds
 *   them: u_out times the sizes of those.
 *
 *   sigma^2 = sum (own y)^2 + (sum shared y)^2 + u_P^2/3 (sum (c y)^2 + (sum c y)^2)
 *           + w_P^2/3 sum y^2 + u^2 n (sum |c y|)^2 + (output roundings)^2 / 12
 *
 * `own`: what errs apart in every pair (its logit, z, products); `shared`: what errs alike over the
 * sum (the normaliser and D over a row's keys; over the rows that see a key they err apart, but
 * equal rows err alike: the larger of both would do, the sum is taken).  A probability under the
 * accumulator's smallest normal may be flushed; underflow costs half its smallest subnormal a
 * product.  The oracle's own error is one more u of f64.  O(pairs (Dk + Dv)). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/error_profile.h"
#include "evals/numeric/grad.h"

enum { X, ABS, SQUARES, OWN, SHARED, SHARED_D, SIZE, SIZE_SQUARES, WORST, PART, PARTS, COUNT };
enum { COLUMNS = COUNT + 1 };

#define MOST_EXPONENT 600.0
#define F64_UNIT      0x1p-53

/* Sums of one gradient, [COLUMNS] of n each. */
typedef struct sums {
    double *column[COLUMNS];
    int64_t n;
} sums;

/* One pair, or what a row's pairs have in common. */
typedef struct pair {
    int64_t j;
    double s, a, p, t, z, z_size;
    double eps, f; /* likely and worst relative error of p, beside the normaliser's */
    double slope_likely, slope_worst; /* error of t */
} pair;

typedef struct row {
    int64_t b, h, hk, i, r, n;
    double lse, total, top; /* total: LSE with the sink */
    double mean, mean_likely, mean_worst;
    double common_likely;
    double z_unit;
} row;

typedef struct walk {
    const grad_call *c;
    const att_units *units;
    grad_reading reading;
    double u, scale, tiny, root_k, root_v;
    sums of[GRADS];
    pair *pairs;
    row now;
    bool counts; /* the query head's rows add to dk and dv */
} walk;

/* ------------------------------------------------------------------------------ sums */

/* A pair's coefficient and what it may be off by. */
typedef struct term {
    double c, own, shared, shared_d, worst;
} term;

/* Adds c y over n elements from cell `at` on. */
static void add(sums *s, int64_t at, const double *y, int64_t n, const term *t)
{
    for (int64_t d = 0; d < n; d++) {
        const double x = t->c * y[d], size = fabs(y[d]), own = t->own * y[d];
        s->column[X][at + d] += x;
        s->column[PART][at + d] += x;
        s->column[ABS][at + d] += fabs(x);
        s->column[SQUARES][at + d] += x * x;
        s->column[OWN][at + d] += own * own;
        s->column[SHARED][at + d] += t->shared * y[d];
        s->column[SHARED_D][at + d] += t->shared_d * y[d];
        s->column[SIZE][at + d] += size;
        s->column[SIZE_SQUARES][at + d] += size * size;
        s->column[WORST][at + d] += t->worst * size;
        s->column[COUNT][at + d] += 1;
    }
}

/* A query head of a group is done: what it added to its key/value head. */
static void end_part(sums *s, int64_t at, int64_t n)
{
    for (int64_t d = at; d < at + n; d++) {
        s->column[PARTS][d] += fabs(s->column[PART][d]);
        s->column[PART][d] = 0;
    }
}

/* ------------------------------------------------------------------------------ a row */

static double log_sum(double a, double b)
{
    const double top = a > b ? a : b;

    return isinf(top) ? top : top + log1p(exp(-fabs(a - b)));
}

/* What the cap leaves of a logit's derivative. */
static double slope_of(const walk *w, const pair *k, double *likely, double *worst)
{
    const att_problem *p = w->c->p;
    const double *q = w->c->q + w->now.r * p->head_dim;
    const double *key = w->c->k + (w->now.hk * p->kv_len + k->j) * p->head_dim;
    double dot = 0;

    *likely = *worst = 0;
    if (!(p->softcap > 0))
        return 1;
    for (int64_t d = 0; d < p->head_dim; d++)
        dot += q[d] * key[d];
    const double th = tanh(w->scale * dot / p->softcap), gain = 2 * fabs(th) * k->a / p->softcap;
    *likely = w->u * (3 + gain * w->root_k);
    *worst = w->u * (6 + gain * ((double)p->head_dim + 3));
    return 1 - th * th;
}

static void score_pairs(walk *w)
{
    const att_profile *f = w->c->f;
    const int64_t first = f->first[w->now.r];
    row *o = &w->now;

    o->top = -(double)INFINITY;
    o->n = 0;
    for (int64_t at = first; at < first + f->n[o->r]; at++) {
        if (f->key[at] < 0)
            continue;
        w->pairs[o->n++] = (pair){.j = f->key[at], .s = f->s[at], .a = f->a[at]};
        o->top = isnan(f->s[at]) || f->s[at] > o->top ? f->s[at] : o->top;
    }
    for (int64_t n = 0; n < o->n; n++) {
        const double gap = fabs(w->pairs[n].s - o->top), a = w->pairs[n].a, x = f->x[first + n];
        w->pairs[n].eps = w->u * (fmax(w->root_k * a, f->drift[first + n]) + 2 * (1 + gap) + x);
        w->pairs[n].f = w->u * (((double)f->dk + 3) * a + 2 * (1 + gap) + 2 * x);
        w->pairs[n].t =
            slope_of(w, &w->pairs[n], &w->pairs[n].slope_likely, &w->pairs[n].slope_worst);
    }
}

/* p, and the relative errors that it has alone and in common with the row. */
static void weigh_pairs(walk *w)
{
    const att_problem *p = w->c->p;
    row *o = &w->now;
    double z = -(double)INFINITY, worst = 0, likely = 0, sizes, lost;

    if (p->sinks.data)
        z = att_fp_load(p->sinks.data, p->sinks.dtype, o->h * p->sinks.stride[3]);
    o->lse = w->c->lse[o->r];
    o->total = w->reading.sink_missing ? o->lse : log_sum(o->lse, z);
    if (w->reading.weights_raw_all)
        o->total = o->top;
    for (int64_t n = 0; n < o->n; n++) {
        pair *k = &w->pairs[n];
        k->p = exp(k->s - o->total);
        worst += k->p * k->f;
        likely += k->p * k->eps * k->eps;
    }
    sizes = 2 + fabs(o->lse) + (isinf(z) ? 0 : fabs(z)) + fabs(o->total - o->top);
    lost = att_fp_format(w->c->lse_dtype).unit * fabs(o->lse);
    worst += ((double)o->n + 3) * w->u + lost + 2 * w->u * sizes;
    o->common_likely =
        sqrt(likely + w->u * w->u * ((double)o->n + sizes * sizes) + lost * lost / 3);
    for (int64_t n = 0; n < o->n; n++)
        w->pairs[n].f = expm1(fmin(w->pairs[n].f + worst + 2 * w->u, MOST_EXPONENT));
}

/* D as dout . out of the given out: error of the rounding of out, then of the dot product. */
static double mean_given(const walk *w, double *likely, double *worst)
{
    const int64_t dv = w->c->p->value_dim;
    const double *dout = w->c->dout + w->now.r * dv, *out = w->c->out + w->now.r * dv;
    const att_format storage = att_fp_format(w->c->storage);
    double sum = 0, size = 0, squares = 0, off = 0;

    for (int64_t d = 0; d < dv; d++) {
        const double x = dout[d] * out[d];
        const double lost = fmax(storage.unit * fabs(x), storage.half_subnormal * fabs(dout[d]));
        sum += x;
        size += fabs(x);
        off += lost;
        squares += lost * lost / 3;
    }
    *worst = off + w->u * ((double)dv + 2) * size + w->units->acc_lost * (double)dv;
    *likely = sqrt(squares + w->u * w->u * w->root_v * w->root_v * size * size);
    return sum;
}

/* z of every pair; D and its errors, both ways. */
static void mean_of(walk *w)
{
    const att_problem *p = w->c->p;
    const att_profile *f = w->c->f;
    const double *dout = w->c->dout + w->now.r * p->value_dim;
    const double u = w->u, up = w->units->prob, lost = w->units->acc_lost;
    row *o = &w->now;
    double sum = 0, worst = 0, size = 0, each = 0, alike = 0, likely, given_likely, given_worst;

    o->z_unit = u * ((double)p->value_dim + 2);
    for (int64_t n = 0; n < o->n; n++) {
        pair *k = &w->pairs[n];
        const double *v = f->values + (o->hk * p->kv_len + k->j) * f->wide;
        for (int64_t d = 0; d < p->value_dim; d++) {
            k->z += dout[d] * v[d];
            k->z_size += fabs(dout[d] * v[d]);
        }
        sum += k->p * k->z;
    }
    for (int64_t n = 0; n < o->n; n++) {
        const pair *k = &w->pairs[n];
        const double pz = k->p * fabs(k->z), z_likely = u * w->root_v * k->z_size;
        size += pz;
        worst += k->f * pz + k->p * (1 + k->f) * (o->z_unit * k->z_size + lost) +
                 (w->units->prob_lost + w->tiny) * fabs(k->z) +
                 (1 + k->f) * (((double)o->n + 2) * u + up) * pz;
        each += k->p * k->p * (k->eps * k->eps * (k->z - sum) * (k->z - sum)) +
                up * up / 3 * pz * pz;
        alike += k->p * z_likely * z_likely;
    }
    likely = each + alike + (o->common_likely * o->common_likely + up * up / 3) * sum * sum +
             u * u * (double)o->n * size * size;
    const double given = mean_given(w, &given_likely, &given_worst);
    o->mean = w->reading.mean_missing ? 0 : w->reading.mean_given ? given : sum;
    o->mean_worst = fmax(worst, given_worst);
    o->mean_likely = sqrt(fmax(likely, given_likely * given_likely) + alike);
}

static int64_t bias_cell(const att_tensor *t, const row *o, int64_t j)
{
    const int64_t at[4] = {o->b, o->h, o->i, j};
    int64_t cell = 0;

    for (int a = 0; a < 4; a++)
        cell = cell * t->shape[a] + (t->shape[a] == 1 ? 0 : at[a]);
    return cell;
}

/* One pair's share of dv. */
static void add_value(walk *w, const pair *k)
{
    const att_problem *p = w->c->p;
    const row *o = &w->now;
    const double off = sqrt(k->eps * k->eps + o->common_likely * o->common_likely);
    term t = {.c = k->p, .own = k->p * off, .shared = k->p * off, .worst = k->p * k->f + w->tiny};

    if (w->reading.weights_raw)
        t.c = exp(k->s - o->top);
    add(&w->of[GRAD_DV], (o->hk * p->kv_len + k->j) * p->value_dim,
        w->c->dout + o->r * p->value_dim, p->value_dim, &t);
}

/* And of dq, dk and dbias. */
static void add_score(walk *w, const pair *k)
{
    static const double one = 1;
    const att_problem *p = w->c->p;
    const row *o = &w->now;
    const double u = w->u, lost = w->units->acc_lost, off = k->z - o->mean, scale = w->scale;
    const double slope = w->reading.slope_missing ? 1 : k->t;
    const double z_likely = u * w->root_v * k->z_size, sizes = fabs(k->z) + fabs(o->mean);
    const double ds = k->p * off, by_mean = k->p * o->mean_likely;
    const double own = sqrt(
        k->p * k->p * (k->eps * k->eps * off * off + z_likely * z_likely + u * u * sizes * sizes) +
        lost * lost);
    const double worst = k->p * (k->f * fabs(off) + (1 + k->f) * (o->z_unit * k->z_size + lost +
                                                                  o->mean_worst + 2 * u * sizes)) +
                         w->tiny * (fabs(off) + o->mean_worst) + 2 * lost;
    const double apart = hypot(slope * own, ds * k->slope_likely), c = scale * slope * ds;
    const double all = hypot(c * k->eps, c * o->common_likely);
    const int64_t key = (o->hk * p->kv_len + k->j) * p->head_dim;
    const term dq = {.c = w->reading.dq_unscaled ? slope * ds : c,
                     .own = scale * apart,
                     .shared = c * o->common_likely,
                     .shared_d = scale * slope * by_mean,
                     .worst = fabs(scale) *
                              ((slope + k->slope_worst) * worst + fabs(ds) * k->slope_worst)};
    term dk = dq, bias = {.c = ds, .worst = worst};

    add(&w->of[GRAD_DQ], o->r * p->head_dim, w->c->k + key, p->head_dim, &dq);
    dk.c = w->reading.dk_unscaled ? slope * ds : c;
    dk.own = sqrt(dq.own * dq.own + dq.shared * dq.shared + dq.shared_d * dq.shared_d);
    dk.shared = c < 0 ? -all : all;
    if (w->counts)
        add(&w->of[GRAD_DK], key, w->c->q + o->r * p->head_dim, p->head_dim, &dk);
    if (!p->bias.data)
        return;
    bias.own = sqrt(own * own + ds * ds * o->common_likely * o->common_likely + by_mean * by_mean);
    bias.shared = ds * o->common_likely;
    bias.shared_d = by_mean;
    add(&w->of[GRAD_DBIAS], bias_cell(&p->bias, o, k->j), &one, 1, &bias);
}

/* ------------------------------------------------------------------------ the problem */

static void do_row(walk *w)
{
    score_pairs(w);
    weigh_pairs(w);
    mean_of(w);
    for (int64_t n = 0; n < w->now.n; n++) {
        if (w->counts)
            add_value(w, &w->pairs[n]);
        add_score(w, &w->pairs[n]);
    }
}

static void do_head(walk *w, int64_t b, int64_t h)
{
    const att_problem *p = w->c->p;
    const int64_t group = p->heads_q / p->heads_kv, hk = b * p->heads_kv + h / group;
    const int only = w->reading.group_only;

    w->counts = !only || h % group == (only == 1 ? 0 : group - 1);
    for (int64_t i = 0; i < p->q_len; i++) {
        w->now = (row){.b = b, .h = h, .hk = hk, .i = i, .r = (b * p->heads_q + h) * p->q_len + i};
        if (w->c->f->n[w->now.r] > 0)
            do_row(w);
    }
    end_part(&w->of[GRAD_DK], hk * p->kv_len * p->head_dim, p->kv_len * p->head_dim);
    end_part(&w->of[GRAD_DV], hk * p->kv_len * p->value_dim, p->kv_len * p->value_dim);
}

/* From the sums to what they say of each element. */
static void finish(const walk *w, grad_of of, grad_field *out)
{
    const att_units *u = &w->units[of];
    const att_format store = {.unit = u->out, .tiny = u->out_tiny};
    const bool grouped = (of == GRAD_DK || of == GRAD_DV) && w->c->p->heads_q > w->c->p->heads_kv;
    const double p2 = u->prob * u->prob / 3, gain = of == GRAD_DV ? 1 : fmax(1, fabs(w->scale));
    double *const *s = w->of[of].column;

    for (int64_t c = 0; c < out->n; c++) {
        const double n = s[COUNT][c], x = s[X][c], size = s[ABS][c], worst = s[WORST][c];
        const double apart = u->prob_lost * gain, lost = u->acc_lost;
        const double parts = grouped ? u->out * s[PARTS][c] : 0;
        const double off = worst + ((n + 4) * w->u + u->prob) * (size + worst) +
                           apart * s[SIZE][c] + lost * (2 * n + gain * s[SIZE][c]) + parts +
                           (grouped ? u->out * worst : 0);
        out->reached[c] = n > 0;
        out->x[c] = w->reading.negated ? -x : x;
        out->bound[c] = n > 0 ? off + att_fp_ulp(&store, fabs(x) + off) / 2 : 0;
        const double last = n > 0 ? att_fp_ulp(&store, x) : 0;
        out->variance[c] = s[OWN][c] + s[SHARED][c] * s[SHARED][c] +
                           s[SHARED_D][c] * s[SHARED_D][c] + p2 * (s[SQUARES][c] + x * x) +
                           apart * apart / 3 * s[SIZE_SQUARES][c] + w->u * w->u * n * size * size +
                           last * last / 12 + parts * parts / 3 + lost * lost * n;
    }
}

static bool take_sums(sums *s, int64_t n)
{
    double *all = calloc((size_t)n * COLUMNS + 1, sizeof *all);

    for (int c = 0; c < COLUMNS; c++)
        s->column[c] = all ? all + c * n : NULL;
    s->n = n;
    return all != NULL;
}

att_status grad_rule(const grad_call *c, const att_units units[GRADS], grad_answer *out)
{
    static const grad_reading contract = {0};
    const att_problem *p = c->p;
    walk w = {.c = c, .units = units, .reading = c->reading ? *c->reading : contract};
    bool room = true;

    w.u = units->acc + F64_UNIT;
    w.tiny = units->acc_lost / units->acc;
    w.scale = att_scale(p);
    w.root_k = fmax(2, sqrt((double)p->head_dim / 3));
    w.root_v = fmax(2, sqrt((double)p->value_dim / 3));
    w.pairs = calloc((size_t)p->kv_len + 1, sizeof *w.pairs);
    for (int g = 0; g < GRADS; g++)
        room &= take_sums(&w.of[g], out->of[g].n);
    for (int64_t b = 0; w.pairs && room && b < p->batch; b++)
        for (int64_t h = 0; h < p->heads_q; h++)
            do_head(&w, b, h);
    for (int g = 0; g < GRADS; g++) {
        if (w.pairs && room)
            finish(&w, g, &out->of[g]);
        free(w.of[g].column[0]);
    }
    room &= w.pairs != NULL;
    free(w.pairs);
    return room ? ATT_OK : ATT_NO_MEMORY;
}
