/* SPDX-License-Identifier: Apache-2.0 */
/* Making a case: parity's inputs, then dout, and the forward's out and LSE as a kernel is given
 * them (stored, with gaps, rows that are not there NaN) -> frozen -> the oracle's gradients, which
 * the rule's own sums, written apart, must equal.  Done once, shared by all kernels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/grad.h"

/* The oracle's error and that of the rule's sums, each within the bound of f64. */
#define OWN_SLACK 2

/* --------------------------------------------------------------------------- answers */

att_status grad_answer_make(const int64_t n[GRADS], grad_answer *out)
{
    bool room = true;

    *out = (grad_answer){0};
    for (int g = 0; g < GRADS; g++) {
        grad_field *f = &out->of[g];
        f->n = n[g];
        f->x = calloc((size_t)n[g] + 1, sizeof *f->x);
        f->variance = calloc((size_t)n[g] + 1, sizeof *f->variance);
        f->bound = calloc((size_t)n[g] + 1, sizeof *f->bound);
        f->reached = calloc((size_t)n[g] + 1, 1);
        room &= f->x && f->variance && f->bound && f->reached;
    }
    return room ? ATT_OK : ATT_NO_MEMORY;
}

void grad_answer_drop(grad_answer *a)
{
    for (int g = 0; g < GRADS; g++) {
        free(a->of[g].x);
        free(a->of[g].variance);
        free(a->of[g].bound);
        free(a->of[g].reached);
    }
}

/* ---------------------------------------------------------------------- what is given */

static bool apart(const parity_spec *s)
{
    return parity_is(s->layout, "broadcast") || parity_is(s->layout, "stepped") ||
           parity_is(s->layout, "shared");
}

/* Rows of dense doubles [B,Hq,Sq,n] into a tensor laid out as out, within the lengths. */
static void store_rows(const parity_inputs *in, const att_tensor *t, int64_t n, const double *x)
{
    const parity_spec *s = &in->spec;
    int64_t i0, i2;

    for (int64_t b = 0; b < s->b; b++)
        for (int64_t i = 0; i < in->nq[b]; i++) {
            parity_query_row(in, b, i, &i0, &i2);
            for (int64_t h = 0; h < s->hq; h++)
                parity_store_row(t, i0, h, i2, n, x + ((b * s->hq + h) * s->sq + i) * n);
        }
}

/* dout: a family of its own, since what it multiplies is not what q multiplies. */
static void fill_dout(att_ctx *x, grad_inputs *g)
{
    const parity_spec *s = &g->in->spec;
    att_rng rng = att_ctx_group_rng(x, "dout");
    const double size = parity_is(s->values, "small")   ? fmax(1e-4, att_fp_format(s->dtype).tiny)
                        : parity_is(s->values, "large") ? 0.01
                                                        : 1;

    for (int64_t i = 0; i < s->b * s->hq * s->sq * s->dv; i++) {
        g->dout_x[i] = size * att_rng_normal(&rng);
        if (parity_is(s->values, "heavy"))
            g->dout_x[i] *= exp(1.5 * att_rng_normal(&rng));
        g->dout_x[i] = att_fp_round(s->dtype, g->dout_x[i]);
    }
}

void grad_scale_dout(grad_inputs *g, double by)
{
    const parity_spec *s = &g->in->spec;

    for (int64_t i = 0; i < s->b * s->hq * s->sq * s->dv; i++)
        g->dout_x[i] *= by;
    att_guard_freeze(&g->guard[0], false);
    store_rows(g->in, &g->dout, s->dv, g->dout_x);
    att_guard_freeze(&g->guard[0], true);
}

static bool make_given(att_ctx *x, grad_inputs *g)
{
    const parity_inputs *in = g->in;
    const parity_spec *s = &in->spec;
    const parity_shape shape = parity_query_shape(in, apart(s) ? "bhsd" : s->layout, s->dv);
    const int64_t batch = in->cu_q ? 1 : s->b, rows = shape.n[2];
    const int32_t lse = s->dtype == ATT_F64 ? ATT_F64 : ATT_F32;
    const size_t bytes = (size_t)shape.extent * att_dtype_size(s->dtype);
    int64_t i0, i2;

    g->dout_x = calloc((size_t)(s->b * s->hq * s->sq * s->dv) + 1, sizeof *g->dout_x);
    if (!g->dout_x || !att_guard_make(&g->guard[0], bytes, s->place) ||
        !att_guard_make(&g->guard[1], bytes, s->place) ||
        !att_guard_make(&g->guard[2], (size_t)(batch * s->hq * rows) * att_dtype_size(lse),
                        s->place))
        return false;
    fill_dout(x, g);
    g->dout = parity_tensor(&shape, g->guard[0].data, s->dtype);
    g->out = parity_tensor(&shape, g->guard[1].data, s->dtype);
    g->lse = att_tensor_dense(g->guard[2].data, lse, 1, batch, s->hq, rows);
    store_rows(in, &g->dout, s->dv, g->dout_x);
    store_rows(in, &g->out, s->dv, in->out);
    for (int64_t r = 0; r < s->b * s->hq * s->sq; r++) {
        const int64_t b = r / s->sq / s->hq, i = r % s->sq;
        if (i >= in->nq[b])
            continue;
        parity_query_row(in, b, i, &i0, &i2);
        att_fp_store(g->lse.data, lse, att_tensor_at(&g->lse, 0, i0, r / s->sq % s->hq, i2),
                     in->lse[r]);
    }
    for (int i = 0; i < 3; i++)
        att_guard_freeze(&g->guard[i], true);
    return true;
}

