/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle's gradients, analytic, in f64, from the inputs alone (not from the given out and LSE).
 *
 *   p_j = exp(s_j - m) / (sum + sink)     D = sum_j p_j do.v_j     ds_j = p_j (do.v_j - D)
 *   dv_j = sum_rows p_j do     dbias = ds, summed where the bias broadcasts
 *   du_j = ds_j (1 - tanh^2)   dq = scale sum_j du_j k_j           dk_j = scale sum_rows du_j q
 *
 * over the allowed pairs alone.  dk and dv sum over the query heads of a group; a row without keys,
 * a key that no query may see and a bias that no pair reads get +0.  Plain f64 sums:
 * |e| <= (Dk + Dv + n + 20) 2^-52 times the same sums on absolute values.  Checked by central
 * differences of the oracle's forward. */
#ifndef ATT_REFERENCE_BACKWARD_H
#define ATT_REFERENCE_BACKWARD_H

#include "reference_accept.h"
#include "reference_sum.h"

/* Room of one (sequence, key/value head).  Of a row: its allowed keys with p and 1 - tanh^2. */
typedef struct ref_back {
    double *k, *v, *dk, *dv, *p, *slope, *q, *dout, *dq;
    double *bias; /* [cells of dbias], over all sequences */
    int64_t *keys, n;
} ref_back;

static inline int64_t ref_cells(const att_tensor *t)
{
    return t->data ? t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3] : 0;
}

static inline int ref_back_size(const att_problem *p, size_t *doubles)
{
    int64_t wide, rows, total;

    if (__builtin_mul_overflow(p->head_dim + p->value_dim + 2, 2, &wide) ||
        __builtin_mul_overflow(p->kv_len, wide, &rows) ||
        __builtin_add_overflow(rows, wide + (p->grad ? ref_cells(&p->grad->dbias) : 0), &total))
        return 0;
    *doubles = (size_t)total;
    return 1;
}

static inline ref_back ref_back_of(const att_problem *p, double *data)
{
    int64_t n = p->kv_len, dk = p->head_dim, dv = p->value_dim;
    ref_back r = {.k = data};

    r.v = r.k + n * dk;
    r.dk = r.v + n * dv;
    r.dv = r.dk + n * dk;
    r.p = r.dv + n * dv;
    r.slope = r.p + n;
    r.keys = (int64_t *)(void *)(r.slope + n);
    r.q = r.slope + 2 * n;
    r.dq = r.q + dk;
    r.dout = r.dq + dk;
    r.bias = r.dout + dv;
    return r;
}

/* The final logit of an allowed pair; *slope: what the cap leaves of its derivative. */
static inline double ref_back_logit(const att_problem *p, const ref_sequence *s, const ref_back *r,
                                    int64_t h, int64_t i, int64_t j, double *slope)
{
    double x = att_scale(p) * ref_dot(r->q, r->k + j * p->head_dim, p->head_dim);

    *slope = 1;
    if (p->softcap > 0) {
        double t = tanh(x / p->softcap);
        x = p->softcap * t;
        *slope = 1 - t * t;
    }
    if (p->alibi_slopes.data) {
        int64_t gap = ref_gap(ref_query_position(p, s, i), ref_key_position(p, s, j));
        double m =
            ref_load(p->alibi_slopes.data, p->alibi_slopes.dtype, h * p->alibi_slopes.stride[3]);
        x -= m * fabs((double)gap);
    }
    return x + ref_bias(p, s->b, h, i, j);
}

/* The allowed keys of a row, their probabilities and slopes. */
static inline void ref_back_weights(const att_problem *p, const ref_sequence *s, ref_back *r,
                                    int64_t h, int64_t i)
{
    double top = -(double)INFINITY, total = 0, z = top;

    r->n = 0;
    for (int64_t j = 0; j < s->nk; j++) {
        if (!ref_allowed(p, s, h, i, j))
            continue;
        double x = ref_back_logit(p, s, r, h, i, j, &r->slope[r->n]);
        top = isnan(x) || x > top ? x : top;
        r->keys[r->n] = j;
        r->p[r->n++] = x;
    }
    if (p->sinks.data)
        z = ref_load(p->sinks.data, p->sinks.dtype, h * p->sinks.stride[3]);
    double most = z > top ? z : top; /* of keys and sink */
    for (int64_t n = 0; n < r->n; n++)
        total += r->p[n] = exp(r->p[n] - most);
    total += exp(z - most);
    for (int64_t n = 0; n < r->n; n++)
        r->p[n] /= total;
}

static inline void ref_back_bias(const att_problem *p, const ref_back *r, int64_t b, int64_t h,
                                 int64_t i, int64_t j, double ds)
{
    const int64_t *n = p->grad->dbias.shape;
    int64_t at[4] = {b, h, i, j}, cell = 0;

    for (int a = 0; a < 4; a++)
        cell = cell * n[a] + (n[a] == 1 ? 0 : at[a]);
    r->bias[cell] += ds;
}

