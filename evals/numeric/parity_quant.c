/* SPDX-License-Identifier: Apache-2.0 */
/* K and V stored quantised: codes and scales in guarded memory of their own, and what they mean
 * read back, so that a kernel is held to the oracle's answer on the dequantised numbers and what
 * the scheme itself loses is no error of the kernel's.
 *
 *   x = scale (q - zero)     one scale a token, a channel, a group of either, or a head
 *   x = d q, d (q - 8)       blocks of 32 with the factor inside (base/fp.h)
 *
 * Memory that no key owns holds NaN where the type or its scale has one, else -128. */
#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"

static const parity_scheme schemes[] = {
    {"i8tok", ATT_I8, ATT_F32, 3, 0, false},    {"i8chan", ATT_I8, ATT_F32, 2, 0, false},
    {"i8group", ATT_I8, ATT_F16, 3, 16, false}, {"i8run", ATT_I8, ATT_F16, 2, 16, false},
    {"q8_0", ATT_Q8_0, -1, 0, 0, false},        {"q4_0", ATT_Q4_0, -1, 0, 0, false},
    {"e4m3", ATT_F8_E4M3, ATT_F32, 3, 0, true}, {"e5m2", ATT_F8_E5M2, -1, 0, 0, false},
};

/* Words that stand for two schemes, K's and V's. */
static const struct {
    const char *name, *k, *v;
} pairs[] = {
    {"kivi", "i8run", "i8group"},
    {"i8k_q4v", "i8tok", "q4_0"},
    {"e5k_i8v", "e5m2", "i8chan"},
};

bool parity_quantised(const parity_spec *s)
{
    return s->quant && !parity_is(s->quant, "none");
}

const parity_scheme *parity_scheme_named(const char *name)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (parity_is(schemes[i].name, name))
            return &schemes[i];
    return NULL;
}

const parity_scheme *parity_scheme_of(const char *quant, bool value)
{
    const char *name = quant;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (parity_is(pairs[i].name, quant))
            name = value ? pairs[i].v : pairs[i].k;
    return parity_scheme_named(name);
}

static bool is_float(int32_t dtype)
{
    return att_fp_format(dtype).unit > 0;
}

const char *parity_quant_nonsense(const parity_spec *s)
{
    if (!parity_quantised(s))
        return NULL;
    const parity_scheme *k = parity_scheme_of(s->quant, false),
                        *v = parity_scheme_of(s->quant, true);
    if (parity_is(s->layout, "pooled") || parity_is(s->layout, "shared"))
        return "quantised K and V have storage of their own: no layout pooled or shared";
    if ((parity_is(s->layout, "stepped") || parity_is(s->layout, "inverted")) &&
        (att_fp_block_bytes(k->dtype) || att_fp_block_bytes(v->dtype)))
        return "blocks are contiguous: no layout stepped or inverted";
    if ((parity_is(s->values, "nan") || parity_is(s->values, "dark")) &&
        !(is_float(k->dtype) && is_float(v->dtype)))
        return "values=nan and dark need types that hold NaN";
    return NULL;
}

/* ------------------------------------------------------------------------------ storage */

int64_t parity_code_units(int32_t dtype, int64_t width)
{
    return att_fp_block_bytes(dtype) ? (width + ATT_FP_BLOCK - 1) / ATT_FP_BLOCK : width;
}

att_tensor parity_code_tensor(const parity_shape *units, void *data, int32_t dtype, int64_t width)
{
    int64_t block = (int64_t)att_fp_block_bytes(dtype);
    att_tensor t = parity_tensor(units, data, dtype);

    if (!block)
        return t;
    t.data = (unsigned char *)data + units->offset * block;
    t.shape[3] = width;
    for (int a = 0; a < 3; a++)
        t.stride[a] *= ATT_FP_BLOCK;
    return t;
}

