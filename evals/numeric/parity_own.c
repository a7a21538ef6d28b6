/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels with weights of their own in place of softmax's, held to them in float64.
 *
 *   o_i = sum_j w_ij v_j / sum_j w_ij   over the allowed keys
 *
 *   linear_elu1  w = phi(q) . phi(k), phi = elu + 1
 *   based        w = 1 + x + x^2 / 2, x = scale q . k
 *   performer    w = sum_r exp(a_r(q) + a_r(k)), by random features (parity_features.c)
 *
 * With as many keys as queries and full causality the first two are the reference's recurrence
 * (ATT_OP_RECUR), which is asked too and must agree (two forms, written apart).
 * Bound: each function says by how many u_acc the sums with its weight may be off (`units`),
 * however they are ordered, by pairs or by a state.  With N = sum units_j |v_j|, D = sum units_j
 *
 *   |e| <= (u N + |o| u D + 2 max|v| E + V) / (sum w - u D - E) + ulp_out / 2
 *
 * where E is what subnormal weights may lose, V what products with subnormal values may: half a
 * subnormal a feature of k, times that of q.  Where u D + E is not small against sum w no bound
 * holds, and the row is counted as unjudged.
 *
 *   linear_elu1  units = (n + Dk + 12) w: features carry 4 u, all terms are positive
 *   based        units = (n + F + 12) (1 + X + X^2 / 2), X = |scale| sum_c |q_c k_c|,
 *                F = 1 + Dk + Dk^2: as the features of a state; pairs err by less
 *
 * Source: Katharopoulos et al. 2020; Arora et al. 2024; error analysis after Higham 2002. */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/parity_own.h"

static double feature(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

static parity_weight weigh_elu1(const parity_weigher *w, int64_t row, int64_t key)
{
    const parity_inputs *in = w->in;
    const int64_t n = in->spec.d;
    const double *q = in->q + row * n, *k = in->k + key * n;
    parity_weight out = {.lost = (double)n};

    for (int64_t c = 0; c < n; c++) {
        const double fq = feature(q[c]), fk = feature(k[c]);
        out.drops += 1 + fq;
        out.w += fq * fk;
        out.lost += fq + fk;
    }
    out.lost *= 0x1p-149;
    out.units = (double)(w->keys + n + 12) * out.w;
    return out;
}

static parity_weight weigh_based(const parity_weigher *w, int64_t row, int64_t key)
{
    const parity_inputs *in = w->in;
    const int64_t n = in->spec.d;
    const double *q = in->q + row * n, *k = in->k + key * n, scale = att_scale(&in->plain);
    const double f = 1 + (double)n + (double)n * (double)n;
    double x = 0, size = 0, lost = 1, reach = 1;

    for (int64_t c = 0; c < n; c++) {
        x += scale * q[c] * k[c];
        size += fabs(scale * q[c] * k[c]);
        lost += fabs(q[c]) + fabs(k[c]) + fabs(scale);
        reach += fabs(scale * q[c]);
    }
    return (parity_weight){.w = 1 + x + x * x / 2,
                           .units = ((double)w->keys + f + 12) * (1 + size + size * size / 2),
                           .lost = f * lost * (1 + size) * 0x1p-149,
                           .drops = f + reach * reach};
}

static const parity_function functions[] = {
    {"linear_elu1", ATT_RULE_LINEAR_ELU1, NULL, NULL, weigh_elu1, NULL},
    {"based", ATT_RULE_BASED, NULL, NULL, weigh_based, NULL},
    {"performer", -1, parity_features_begin, parity_features_row, parity_features_weigh,
     parity_features_end},
};

static const parity_function *function_of(const att_kernel *kernel)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (parity_is(kernel->name, functions[i].kernel))
            return &functions[i];
    return NULL;
}

bool parity_knows(const att_kernel *kernel)
{
    return function_of(kernel) != NULL;
}

int32_t parity_class(const att_kernel *kernel)
{
    return parity_knows(kernel) ? ATT_OWN : kernel->class_;
}

/* ------------------------------------------------------------------------------- rows */

/* One row's sums. */
typedef struct row {
    double total, units, lost, drops, most; /* of weights; largest |v| */
    double *o, *off;                        /* [Dv] sum w v, sum units |v| */
    int64_t n;
} row;

static int64_t head_of(const parity_spec *s, int64_t at)
{
    return at / s->sq / (s->hq / s->hkv);
}

static void add_key(const parity_inputs *in, const parity_weight *w, const double *v, row *r)
{
    r->total += w->w;
    r->units += w->units;
    r->lost += w->lost;
    r->drops += w->drops;
    for (int64_t d = 0; d < in->spec.dv; d++) {
        r->o[d] += w->w * v[d];
        r->off[d] += w->units * fabs(v[d]);
        r->most = fmax(r->most, fabs(v[d]));
    }
}

static void sum_row(parity_weigher *w, int64_t at, row *r)
{
    const parity_inputs *in = w->in;
    const parity_spec *s = &in->spec;
    const uint8_t *allowed = in->allowed + at * s->sk;
    const int64_t first = head_of(s, at) * s->sk;

    *r = (row){.o = r->o, .off = r->off};
    for (int64_t d = 0; d < s->dv; d++)
        r->o[d] = r->off[d] = 0;
    for (int64_t j = 0; j < s->sk; j++)
        r->n += allowed[j] != 0;
    w->keys = r->n;
    if (w->how->row && r->n)
        w->how->row(w, at, first, allowed);
    for (int64_t j = 0; j < s->sk; j++)
        if (allowed[j]) {
            const parity_weight one = w->how->weigh(w, at, first + j);
            add_key(in, &one, in->v + (first + j) * s->dv, r);
        }
}

