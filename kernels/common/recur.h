/* SPDX-License-Identifier: Apache-2.0 */
/* The linear family's recurrence, a token at a time, with steps that a kernel may replace.
 *
 *   S = diag(decay_t) S + k_t w_t^T,  w = v or beta (v - S^T k);  o = scale S^T q, or S^T q / z.q
 *
 * with features of k and q in their place where the rule has some (F of them; else F = Dk).
 *
 * Why: the recurrent form of every rule (att_rule) in one loop; the zoo's kernels of this family
 * are this loop with one step done wrong.  With nothing replaced it is right.
 * Bound: f32 throughout; |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M, M the recurrence on absolute
 * values.  O(B Hkv T Dk Dv (1 + Hq/Hkv)), one thread. */
#ifndef ATT_COMMON_RECUR_H
#define ATT_COMMON_RECUR_H

#include "common/rows.h"

typedef struct att_recur_way att_recur_way;

/* One token of one (sequence, state head) in work. */
typedef struct att_recur_work {
    const att_recur_way *way;
    const att_problem *p;
    int64_t b, h, t;
    int64_t width;            /* F */
    float *s, *z;             /* [F][Dv] [F]: the state */
    float *k, *v, *q, *o, *a; /* [F] [Dv] [F] [Dv] [F]: rows, and this token's decay */
} att_recur_work;

/* The steps; NULL = done right. */
struct att_recur_way {
    int64_t (*tokens)(const att_problem *p); /* how many are taken in; outputs stop at Sq */
    void (*start)(att_recur_work *w);        /* the state before the first token */
    void (*write)(att_recur_work *w);        /* token t into the state */
    float (*norm)(const att_recur_work *w);  /* z . q, what o is divided by */
    void (*after)(att_recur_work *w);        /* when token t is done; nothing to do */
};

/* ------------------------------------------------------------- rules, shared by all kernels */

static inline bool att_rule_gated(int32_t rule)
{
    return rule == ATT_RULE_GLA || rule == ATT_RULE_GATED_DELTA || rule == ATT_RULE_SSD;
}

static inline bool att_rule_delta(int32_t rule)
{
    return rule == ATT_RULE_DELTA || rule == ATT_RULE_GATED_DELTA;
}

/* Is the output divided by z . q? */
static inline bool att_rule_normed(int32_t rule)
{
    return rule == ATT_RULE_LINEAR_ELU1 || rule == ATT_RULE_BASED;
}

/* Features of a row of dk numbers: the state's rows. */
static inline int64_t att_rule_width(int32_t rule, int64_t dk)
{
    return rule == ATT_RULE_BASED ? 1 + dk + dk * dk : dk;
}

static inline int64_t att_recur_width(const att_problem *p)
{
    return att_rule_width(p->recur->rule, p->head_dim);
}

static inline float att_recur_scale(const att_problem *p)
{
    return p->recur->rule == ATT_RULE_SSD && isnan(p->scale) ? 1.0f : (float)att_scale(p);
}

/* The dk numbers at x become their features, in place; elu(x) + 1, or 1, x, (x x^T) / sqrt(2). */
static inline void att_rule_features(int32_t rule, float *x, int64_t dk)
{
    for (int64_t c = 0; c < dk && rule == ATT_RULE_LINEAR_ELU1; c++)
        x[c] = x[c] > 0.0f ? x[c] + 1.0f : att_exp(x[c]);
    if (rule != ATT_RULE_BASED)
        return;
    memmove(x + 1, x, (size_t)dk * sizeof *x);
    x[0] = 1.0f;
    for (int64_t c = 0; c < dk; c++)
        for (int64_t d = 0; d < dk; d++)
            x[1 + dk + c * dk + d] = 0.70710678f * x[1 + c] * x[1 + d];
}

/* k, q: room for att_recur_width floats.  based's scale stands before the features. */
static inline void att_recur_key(const att_problem *p, int64_t b, int64_t h, int64_t t, float *k)
{
    att_load_row(p->k.data, p->k.dtype, att_tensor_at(&p->k, b, h, t, 0), p->k.stride[3],
                 p->head_dim, k);
    att_rule_features(p->recur->rule, k, p->head_dim);
}

static inline void att_recur_query(const att_problem *p, int64_t b, int64_t hq, int64_t t, float *q)
{
    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, b, hq, t, 0), p->q.stride[3],
                 p->head_dim, q);
    for (int64_t c = 0; c < p->head_dim && p->recur->rule == ATT_RULE_BASED; c++)
        q[c] *= att_recur_scale(p);
    att_rule_features(p->recur->rule, q, p->head_dim);
}

