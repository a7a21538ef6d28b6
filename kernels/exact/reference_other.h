/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle's other operators: the linear family's recurrences, rotary embedding, LSE merge.
 *
 *   recur: a step at a time, all in double; error <= (t + F) 2^-52 times the recurrence on absolute
 *          values.  Katharopoulos 2020 (linear_elu1), Sun 2023 (retention), Yang 2023 (gla), Schlag
 *          2021 (delta), Yang 2024 (gated delta), Dao and Gu 2024 (ssd), Arora 2024 (based).
 *   rope:  pair (x1, x2) -> (x1 c - x2 s, x1 s + x2 c), Su 2021.
 *   merge: LSE = m + ln sum exp(l_i - m),  o = sum exp(l_i - LSE) o_i. */
#ifndef ATT_REFERENCE_OTHER_H
#define ATT_REFERENCE_OTHER_H

#include "reference_sum.h"
#include "reference_view.h"

static inline double ref_at(const att_tensor *t, int64_t i0, int64_t i1, int64_t i2, int64_t i3)
{
    return ref_load(t->data, t->dtype, ref_broadcast(t, i0, i1, i2, i3));
}

/* State of one (sequence, state head): S[F][Dv], z[F], F features of Dk numbers. */
typedef struct ref_state {
    double *s, *z, *k, *v, *q, *o;
    int64_t dk, dv, f;
} ref_state;

static inline int64_t ref_features(const att_problem *p)
{
    const int64_t dk = p->head_dim;
    return p->recur && p->recur->rule == ATT_RULE_BASED ? 1 + dk + dk * dk : dk;
}

static inline int ref_normed(const att_recur *r)
{
    return r->rule == ATT_RULE_LINEAR_ELU1 || r->rule == ATT_RULE_BASED;
}

static inline size_t ref_state_doubles(const att_problem *p)
{
    size_t f = (size_t)ref_features(p), dv = (size_t)p->value_dim;
    return f * dv + 3 * f + 2 * dv;
}

static inline ref_state ref_state_of(const att_problem *p, double *room)
{
    ref_state st = {.dk = p->head_dim, .dv = p->value_dim, .f = ref_features(p), .s = room};
    st.z = st.s + st.f * st.dv;
    st.k = st.z + st.f;
    st.q = st.k + st.f;
    st.v = st.q + st.f;
    st.o = st.v + st.dv;
    return st;
}