static bool make_codes(parity_inputs *in, const parity_scheme *how, int64_t width, att_tensor *out)
{
    size_t block = att_fp_block_bytes(how->dtype);
    parity_shape shape =
        parity_key_shape(in, in->spec.layout, parity_code_units(how->dtype, width));
    size_t bytes = (size_t)shape.extent * (block ? block : 1);
    void *data = parity_buffer(in, bytes);

    if (data && how->dtype == ATT_I8)
        memset(data, 0x80, bytes);
    if (data)
        *out = parity_code_tensor(&shape, data, how->dtype, width);
    return data != NULL;
}

att_quant parity_quant_of(const parity_scheme *how, const int64_t n[4], int64_t scales[4])
{
    att_quant q = {.scheme = att_fp_block_bytes(how->dtype) ? ATT_QUANT_BLOCK : ATT_QUANT_NONE};

    if (how->scales < 0)
        return q;
    q.scheme = ATT_QUANT_AFFINE;
    q.axis = how->axis;
    q.group = how->group ? how->group : n[how->axis] > 0 ? n[how->axis] : 1;
    for (int a = 0; a < 4; a++)
        scales[a] = a == how->axis ? (n[a] + q.group - 1) / q.group : n[a];
    if (how->head)
        scales[2] = 1;
    return q;
}

static bool make_scales(parity_inputs *in, const parity_scheme *how, const att_tensor *codes,
                        att_quant *out)
{
    int64_t n[4];

    *out = parity_quant_of(how, codes->shape, n);
    if (out->scheme != ATT_QUANT_AFFINE)
        return true;
    parity_shape shape = parity_shape_of(in->spec.layout, n[0], n[1], n[2], n[3]);
    void *data = parity_buffer(in, (size_t)shape.extent * att_dtype_size(how->scales));
    if (data)
        out->scales = parity_tensor(&shape, data, how->scales);
    return data != NULL;
}

bool parity_quant_make(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    const parity_scheme *k = parity_scheme_of(s->quant, false),
                        *v = parity_scheme_of(s->quant, true);
    att_problem *g = &in->given;

    return make_codes(in, k, s->d, &g->k) && make_scales(in, k, &g->k, &g->k_quant) &&
           make_codes(in, v, s->dv, &g->v) && make_scales(in, v, &g->v, &g->v_quant);
}

/* --------------------------------------------------------------------------------- rows */

/* Where the scale (or zero) of channel d of row (i0, h, i2) lies. */
static int64_t scale_at(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                        int64_t d)
{
    int64_t token = q->axis == 2 ? i2 / q->group : i2;

    return att_tensor_at(t, i0, h, t->shape[2] == 1 ? 0 : token, q->axis == 3 ? d / q->group : d);
}

/* The last code of a type on either side of 0. */
static double last_code(int32_t dtype)
{
    return dtype == ATT_I8 ? 127 : att_fp_format(dtype).largest;
}

void parity_scale_row(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                      const double *x)
{
    for (int64_t d = 0; q->scheme == ATT_QUANT_AFFINE && d < t->shape[3]; d++) {
        const att_tensor *s = &q->scales;
        int64_t at = scale_at(s, q, i0, h, i2, d);
        double size = isfinite(x[d]) ? fabs(x[d]) / last_code(t->dtype) : 0;
        size = att_fp_round(s->dtype, fmin(size, att_fp_format(s->dtype).largest));
        if (!(att_fp_load(s->data, s->dtype, at) >= size)) /* NaN: the first */
            att_fp_store(s->data, s->dtype, at, size);
    }
}

static void store_blocks(const att_tensor *t, int64_t at, const double *x)
{
    for (int64_t d = 0; d < t->shape[3]; d += ATT_FP_BLOCK) {
        double block[ATT_FP_BLOCK] = {0};
        for (int64_t e = 0; e < ATT_FP_BLOCK && d + e < t->shape[3]; e++)
            block[e] = x[d + e];
        att_fp_block_store(t->data, t->dtype, (at + d) / ATT_FP_BLOCK, block);
    }
}