static inline void att_recur_value(const att_problem *p, int64_t b, int64_t h, int64_t t, float *v)
{
    att_load_row(p->v.data, p->v.dtype, att_tensor_at(&p->v, b, h, t, 0), p->v.stride[3],
                 p->value_dim, v);
}

/* Token t's decay of every channel; 1 where the rule has none. */
static inline void att_recur_decay(const att_problem *p, int64_t b, int64_t h, int64_t t, float *a)
{
    const att_tensor *g = &p->recur->g;
    const int64_t dk = att_recur_width(p);
    const bool gated = att_rule_gated(p->recur->rule);
    float one = p->recur->rule == ATT_RULE_RETENTION ? (float)(1 - ldexp(1, (int)(-5 - h))) : 1.0f;

    if (gated && g->shape[3] == 1)
        one = att_exp(att_load(g->data, g->dtype, att_tensor_at(g, b, h, t, 0)));
    for (int64_t c = 0; c < dk; c++)
        a[c] = one;
    for (int64_t c = 0; c < dk && gated && g->shape[3] != 1; c++)
        a[c] = att_exp(att_load(g->data, g->dtype, att_tensor_at(g, b, h, t, c)));
}

static inline float att_recur_beta(const att_problem *p, int64_t b, int64_t h, int64_t t)
{
    const att_tensor *beta = &p->recur->beta;
    return att_load(beta->data, beta->dtype, att_tensor_at(beta, b, h, t, 0));
}

/* The state of (b, h), rows of s `columns` apart: what was given, else zeros. */
static inline void att_recur_load(const att_problem *p, int64_t b, int64_t h, int64_t columns,
                                  float *s, float *z)
{
    const att_tensor *si = &p->recur->state_in, *zi = &p->recur->z_in;
    const int64_t width = att_recur_width(p);

    memset(s, 0, (size_t)(width * columns) * sizeof *s);
    memset(z, 0, (size_t)width * sizeof *z);
    for (int64_t c = 0; c < width; c++) {
        if (zi->data)
            z[c] = ((const float *)zi->data)[att_tensor_at(zi, b, h, 0, c)];
        if (si->data)
            att_load_row(si->data, ATT_F32, att_tensor_at(si, b, h, c, 0), si->stride[3],
                         p->value_dim, s + c * columns);
    }
}

static inline void att_recur_save(const att_problem *p, int64_t b, int64_t h, int64_t columns,
                                  const float *s, const float *z)
{
    const att_tensor *so = &p->recur->state_out, *zo = &p->recur->z_out;
    const int64_t width = att_recur_width(p);

    for (int64_t c = 0; c < width; c++) {
        if (zo->data)
            ((float *)zo->data)[att_tensor_at(zo, b, h, 0, c)] = z[c];
        if (so->data)
            att_store_row(so->data, ATT_F32, att_tensor_at(so, b, h, c, 0), so->stride[3],
                          p->value_dim, s + c * columns);
    }
}

static inline bool att_state_shaped(const att_tensor *t, int64_t b, int64_t h, int64_t n, int64_t d)
{
    return !t->data || (t->dtype == ATT_F32 && att_shaped(t, b, h, n, d));
}

static inline bool att_gate_shaped(const att_problem *p, const att_tensor *t, bool channels)
{
    return t->data && att_is_float(t->dtype, ATT_HALVES_AND_SINGLE) &&
           (att_shaped(t, p->batch, p->heads_kv, p->q_len, 1) ||
            (channels && att_shaped(t, p->batch, p->heads_kv, p->q_len, p->head_dim)));
}

/* `supports` of kernels that offer recur alone, for every rule. */
static inline att_status att_recur_supports(const att_kernel *self, att_op op, const att_problem *p,
                                            const att_value *params, att_reason *why)
{
    static const att_accept accept = {.ops = 1u << ATT_OP_RECUR, .dtypes = ATT_HALVES_AND_SINGLE};
    const att_status status = att_accept_check(&accept, op, p, why);
    const att_recur *r = p->recur;
    const int64_t B = p->batch, H = p->heads_kv;

    (void)self, (void)params;
    if (status)
        return status;
    if (!r || r->rule < 0 || r->rule > ATT_RULE_BASED)
        return att_refuse(why, r ? ATT_UNSUPPORTED : ATT_INVALID, "recur without a known rule");
    if (p->lse.data || p->q_lengths.data || p->kv_lengths.data)
        return att_refuse(why, ATT_UNSUPPORTED, "LSE, or lengths of their own");
    if (p->q_len != p->kv_len)
        return att_refuse(why, ATT_INVALID, "as many queries as keys are expected");
    if ((att_rule_gated(r->rule) && !att_gate_shaped(p, &r->g, true)) ||
        (att_rule_delta(r->rule) && !att_gate_shaped(p, &r->beta, false)))
        return att_refuse(why, ATT_INVALID,
                          "g must be a float [B,Hkv,S,Dk or 1], beta [B,Hkv,S,1]");
    const int64_t width = att_recur_width(p);
    if (!att_state_shaped(&r->state_in, B, H, width, p->value_dim) ||
        !att_state_shaped(&r->state_out, B, H, width, p->value_dim) ||
        !att_state_shaped(&r->z_in, B, H, 1, width) || !att_state_shaped(&r->z_out, B, H, 1, width))
        return att_refuse(why, ATT_INVALID, "state must be f32 [B,Hkv,F,Dv], z f32 [B,Hkv,1,F]");
    return ATT_OK;
}

