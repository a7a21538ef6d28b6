/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels with a function of their own, held to it in float64.
 *
 *   linear_elu1:  o_i = sum_j w_ij v_j / sum_j w_ij,   w_ij = phi(q_i) . phi(k_j),  phi = elu + 1
 *
 * over the allowed keys; with as many keys as queries and full causality this is the reference's
 * recurrence (ATT_OP_RECUR), which is asked too and must agree (two forms, written apart).
 * Bound: features carry 4 u (e^x to 2 ulp, or one addition), every product and sum adds one u, and
 * all weights are positive, so with n keys
 *   |e| <= 2 (n + Dk + 12) u_acc sum w|v| / sum w + (2 max|v| E) / sum w + ulp_out / 2
 * where E is what subnormal features may lose: (Dk + sum_c phi(q_c) + phi(k_c)) 2^-149 a key.
 * Where E is not small against the weights no bound holds, and the row is counted as unjudged.
 * Source: Katharopoulos et al. 2020; error analysis after Higham 2002. */
#include "evals/numeric/parity_own.h"

#include <math.h>
#include <stdlib.h>

#include "base/fp.h"

/* One row's sums. */
typedef struct row {
    double total, lost, most; /* weights; what they may lose to underflow; largest |v| */
    double *o, *size;         /* [Dv] sum w v, sum w |v| */
    int64_t n;
} row;

static double feature(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

static void add_key(const parity_inputs *in, const double *q, const double *k, const double *v,
                    row *r)
{
    const parity_spec *s = &in->spec;
    double weight = 0, lost = (double)s->d;

    for (int64_t c = 0; c < s->d; c++) {
        double fq = feature(q[c]), fk = feature(k[c]);
        weight += fq * fk;
        lost += fq + fk;
    }
    r->total += weight;
    r->lost += lost * 0x1p-149;
    r->n++;
    for (int64_t d = 0; d < s->dv; d++) {
        r->o[d] += weight * v[d];
        r->size[d] += weight * fabs(v[d]);
        r->most = fmax(r->most, fabs(v[d]));
    }
}

static void sum_row(const parity_inputs *in, int64_t at, row *r)
{
    const parity_spec *s = &in->spec;
    int64_t head = at / s->sq, kv = head / (s->hq / s->hkv);

    r->total = r->lost = r->most = 0;
    r->n = 0;
    for (int64_t d = 0; d < s->dv; d++)
        r->o[d] = r->size[d] = 0;
    for (int64_t j = 0; j < s->sk; j++)
        if (in->allowed[at * s->sk + j])
            add_key(in, in->q + at * s->d, in->k + (kv * s->sk + j) * s->d,
                    in->v + (kv * s->sk + j) * s->dv, r);
}

/* Sums of a judgement. */
typedef struct tally {
    double nonfinite, bound, most, square, want_square, unjudged, elements;
} tally;

static void judge(const att_units *u, const parity_spec *s, const row *r, int64_t d, double got,
                  tally *t)
{
    double want = r->n ? r->o[d] / r->total : 0, bound = 0;
    att_format out = {.unit = u->out, .tiny = u->out_tiny};

    t->elements++;
    if (r->n && !(r->lost * 64 <= r->total) && !isnan(r->total)) {
        t->unjudged++;
        return;
    }
    if (r->n) {
        double units = 2 * ((double)r->n + (double)s->d + 12) * u->acc;
        bound = units * r->size[d] / r->total + 2 * r->most * r->lost / r->total +
                (double)(2 * r->n + 1) * u->acc_lost;
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

/* The reference's recurrence where the case is one: every row's answer must be the sums'. */
static att_status ask_recurrence(att_ctx *x, const parity_inputs *in, double **out)
{
    const parity_spec *s = &in->spec;
    att_recur section = {.rule = ATT_RULE_LINEAR_ELU1};
    att_problem p = in->plain;

    *out = NULL;
    if (s->sq != s->sk || (!parity_is(s->causal, "tl") && !parity_is(s->causal, "br")) ||
        !parity_is(s->lens, "none"))
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
    const parity_spec *s = &in->spec;

    for (int64_t d = 0; recurred && r->n && d < s->dv; d++) {
        double want = r->o[d] / r->total;
        double slack = (double)(r->n + s->d + 12) * 0x1p-51 * r->size[d] / r->total;
        if (isfinite(want) && !(fabs(recurred[d] - want) <= slack + 0x1p-1070))
            return false;
    }
    return true;
}

bool parity_knows(const att_kernel *kernel)
{
    return parity_is(kernel->name, "linear_elu1");
}

att_status parity_own(att_ctx *x, const parity_inputs *in, const att_tensor *got,
                      const att_units *units)
{
    const parity_spec *s = &in->spec;
    double *recurred = NULL;
    row r = {.o = calloc((size_t)s->dv, sizeof(double)),
             .size = calloc((size_t)s->dv, sizeof(double))};
    tally t = {0};
    att_status status = r.o && r.size ? ask_recurrence(x, in, &recurred) : ATT_NO_MEMORY;

    for (int64_t at = 0; status == ATT_OK && at < s->b * s->hq * s->sq; at++) {
        if (at % s->sq >= in->nq[at / (s->hq * s->sq)])
            continue;
        sum_row(in, at, &r);
        if (!agrees(in, &r, recurred ? recurred + at * s->dv : NULL)) {
            att_ctx_why(x, "row %lld: the recurrence and the sums over keys do not agree",
                        (long long)at);
            status = ATT_FAILED;
        }
        for (int64_t d = 0; d < s->dv; d++)
            judge(units, s, &r, d, att_fp_load(got->data, got->dtype, at * s->dv + d), &t);
    }
    if (status == ATT_OK) {
        att_ctx_record(x, "nonfinite", t.nonfinite);
        att_ctx_record(x, "bound_ratio", t.bound);
        att_ctx_record(x, "max_abs", t.most);
        att_ctx_record(x, "nmse", t.square == 0 ? 0 : t.square / t.want_square);
        att_ctx_record(x, "unjudged", t.unjudged);
        att_ctx_record(x, "elements", t.elements);
    }
    free(recurred);
    free(r.o);
    free(r.size);
    return status;
}