/* Sums of a judgement. */
typedef struct tally {
    double nonfinite, bound, most, square, want_square, unjudged, elements;
} tally;

static void judge(const att_units *u, const row *r, int64_t d, double got, tally *t)
{
    const double want = r->n ? r->o[d] / r->total : 0, off = u->acc * r->units + r->lost;
    att_format out = {.unit = u->out, .tiny = u->out_tiny};
    double bound = 0;

    t->elements++;
    if (r->n && !(off * 32 <= r->total) && !isnan(r->total)) {
        t->unjudged++;
        return;
    }
    if (r->n) {
        bound = (u->acc * r->off[d] + fabs(want) * u->acc * r->units + 2 * r->most * r->lost +
                 r->drops * u->acc_lost) /
                    (r->total - off) +
                (double)(2 * r->n + 1) * u->acc_lost + 2 * u->acc * fabs(want);
        bound += att_fp_ulp(&out, fabs(want) + bound) / 2;
    }
    bool over = isinf(got) && fabs(want) + bound > u->out_largest;
    if (isfinite(want) ? !isfinite(got) && !over : isfinite(got))
        t->nonfinite++;
    if (!isfinite(want) || !isfinite(got))
        return;
    double e = fabs(got - want), ratio = e == 0 ? 0 : bound > 0 ? e / bound : (double)INFINITY;
    t->bound = att_error_fold(t->bound, ratio);
    t->most = att_error_fold(t->most, e);
    t->square += e * e;
    t->want_square += want * want;
}

/* ------------------------------------------------------------------------- recurrence */

/* The reference's recurrence where the case is one: every row's answer must be the sums'. */
static att_status ask_recurrence(att_ctx *x, const parity_inputs *in, int32_t rule, double **out)
{
    const parity_spec *s = &in->spec;
    att_recur section = {.rule = rule};
    att_problem p = in->plain;

    *out = NULL;
    if (rule < 0 || (rule == ATT_RULE_BASED && s->d > 16) || s->sq != s->sk ||
        (!parity_is(s->causal, "tl") && !parity_is(s->causal, "br")) || !parity_is(s->lens, "none"))
        return ATT_OK;
    *out = calloc((size_t)(s->b * s->hq * s->sq * s->dv) + 1, sizeof **out);
    if (!*out)
        return ATT_NO_MEMORY;
    p.q_lengths = p.kv_lengths = p.lse = (att_tensor){0};
    p.recur = &section;
    p.out = att_tensor_dense(*out, ATT_F64, s->b, s->hq, s->sq, s->dv);
    return att_ctx_oracle(x, ATT_OP_RECUR, &p);
}

static bool agrees(const parity_inputs *in, const row *r, const double *recurred)
{
    for (int64_t d = 0; recurred && r->n && d < in->spec.dv; d++) {
        const double want = r->o[d] / r->total;
        const double slack = 0x1p-51 * (r->off[d] + fabs(want) * r->units) / r->total;
        if (isfinite(want) && !(fabs(recurred[d] - want) <= slack + 0x1p-1070))
            return false;
    }
    return true;
}

static void record(att_ctx *x, const tally *t)
{
    att_ctx_record(x, "nonfinite", t->nonfinite);
    att_ctx_record(x, "bound_ratio", t->bound);
    att_ctx_record(x, "max_abs", t->most);
    att_ctx_record(x, "nmse", t->square == 0 ? 0 : t->square / t->want_square);
    att_ctx_record(x, "unjudged", t->unjudged);
    att_ctx_record(x, "elements", t->elements);
}

att_status parity_own(att_ctx *x, const parity_inputs *in, const att_tensor *got,
                      const att_units *units)
{
    const parity_spec *s = &in->spec;
    parity_weigher w = {
        .how = function_of(att_ctx_kernel(x)), .in = in, .stride = 1, .u = units->acc};
    double *recurred = NULL;
    row r = {.o = calloc((size_t)s->dv, sizeof(double)),
             .off = calloc((size_t)s->dv, sizeof(double))};
    tally t = {0};
    att_status status = r.o && r.off ? ask_recurrence(x, in, w.how->rule, &recurred)
                                     : ATT_NO_MEMORY;

    if (status == ATT_OK && w.how->begin)
        status = w.how->begin(&w, x);
    for (int64_t at = 0; status == ATT_OK && at < s->b * s->hq * s->sq; at += w.stride) {
        if (at % s->sq >= in->nq[at / (s->hq * s->sq)])
            continue;
        sum_row(&w, at, &r);
        if (!agrees(in, &r, recurred ? recurred + at * s->dv : NULL)) {
            att_ctx_why(x, "row %lld: the recurrence and the sums over keys do not agree",
                        (long long)at);
            status = ATT_FAILED;
        }
        for (int64_t d = 0; d < s->dv; d++)
            judge(units, &r, d, att_fp_load(got->data, got->dtype, at * s->dv + d), &t);
    }
    if (status == ATT_OK)
        record(x, &t);
    if (w.how->end)
        w.how->end(&w);
    free(recurred);
    free(r.o);
    free(r.off);
    return status;
}