/* ------------------------------------------------------------------------------ the loop */

static inline void att_recur_start(att_recur_work *w)
{
    att_recur_load(w->p, w->b, w->h, w->p->value_dim, w->s, w->z);
}

static inline float att_recur_norm(const att_recur_work *w)
{
    return att_dot(w->z, w->q, w->width);
}

/* S takes in token t. */
static inline void att_recur_write(att_recur_work *w)
{
    const att_problem *p = w->p;
    const int64_t dk = w->width, dv = p->value_dim;

    att_recur_key(p, w->b, w->h, w->t, w->k);
    att_recur_value(p, w->b, w->h, w->t, w->v);
    att_recur_decay(p, w->b, w->h, w->t, w->a);
    for (int64_t c = 0; c < dk; c++) {
        w->z[c] += w->k[c];
        for (int64_t d = 0; d < dv; d++)
            w->s[c * dv + d] *= w->a[c];
    }
    if (att_rule_delta(p->recur->rule)) {
        const float beta = att_recur_beta(p, w->b, w->h, w->t);
        memset(w->o, 0, (size_t)dv * sizeof *w->o);
        for (int64_t c = 0; c < dk; c++)
            att_axpy(w->k[c], w->s + c * dv, dv, w->o);
        for (int64_t d = 0; d < dv; d++)
            w->v[d] = beta * (w->v[d] - w->o[d]);
    }
    for (int64_t c = 0; c < dk; c++)
        att_axpy(w->k[c], w->v, dv, w->s + c * dv);
}

static inline void att_recur_read(att_recur_work *w, int64_t hq)
{
    const att_problem *p = w->p;
    const int64_t dk = w->width, dv = p->value_dim;
    const bool normed = att_rule_normed(p->recur->rule);

    att_recur_query(p, w->b, hq, w->t, w->q);
    memset(w->o, 0, (size_t)dv * sizeof *w->o);
    for (int64_t c = 0; c < dk; c++)
        att_axpy(w->q[c], w->s + c * dv, dv, w->o);
    const float norm = normed ? (w->way->norm ? w->way->norm : att_recur_norm)(w) : 1.0f;
    const float scale = normed ? 1.0f : att_recur_scale(p);
    for (int64_t d = 0; d < dv; d++)
        w->o[d] = normed ? w->o[d] / norm : scale * w->o[d];
    att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, w->b, hq, w->t, 0),
                  p->out.stride[3], dv, w->o);
}

static inline att_status att_recur_plan(const att_kernel *self, att_op op, const att_problem *p,
                                        const att_value *params, att_plan *out)
{
    const int64_t dk = att_recur_width(p), dv = p->value_dim;
    int64_t floats;

    (void)self, (void)op, (void)params;
    if (__builtin_mul_overflow(dk + 2, dv + 4, &floats) || floats > INT64_MAX / 4)
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

static inline att_status att_recur_run(const att_problem *p, const att_recur_way *way,
                                       const att_scratch *s)
{
    const int64_t dk = att_recur_width(p), dv = p->value_dim;
    const int64_t group = p->heads_kv ? p->heads_q / p->heads_kv : 1;
    const int64_t tokens = way->tokens ? way->tokens(p) : p->kv_len;
    att_recur_work w = {.way = way, .p = p, .width = dk, .s = s->data};

    w.z = w.s + dk * dv;
    w.k = w.z + dk;
    w.q = w.k + dk;
    w.a = w.q + dk;
    w.v = w.a + dk;
    w.o = w.v + dv;
    for (w.b = 0; w.b < p->batch; w.b++)
        for (w.h = 0; w.h < p->heads_kv; w.h++) {
            (way->start ? way->start : att_recur_start)(&w);
            for (w.t = 0; w.t < tokens; w.t++) {
                (way->write ? way->write : att_recur_write)(&w);
                for (int64_t hq = w.h * group; hq < (w.h + 1) * group && w.t < p->q_len; hq++)
                    att_recur_read(&w, hq);
                if (way->after)
                    way->after(&w);
            }
            att_recur_save(p, w.b, w.h, dv, w.s, w.z);
        }
    return ATT_OK;
}

#endif
