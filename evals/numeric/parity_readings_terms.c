/* SPDX-License-Identifier: Apache-2.0 */
/* Readings that mistake a term of the logits: its scale, its place in the order of things, its
 * dimension that is not broadcast, the precision of what it is made of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

#define LN2 0x1.62e42fefa39efp-1

/* ---------------------------------------------------------------------------- other scales */

static bool scale_is(parity_trial *t, double scale)
{
    const bool other = scale != att_scale(&t->p);

    t->p.scale = scale;
    return other;
}

static bool scale_of_values(parity_trial *t)
{
    return scale_is(t, 1 / sqrt((double)t->p.value_dim));
}

static bool scale_without_root(parity_trial *t)
{
    return scale_is(t, 1 / (double)t->p.head_dim);
}

static bool default_scale(parity_trial *t) /* absorbed keys apart: mla_latent_scale */
{
    return !parity_is(t->in->spec.layout, "shared") && scale_is(t, 1 / sqrt((double)t->p.head_dim));
}

/* -------------------------------------------------------------------- the final logits anew */

/* What a key's logit is made of. */
typedef struct parts {
    double score, bias, alibi; /* scaled; added; subtracted */
    double scale, softcap;
} parts;

static double capped(const parts *x, double score)
{
    return x->softcap > 0 ? x->softcap * tanh(score / x->softcap) : score;
}

/* The logits as `as` puts them together. */
static bool logits_as(parity_trial *t, double (*as)(const parts *x))
{
    const att_problem *p = &t->in->plain;
    const int64_t n = p->kv_len;

    if (!parity_own_bias(t))
        return false;
    for (int64_t at = 0; at < parity_rows(t) * n; at++) {
        if (!t->in->allowed[at])
            continue;
        const double right = parity_logit(t, at / n, at % n);
        parts x = {.score = parity_score(t, parity_place_of(t, at / n), at % n),
                   .bias = t->bias[at],
                   .scale = att_scale(p),
                   .softcap = p->softcap};
        x.alibi = capped(&x, x.score) + x.bias - right;
        t->bias[at] += as(&x) - right;
    }
    return true;
}

static double base_two(const parts *x)
{
    return (capped(x, x->score) + x->bias - x->alibi) * LN2;
}

/* Down from the row's maximum, which is right: a sink keeps its weight. */
static bool log2e_missing(parity_trial *t)
{
    const int64_t n = t->in->plain.kv_len;

    if (!parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        double *bias = t->bias + r * n;
        const double top = parity_top(t, r, n);
        for (int64_t j = 0; j < n; j++)
            if (t->in->allowed[r * n + j])
                bias[j] += (1 - LN2) * (top - parity_logit(t, r, j));
    }
    return true;
}

static float sink_in_base_two(const parity_trial *t, int64_t h)
{
    const att_tensor *z = &t->in->plain.sinks;

    return (float)(att_fp_load(z->data, z->dtype, h) * LN2);
}

static bool log2e_missing_in_sinks(parity_trial *t)
{
    return t->p.sinks.data && logits_as(t, base_two) &&
           parity_heads_as(t, sink_in_base_two, &t->p.sinks);
}

static double bias_of_base_e(const parts *x)
{
    return capped(x, x->score) + (x->bias - x->alibi) * LN2;
}

static bool log2e_missing_in_bias(parity_trial *t)
{
    return (t->p.bias.data || t->p.alibi_slopes.data) && logits_as(t, bias_of_base_e);
}

static double cap_then_scale(const parts *x)
{
    return capped(x, x->score / x->scale) * x->scale + x->bias - x->alibi;
}

static bool cap_before_scale(parity_trial *t)
{
    return t->p.softcap > 0 && att_scale(&t->p) > 0 && logits_as(t, cap_then_scale);
}

static double cap_all(const parts *x)
{
    return capped(x, x->score + x->bias - x->alibi);
}

static bool cap_after_bias(parity_trial *t)
{
    return t->p.softcap > 0 && (t->p.bias.data || t->p.alibi_slopes.data) && logits_as(t, cap_all);
}

static double cap_not_restored(const parts *x)
{
    return tanh(x->score / x->softcap) + x->bias - x->alibi;
}

static bool cap_lost(parity_trial *t)
{
    return t->p.softcap > 0 && logits_as(t, cap_not_restored);
}

static double scale_bias(const parts *x)
{
    return capped(x, x->score) + x->bias * x->scale - x->alibi;
}

static bool bias_scaled(parity_trial *t)
{
    return t->p.bias.data && logits_as(t, scale_bias);
}

static double scale_alibi(const parts *x)
{
    return capped(x, x->score) + x->bias - x->alibi * x->scale;
}

static bool alibi_scaled(parity_trial *t)
{
    return t->p.alibi_slopes.data && logits_as(t, scale_alibi);
}

static double turn_alibi(const parts *x)
{
    return capped(x, x->score) + x->bias + x->alibi;
}

static bool alibi_negated(parity_trial *t)
{
    return t->p.alibi_slopes.data && logits_as(t, turn_alibi);
}

/* ------------------------------------------------------------------ dimensions that are lost */

/* Dimension n - 1 of 3 (batch, head, row) is read as if broadcast. */
static bool only_first(parity_trial *t, att_tensor *tensor)
{
    if (!tensor->data || tensor->shape[t->n - 1] == 1)
        return false;
    tensor->shape[t->n - 1] = 1;
    return true;
}

static bool mask_of_first(parity_trial *t)
{
    return only_first(t, &t->p.mask);
}

static bool bias_of_first(parity_trial *t)
{
    return only_first(t, &t->p.bias);
}