/* ------------------------------------------------------------------------- the oracle */

static void count(grad_inputs *g)
{
    const parity_spec *s = &g->in->spec;
    const att_tensor *bias = &g->in->plain.bias;

    g->n[GRAD_DQ] = s->b * s->hq * s->sq * s->d;
    g->n[GRAD_DK] = s->b * s->hkv * s->sk * s->d;
    g->n[GRAD_DV] = s->b * s->hkv * s->sk * s->dv;
    g->n[GRAD_DBIAS] =
        bias->data ? bias->shape[0] * bias->shape[1] * bias->shape[2] * bias->shape[3] : 0;
    for (int o = 0; o < GRADS; o++)
        g->dtype[o] = o == GRAD_DBIAS && bias->data ? bias->dtype : s->dtype;
}

att_grad grad_plain_section(const grad_inputs *g, double *const to[GRADS])
{
    const parity_spec *s = &g->in->spec;
    const int64_t *n = g->in->plain.bias.shape;
    att_grad section = {.dout = att_tensor_dense(g->dout_x, ATT_F64, s->b, s->hq, s->sq, s->dv),
                        .dq = att_tensor_dense(to[GRAD_DQ], ATT_F64, s->b, s->hq, s->sq, s->d),
                        .dk = att_tensor_dense(to[GRAD_DK], ATT_F64, s->b, s->hkv, s->sk, s->d),
                        .dv = att_tensor_dense(to[GRAD_DV], ATT_F64, s->b, s->hkv, s->sk, s->dv)};

    if (g->n[GRAD_DBIAS])
        section.dbias = att_tensor_dense(to[GRAD_DBIAS], ATT_F64, n[0], n[1], n[2], n[3]);
    return section;
}

att_status grad_call_of(att_ctx *x, grad_inputs *g, double u_acc, grad_call *out)
{
    att_profile *profile = NULL;
    const att_status status = parity_profile(x, g->in, u_acc, &profile);

    *out = (grad_call){.p = &g->in->plain,
                       .f = profile,
                       .q = g->in->q,
                       .k = g->in->k,
                       .lse = g->in->lse,
                       .out = g->in->out,
                       .dout = g->dout_x,
                       .storage = g->in->spec.dtype,
                       .lse_dtype = g->lse.dtype};
    return status;
}

/* Two forms of the same gradients, written apart, within what f64 rounding may do to both. */
static bool agrees(att_ctx *x, const grad_inputs *g, const grad_answer *mine)
{
    for (int o = 0; o < GRADS; o++)
        for (int64_t i = 0; i < g->n[o]; i++) {
            const double a = g->oracle[o][i], b = mine->of[o].x[i];
            const double slack = OWN_SLACK * mine->of[o].bound[i];
            if (isfinite(a) == isfinite(b) && (!isfinite(a) || fabs(a - b) <= slack))
                continue;
            att_ctx_why(x, "%s, element %lld: the oracle says %.17g, the judge's own sum %.17g",
                        grad_names[o], (long long)i, a, b);
            return false;
        }
    return true;
}

static att_status ask_oracle(att_ctx *x, grad_inputs *g)
{
    static const att_precision f64 = {.acc = ATT_F64, .prob = ATT_F64, .out = ATT_F64};
    att_problem p = g->in->plain;
    att_units units[GRADS];
    grad_call call;

    for (int o = 0; o < GRADS; o++) {
        g->oracle[o] = calloc((size_t)g->n[o] + 1, sizeof(double));
        if (!g->oracle[o] || att_units_of(&f64, ATT_F64, ATT_F64, &units[o]) != ATT_OK)
            return ATT_NO_MEMORY;
    }
    const att_grad section = grad_plain_section(g, g->oracle);
    p.grad = &section;
    att_status status = att_ctx_oracle(x, ATT_OP_ATTEND_BACKWARD, &p);
    if (status == ATT_OK)
        status = grad_call_of(x, g, units->acc, &call);
    if (status == ATT_OK) {
        call.storage = call.lse_dtype = ATT_F64;
        status = grad_rule(&call, units, &g->exact);
    }
    if (status == ATT_OK && !agrees(x, g, &g->exact))
        status = ATT_CORRUPT;
    return status;
}

void grad_inputs_drop(void *inputs)
{
    grad_inputs *g = inputs;

    if (!g)
        return;
    for (int i = 0; i < 3; i++)
        att_guard_drop(&g->guard[i]);
    for (int o = 0; o < GRADS; o++)
        free(g->oracle[o]);
    free(g->dout_x);
    grad_answer_drop(&g->answer);
    grad_answer_drop(&g->exact);
    parity_inputs_drop(g->in);
    free(g);
}

att_status grad_inputs_make(att_ctx *x, const parity_spec *spec, grad_inputs **out)
{
    grad_inputs *g = calloc(1, sizeof *g);
    att_status status = ATT_NO_MEMORY;

    *out = NULL;
    if (!g)
        return status;
    status = parity_inputs_make(x, spec, &g->in);
    if (status != ATT_OK)
        goto done;
    count(g);
    status = make_given(x, g) ? grad_answer_make(g->n, &g->answer) : ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = grad_answer_make(g->n, &g->exact);
    if (status == ATT_OK)
        status = ask_oracle(x, g);
done:
    if (status == ATT_NO_MEMORY)
        att_ctx_why(x, "no memory for the inputs");
    if (status == ATT_OK)
        *out = g;
    else
        grad_inputs_drop(g);
    return status;
}