static inline double ref_elu1(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

/* x, of Dk numbers with room for F, becomes its features. */
static inline void ref_map(const ref_state *st, const att_recur *r, double *x)
{
    const int64_t n = st->dk;

    for (int64_t c = 0; c < n && r->rule == ATT_RULE_LINEAR_ELU1; c++)
        x[c] = ref_elu1(x[c]);
    if (r->rule != ATT_RULE_BASED)
        return;
    for (int64_t c = n - 1; c >= 0; c--)
        x[1 + c] = x[c];
    x[0] = 1;
    for (int64_t c = 0; c < n * n; c++)
        x[1 + n + c] = x[1 + c / n] * x[1 + c % n] / sqrt(2.0);
}

/* One step's decay and write; k and v hold this step's rows. */
static inline void ref_state_step(ref_state *st, const att_recur *r, int64_t b, int64_t h,
                                  int64_t t)
{
    int delta = r->rule == ATT_RULE_DELTA || r->rule == ATT_RULE_GATED_DELTA;
    int gated = r->rule == ATT_RULE_GLA || r->rule == ATT_RULE_GATED_DELTA ||
                r->rule == ATT_RULE_SSD;

    ref_map(st, r, st->k);
    for (int64_t c = 0; c < st->f; c++) {
        double decay = 1;
        if (r->rule == ATT_RULE_RETENTION)
            decay = 1 - ldexp(1.0, (int)(-5 - h));
        if (gated)
            decay = exp(ref_at(&r->g, b, h, t, c));
        for (int64_t d = 0; d < st->dv; d++)
            st->s[c * st->dv + d] *= decay;
        if (ref_normed(r))
            st->z[c] += st->k[c];
    }
    if (delta) {
        double beta = ref_at(&r->beta, b, h, t, 0);
        for (int64_t d = 0; d < st->dv; d++)
            st->o[d] = 0;
        for (int64_t c = 0; c < st->f; c++)
            for (int64_t d = 0; d < st->dv; d++)
                st->o[d] += st->s[c * st->dv + d] * st->k[c];
        for (int64_t d = 0; d < st->dv; d++)
            st->v[d] = beta * (st->v[d] - st->o[d]);
    }
    for (int64_t c = 0; c < st->f; c++)
        for (int64_t d = 0; d < st->dv; d++)
            st->s[c * st->dv + d] += st->k[c] * st->v[d];
}

static inline void ref_state_read(ref_state *st, const att_recur *r, double scale)
{
    ref_sum norm = {0, 0};

    for (int64_t d = 0; d < st->dv; d++)
        st->o[d] = 0;
    for (int64_t c = 0; c < st->dk && r->rule == ATT_RULE_BASED; c++)
        st->q[c] *= scale;
    ref_map(st, r, st->q);
    for (int64_t c = 0; c < st->f; c++) {
        double x = st->q[c];
        ref_add(&norm, x * st->z[c]);
        for (int64_t d = 0; d < st->dv; d++)
            st->o[d] += st->s[c * st->dv + d] * x;
    }
    for (int64_t d = 0; d < st->dv; d++)
        st->o[d] = ref_normed(r) ? st->o[d] / ref_total(&norm) : scale * st->o[d];
}

static inline void ref_state_move(ref_state *st, const att_recur *r, int64_t b, int64_t h, int out)
{
    const att_tensor *s = out ? &r->state_out : &r->state_in, *z = out ? &r->z_out : &r->z_in;

    for (int64_t c = 0; c < st->f; c++) {
        for (int64_t d = 0; d < st->dv; d++) {
            double *at = &st->s[c * st->dv + d];
            if (!out)
                *at = s->data ? ref_at(s, b, h, c, d) : 0;
            else if (s->data)
                ref_store(s->data, s->dtype, att_tensor_at(s, b, h, c, d), *at);
        }
        if (!out)
            st->z[c] = z->data ? ref_at(z, b, h, 0, c) : 0;
        else if (z->data)
            ref_store(z->data, z->dtype, att_tensor_at(z, b, h, 0, c), st->z[c]);
    }
}

static inline int ref_state_shaped(const att_problem *p, const att_tensor *t, int64_t n, int64_t d)
{
    return !t->data || ((t->dtype == ATT_F32 || t->dtype == ATT_F64) && t->shape[0] == p->batch &&
                        t->shape[1] == p->heads_kv && t->shape[2] == n && t->shape[3] == d);
}

/* What contradicts itself in the section; NULL = nothing. */
static inline const char *ref_recur_contradiction(const att_problem *p)
{
    const att_recur *r = p->recur;

    if (!r)
        return "recur without its section";
    if (r->rule < 0 || r->rule > ATT_RULE_BASED)
        return "an unknown rule";
    if (!ref_state_shaped(p, &r->state_in, ref_features(p), p->value_dim) ||
        !ref_state_shaped(p, &r->state_out, ref_features(p), p->value_dim) ||
        !ref_state_shaped(p, &r->z_in, 1, ref_features(p)) ||
        !ref_state_shaped(p, &r->z_out, 1, ref_features(p)))
        return "a state is not f32 or f64 [B,Hkv,F,Dv], or z not [B,Hkv,1,F]";
    return NULL;
}

static inline att_status ref_recur(const att_problem *p, double *room)
{
    const att_recur *r = p->recur;
    ref_state st = ref_state_of(p, room);
    int64_t group = p->heads_kv ? p->heads_q / p->heads_kv : 1;
    double scale = r->rule == ATT_RULE_SSD && isnan(p->scale) ? 1.0 : att_scale(p);
    ref_sequence s;

    for (int64_t b = 0; b < p->batch; b++) {
        if (ref_sequence_of(p, b, &s) != ATT_OK || s.nq != s.nk)
            return ATT_INVALID;
        for (int64_t h = 0; h < p->heads_kv; h++) {
            ref_state_move(&st, r, b, h, 0);
            for (int64_t t = 0; t < s.nk; t++) {
                ref_row(&p->k, &p->k_quant, s.kb, h, s.k0 + t, st.dk, st.k);
                ref_row(&p->v, &p->v_quant, s.kb, h, s.k0 + t, st.dv, st.v);
                ref_state_step(&st, r, b, h, t);
                for (int64_t hq = h * group; hq < (h + 1) * group; hq++) {
                    ref_row(&p->q, NULL, s.qb, hq, s.q0 + t, st.dk, st.q);
                    ref_state_read(&st, r, scale);
                    for (int64_t d = 0; d < st.dv; d++)
                        ref_store(p->out.data, p->out.dtype,
                                  att_tensor_at(&p->out, s.qb, hq, s.q0 + t, d), st.o[d]);
                }
            }
            ref_state_move(&st, r, b, h, 1);
        }
    }
    return ATT_OK;
}

/* The angle of pair c at position 1. */
static inline double ref_rope_rate(const att_rope *r, int64_t c)
{
    const double two_pi = 6.283185307179586476925286766559, d = (double)r->rotary_dim;
    double f = exp(-2.0 * (double)c / d * log(r->theta)), keep = 1;

    if (r->scaling == ATT_ROPE_YARN) {
        double lo = floor(d / 2 * log(r->original_len / two_pi / r->fast) / log(r->theta));
        double hi = ceil(d / 2 * log(r->original_len / two_pi / r->slow) / log(r->theta));
        lo = lo > 0 ? lo : 0;
        hi = hi < d - 1 ? hi : d - 1;
        keep = (hi - (double)c) / (hi - lo);
        if (hi == lo)
            keep = (double)c <= lo ? 1 : 0;
    }
    if (r->scaling == ATT_ROPE_LLAMA3)
        keep = (r->original_len * f / two_pi - r->slow) / (r->fast - r->slow);
    keep = keep > 1 ? 1 : keep > 0 ? keep : 0;
    return r->scaling ? f * (keep + (1 - keep) / r->factor) : f;
}

static inline att_status ref_rope(const att_problem *p)
{
    const att_rope *r = p->rope;
    int64_t half = r->rotary_dim / 2;
    double gain = 1;

    if (r->scaling == ATT_ROPE_YARN)
        gain = r->mscale != 0 ? r->mscale : 1 + log(r->factor) / 10;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++) {
                int64_t position = i;
                if (p->q_positions.data)
                    position = ref_int(&p->q_positions, p->q_positions.shape[2] == 1 ? 0 : b, i);
                for (int64_t c = 0; c < half; c++) {
                    int64_t one = r->pairing == ATT_ROPE_HALF ? c : 2 * c;
                    int64_t two = r->pairing == ATT_ROPE_HALF ? c + half : 2 * c + 1;
                    double x1 = ref_at(&p->q, b, h, i, one), x2 = ref_at(&p->q, b, h, i, two);
                    double turn = (double)position * ref_rope_rate(r, c);
                    double co = r->cos.data ? ref_at(&r->cos, 0, b, i, c) : gain * cos(turn);
                    double si = r->sin.data ? ref_at(&r->sin, 0, b, i, c) : gain * sin(turn);
                    ref_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, one),
                              x1 * co - x2 * si);
                    ref_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, two),
                              x1 * si + x2 * co);
                }
                for (int64_t d = 2 * half; d < p->head_dim; d++)
                    ref_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, d),
                              ref_at(&p->q, b, h, i, d));
            }
    return ATT_OK;
}