static float first_slope(const parity_trial *t, int64_t h)
{
    (void)h;
    return ((const float *)t->in->plain.alibi_slopes.data)[0];
}

static bool slope_of_first(parity_trial *t)
{
    return t->p.alibi_slopes.data && t->p.heads_q > 1 &&
           parity_heads_as(t, first_slope, &t->p.alibi_slopes);
}

static float shared_sink(const parity_trial *t, int64_t h)
{
    const att_tensor *z = &t->in->plain.sinks;
    const att_problem *p = &t->in->plain;

    return (float)att_fp_load(z->data, z->dtype, t->n == 1 ? 0 : h / (p->heads_q / p->heads_kv));
}

static bool sink_of_first(parity_trial *t)
{
    return t->p.sinks.data && t->p.heads_q > 1 && parity_heads_as(t, shared_sink, &t->p.sinks);
}

/* K and V of the first sequence for all. */
static bool keys_of_first(parity_trial *t)
{
    const int64_t dk = t->p.k.stride[0], dv = t->p.v.stride[0];

    t->p.k.stride[0] = t->p.v.stride[0] = 0;
    return t->p.batch > 1 && dk && dv && !t->in->cu_k;
}

/* Only keys, or only values, come from the head that the other reads. */
static bool first_head(parity_trial *t)
{
    const bool several = t->p.heads_kv > 1;

    if (t->n != 2)
        t->p.k.stride[1] = 0;
    if (t->n != 1)
        t->p.v.stride[1] = 0;
    return several;
}

/* -------------------------------------------------------------------------------- precision */

/* n = bits of the significand, 4 for all operands: 8 bfloat16, 11 half or TF32. */
static void round_to(double *x, int64_t n, int bits)
{
    for (int64_t i = 0; i < n; i++) {
        int exponent;
        const double fraction = frexp(x[i], &exponent);
        if (isfinite(x[i]))
            x[i] = ldexp(nearbyint(ldexp(fraction, bits)), exponent - bits);
    }
}

static double *copy_of(const double *from, int64_t n)
{
    double *to = malloc((size_t)(n + 1) * sizeof *to);

    if (to)
        memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

static bool operands_rounded(parity_trial *t)
{
    const att_problem *p = &t->in->plain;
    const int64_t q = parity_rows(t) * p->head_dim, keys = p->batch * p->heads_kv * p->kv_len;
    const int64_t k = keys * p->head_dim, v = keys * p->value_dim;

    if (t->in->spec.dtype != ATT_F32)
        return false;
    t->q = copy_of(t->in->q, q);
    t->k = copy_of(t->in->k, k);
    t->v = copy_of(t->in->v, v);
    if (!t->q || !t->k || !t->v)
        return false;
    round_to(t->q, q, (int)t->n);
    round_to(t->k, k, (int)t->n);
    round_to(t->v, v, (int)t->n);
    t->p.q.data = t->q;
    t->p.k.data = t->k;
    t->p.v.data = t->v;
    return true;
}

/* The maximum is not taken off: e^x is infinite from 88.7 on, and 0 below -104. */
static bool max_not_subtracted(parity_trial *t)
{
    const int64_t n = t->in->plain.kv_len;
    bool found = false;

    if (!parity_own_bias(t))
        return false;
    for (int64_t r = 0; r < parity_rows(t); r++) {
        const double top = parity_top(t, r, n);
        if (top == -(double)INFINITY || (top < 88.7 && top > -104))
            continue;
        parity_spoil_row(t, r);
        found = true;
    }
    return found;
}

static const int64_t dimensions[] = {1, 2, 3, 0};
static const int64_t shared[] = {1, 2, 0};
static const int64_t bits[] = {8, 11, 0};

const parity_fault parity_term_faults[] = {
    {"log2e_missing", "2^x in place of e^x", log2e_missing, NULL},
    {"log2e_missing", "2^x in place of e^x, sinks too", log2e_missing_in_sinks, NULL},
    {"bias_without_log2e", "what is added is not scaled to the base 2", log2e_missing_in_bias,
     NULL},
    {"scale_of_value_dim", "scale by the width of V", scale_of_values, NULL},
    {"scale_without_root", "scale 1 / Dk", scale_without_root, NULL},
    {"scale_ignored", "scale 1 / sqrt(Dk) although another is asked for", default_scale, NULL},
    {"softcap_before_scale", "softcap before the scale", cap_before_scale, NULL},
    {"softcap_after_bias", "softcap after what is added", cap_after_bias, NULL},
    {"softcap_not_restored", "tanh(x / cap), not times cap", cap_lost, NULL},
    {"bias_scaled", "bias added before the scale", bias_scaled, NULL},
    {"alibi_scaled", "ALiBi added before the scale", alibi_scaled, NULL},
    {"alibi_negated", "ALiBi added, not subtracted", alibi_negated, NULL},
    {"mask_broadcast", "mask of the first batch (1), head (2), row (3): #", mask_of_first,
     dimensions},
    {"bias_broadcast", "bias of the first batch (1), head (2), row (3): #", bias_of_first,
     dimensions},
    {"alibi_broadcast", "slope of the first head", slope_of_first, NULL},
    {"sinks_broadcast", "sink of the first head (1), of the key/value head (2): #", sink_of_first,
     shared},
    {"kv_batch_broadcast", "keys and values of the first sequence", keys_of_first, NULL},
    {"kv_head_broadcast", "keys (1), values (2), both (3) of the first head: #", first_head,
     dimensions},
    {"operands_rounded", "Q, K and V rounded to # bits", operands_rounded, bits},
    {"max_not_subtracted", "the maximum is not taken off before exp", max_not_subtracted, NULL},
    {0},
};