void parity_code_row(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                     const double *x)
{
    int64_t at = att_tensor_at(t, i0, h, i2, 0);

    if (att_fp_block_bytes(t->dtype)) {
        store_blocks(t, at, x);
        return;
    }
    for (int64_t d = 0; d < t->shape[3]; d++) {
        double code = x[d], scale = 1;
        if (q->scheme == ATT_QUANT_AFFINE)
            scale =
                att_fp_load(q->scales.data, q->scales.dtype, scale_at(&q->scales, q, i0, h, i2, d));
        code = scale > 0 ? code / scale : isnan(code) ? code : 0;
        if (t->dtype == ATT_I8)
            code = fmax(-127, fmin(127, nearbyint(code)));
        att_fp_store(t->data, t->dtype, at + d * t->stride[3], code);
    }
}

void parity_decode_row(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                       double *x)
{
    for (int64_t d = 0; d < t->shape[3]; d++) {
        x[d] = att_fp_load(t->data, t->dtype, att_tensor_at(t, i0, h, i2, d));
        if (q->zeros.data)
            x[d] -=
                att_fp_load(q->zeros.data, q->zeros.dtype, scale_at(&q->zeros, q, i0, h, i2, d));
        if (q->scheme == ATT_QUANT_AFFINE)
            x[d] *=
                att_fp_load(q->scales.data, q->scales.dtype, scale_at(&q->scales, q, i0, h, i2, d));
    }
}

typedef enum pass { SCALE, STORE, LOAD } pass;

static void one(pass what, const att_tensor *t, const att_quant *q, const int64_t at[3], double *x)
{
    if (what == SCALE)
        parity_scale_row(t, q, at[0], at[1], at[2], x);
    else if (what == STORE)
        parity_code_row(t, q, at[0], at[1], at[2], x);
    else
        parity_decode_row(t, q, at[0], at[1], at[2], x);
}

void parity_quant_round(parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    const att_problem *g = &in->given;
    int64_t at[3];

    for (pass what = SCALE; what <= LOAD; what++)
        for (int64_t b = 0; b < s->b; b++)
            for (int64_t j = 0; j < in->nk[b]; j++)
                for (int64_t h = 0; h < s->hkv; h++) {
                    int64_t row = (b * s->hkv + h) * s->sk + j;
                    parity_key_row(in, b, j, &at[0], &at[2]);
                    at[1] = h;
                    one(what, &g->k, &g->k_quant, at, in->k + row * s->d);
                    one(what, &g->v, &g->v_quant, at, in->v + row * s->dv);
                }
}

static void hide(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2)
{
    int64_t at = att_tensor_at(t, i0, h, i2, 0), block = (int64_t)att_fp_block_bytes(t->dtype);
    unsigned char *bytes = t->data;
    bool own = q->scheme == ATT_QUANT_AFFINE && q->axis == 3 && q->scales.shape[2] > 1;

    for (int64_t d = 0; block && d < t->shape[3]; d += ATT_FP_BLOCK)
        memset(bytes + (at + d) / ATT_FP_BLOCK * block, 0xff, (size_t)block);
    for (int64_t d = 0; !block && d < t->shape[3]; d++)
        bytes[at + d * t->stride[3]] = is_float(t->dtype) ? 0xff : 0x80;
    for (int64_t d = 0; own && d < t->shape[3]; d += q->group)
        att_fp_store(q->scales.data, q->scales.dtype, scale_at(&q->scales, q, i0, h, i2, d),
                     (double)NAN);
}

void parity_quant_hide(parity_inputs *in, int64_t i0, int64_t h, int64_t i2)
{
    const att_problem *g = &in->given;

    hide(&g->k, &g->k_quant, i0, h, i2);
    hide(&g->v, &g->v_quant, i0, h, i2);
}