/* LSE of all parts at one row; -inf where all are empty. */
static inline double ref_merge_lse(const att_merge *m, int64_t b, int64_t h, int64_t i)
{
    double top = -(double)INFINITY;
    ref_sum sum = {0, 0};

    for (int64_t part = 0; part < m->parts; part++) {
        double l = ref_at(&m->lses[part], 0, b, h, i);
        top = isnan(l) || l > top ? l : top;
    }
    if (top == -(double)INFINITY)
        return top;
    for (int64_t part = 0; part < m->parts; part++)
        ref_add(&sum, exp(ref_at(&m->lses[part], 0, b, h, i) - top));
    return top + log(ref_total(&sum));
}

static inline att_status ref_merge(const att_problem *p)
{
    const att_merge *m = p->merge;

    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++) {
                double lse = ref_merge_lse(m, b, h, i), share = 1;
                if (p->sinks.data)
                    share = 1 / (1 + exp(ref_load(p->sinks.data, p->sinks.dtype,
                                                  h * p->sinks.stride[3]) -
                                         lse));
                for (int64_t d = 0; d < p->value_dim; d++) {
                    ref_sum o = {0, 0};
                    for (int64_t part = 0; part < m->parts; part++) {
                        double l = ref_at(&m->lses[part], 0, b, h, i);
                        if (l != -(double)INFINITY)
                            ref_add(&o, exp(l - lse) * ref_at(&m->outs[part], b, h, i, d));
                    }
                    ref_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, d),
                              lse == -(double)INFINITY ? 0 : share * ref_total(&o));
                }
                if (p->lse.data)
                    ref_store(p->lse.data, p->lse.dtype, att_tensor_at(&p->lse, 0, b, h, i), lse);
            }
    return ATT_OK;
}

#endif