static inline void ref_back_row(const att_problem *p, const ref_sequence *s, ref_back *r, int64_t h,
                                int64_t i)
{
    const att_tensor *dq = &p->grad->dq;
    int64_t dk = p->head_dim, dv = p->value_dim;
    double mean = 0;

    ref_back_weights(p, s, r, h, i);
    for (int64_t d = 0; d < dk; d++)
        r->dq[d] = 0;
    for (int64_t n = 0; n < r->n; n++)
        mean += r->p[n] * ref_dot(r->dout, r->v + r->keys[n] * dv, dv);
    for (int64_t n = 0; n < r->n; n++) {
        int64_t j = r->keys[n];
        double ds = r->p[n] * (ref_dot(r->dout, r->v + j * dv, dv) - mean);
        double du = att_scale(p) * ds * r->slope[n];
        for (int64_t d = 0; d < dv; d++)
            r->dv[j * dv + d] += r->p[n] * r->dout[d];
        for (int64_t d = 0; d < dk; d++) {
            r->dq[d] += du * r->k[j * dk + d];
            r->dk[j * dk + d] += du * r->q[d];
        }
        if (p->grad->dbias.data)
            ref_back_bias(p, r, s->b, h, i, j, ds);
    }
    for (int64_t d = 0; d < dk; d++)
        ref_store(dq->data, dq->dtype, att_tensor_at(dq, s->qb, h, s->q0 + i, d), r->dq[d]);
}

static inline void ref_back_head(const att_problem *p, const ref_sequence *s, ref_back *r,
                                 int64_t hk)
{
    const att_grad *g = p->grad;
    int64_t group = p->heads_q / p->heads_kv, dk = p->head_dim, dv = p->value_dim;

    for (int64_t j = 0; j < s->nk; j++) {
        ref_row(&p->k, NULL, s->kb, hk, s->k0 + j, dk, r->k + j * dk);
        ref_row(&p->v, NULL, s->kb, hk, s->k0 + j, dv, r->v + j * dv);
    }
    memset(r->dk, 0, (size_t)(p->kv_len * dk) * sizeof(double));
    memset(r->dv, 0, (size_t)(p->kv_len * dv) * sizeof(double));
    for (int64_t h = hk * group; h < (hk + 1) * group; h++)
        for (int64_t i = 0; i < s->nq; i++) {
            ref_row(&p->q, NULL, s->qb, h, s->q0 + i, dk, r->q);
            ref_row(&g->dout, NULL, s->qb, h, s->q0 + i, dv, r->dout);
            ref_back_row(p, s, r, h, i);
        }
    for (int64_t j = 0; j < s->nk; j++) {
        for (int64_t d = 0; d < dk; d++)
            ref_store(g->dk.data, g->dk.dtype, att_tensor_at(&g->dk, s->kb, hk, s->k0 + j, d),
                      r->dk[j * dk + d]);
        for (int64_t d = 0; d < dv; d++)
            ref_store(g->dv.data, g->dv.dtype, att_tensor_at(&g->dv, s->kb, hk, s->k0 + j, d),
                      r->dv[j * dv + d]);
    }
}

static inline att_status ref_backward(const att_problem *p, double *data)
{
    const att_tensor *bias = &p->grad->dbias;
    const int64_t *n = bias->shape;
    ref_back r = ref_back_of(p, data);
    ref_sequence s;

    for (int64_t b = 0; b < p->batch; b++)
        if (ref_sequence_of(p, b, &s) != ATT_OK)
            return ATT_INVALID; /* before anything is written */
    for (int64_t c = 0; c < ref_cells(bias); c++)
        r.bias[c] = 0;
    for (int64_t b = 0; b < p->batch; b++) {
        ref_sequence_of(p, b, &s);
        for (int64_t hk = 0; hk < p->heads_kv; hk++)
            ref_back_head(p, &s, &r, hk);
    }
    for (int64_t c = 0; c < ref_cells(bias); c++)
        ref_store(bias->data, bias->dtype,
                  att_tensor_at(bias, c / (n[1] * n[2] * n[3]), c / (n[2] * n[3]) % n[1],
                                c / n[3] % n[2], c % n[3]),
                  r.bias[c]);
    return ATT_OK;
}

static inline int ref_same_shape(const att_tensor *a, const att_tensor *b)
{
    int empty = 0;

    for (int d = 0; d < 4; d++) {
        if (a->shape[d] != b->shape[d])
            return 0;
        empty |= a->shape[d] == 0;
    }
    return a->data || empty;
}

/* What contradicts itself in the section of gradients; NULL = nothing. */
static inline const char *ref_back_contradiction(const att_problem *p)
{
    const att_grad *g = p->grad;

    if (!g)
        return "attend_backward without its section";
    if (!ref_same_shape(&g->dq, &p->q) || !ref_same_shape(&g->dk, &p->k) ||
        !ref_same_shape(&g->dv, &p->v) ||
        (g->dbias.data && (!p->bias.data || !ref_same_shape(&g->dbias, &p->bias))))
        return "a gradient is missing or not of the shape of what it is the gradient of";
    if (!ref_is(&g->dout, p->q.shape[0], p->heads_q, p->q.shape[2], p->value_dim))
        return "dout is missing or not of the shape of out";
    return NULL;
}

/* What is not offered; NULL = nothing. */
static inline const char *ref_back_lacks(const att_problem *p)
{
    const att_grad *g = p->grad;

    if (p->block_table.data || p->k_quant.scheme || p->v_quant.scheme)
        return "gradients of paged or quantised keys";
    return ref_stores(g->dq.dtype) && ref_stores(g->dk.dtype) && ref_stores(g->dv.dtype) &&
                   (!g->dbias.data || ref_stores(g->dbias.dtype))
               ? NULL
               : "writes f64, f32, f16 and bf16 only";
}

#endif
