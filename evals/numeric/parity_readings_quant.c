/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of quantised K and V: their bytes under another type, other scales or other strides; and
 * probabilities that saturate.  Bytes outside the case's buffers are not followed: who reads there
 * is told by a crash. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

/* ------------------------------------------------------------------------ other storage */

/* One of k and v as a fault takes it to be stored. */
typedef struct reading {
    att_tensor t;
    att_quant q;
} reading;

/* Does byte offset [from, from + n) of t's data lie in the buffer that holds it? */
static bool inside(const parity_inputs *in, const att_tensor *t, int64_t from, int64_t n)
{
    const unsigned char *at = (const unsigned char *)t->data + from;

    for (size_t g = 0; g < in->guards; g++) {
        const unsigned char *data = in->guard[g].data;
        if ((const unsigned char *)t->data >= data &&
            (const unsigned char *)t->data < data + in->guard[g].bytes)
            return at >= data && at + n <= data + in->guard[g].bytes;
    }
    return false;
}

/* Does element `at` of t lie in the buffer of t? */
static bool held(const parity_inputs *in, const att_tensor *t, int64_t at)
{
    int64_t block = (int64_t)att_fp_block_bytes(t->dtype);
    int64_t size = block ? block : (int64_t)att_dtype_size(t->dtype);

    if (block)
        at -= (at % ATT_FP_BLOCK + ATT_FP_BLOCK) % ATT_FP_BLOCK;
    return inside(in, t, (block ? at / ATT_FP_BLOCK : at) * size, size);
}

/* Element `at` of t, as stored; false: outside. */
static bool stored(const parity_inputs *in, const att_tensor *t, int64_t at, double *x)
{
    if (!held(in, t, at))
        return false;
    *x = att_fp_load(t->data, t->dtype, at);
    return true;
}

static int64_t broadcast(const att_tensor *t, int64_t i0, int64_t i1, int64_t i2, int64_t i3)
{
    return att_tensor_at(t, t->shape[0] > 1 ? i0 : 0, t->shape[1] > 1 ? i1 : 0,
                         t->shape[2] > 1 ? i2 : 0, t->shape[3] > 1 ? i3 : 0);
}

static bool read_one(const parity_inputs *in, const reading *r, const int64_t at[4], double *x)
{
    const att_quant *q = &r->q;
    double scale = 1, zero = 0;

    if (!stored(in, &r->t, att_tensor_at(&r->t, at[0], at[1], at[2], at[3]), x))
        return false;
    if (q->scheme == ATT_QUANT_AFFINE) {
        int64_t token = q->axis == 2 ? at[2] / q->group : at[2];
        int64_t channel = q->axis == 3 ? at[3] / q->group : at[3];
        if (!stored(in, &q->scales, broadcast(&q->scales, at[0], at[1], token, channel), &scale))
            return false;
        if (q->zeros.data &&
            !stored(in, &q->zeros, broadcast(&q->zeros, at[0], at[1], token, channel), &zero))
            return false;
    }
    *x = (*x - zero) * scale;
    return true;
}

/* k or v, n channels, as `r` reads them; NULL: not all of it can be read, or no memory. */
static double *read_all(const parity_inputs *in, const reading *r, int64_t n)
{
    const parity_spec *s = &in->spec;
    double *all = calloc((size_t)(s->b * s->hkv * s->sk * n) + 1, sizeof *all);
    bool held = all != NULL;
    int64_t at[4];

    for (int64_t row = 0; held && row < s->b * s->hkv * s->sk; row++) {
        int64_t b = row / (s->hkv * s->sk), j = row % s->sk;
        if (j >= in->nk[b])
            continue;
        at[1] = row / s->sk % s->hkv;
        parity_key_row(in, b, j, &at[0], &at[2]);
        for (at[3] = 0; held && at[3] < n; at[3]++)
            held = read_one(in, r, at, all + row * n + at[3]);
    }
    if (held)
        return all;
    free(all);
    return NULL;
}

static bool retell_k(parity_trial *t, const reading *r)
{
    const parity_spec *s = &t->in->spec;

    t->k = read_all(t->in, r, s->d);
    t->p.k.data = t->k;
    return t->k != NULL;
}

static bool retell_v(parity_trial *t, const reading *r)
{
    const parity_spec *s = &t->in->spec;

    t->v = read_all(t->in, r, s->dv);
    t->p.v.data = t->v;
    return t->v != NULL;
}

/* ---------------------------------------------------------------------------- the faults */

static reading key_of(const parity_inputs *in)
{
    return (reading){in->given.k, in->given.k_quant};
}

static reading value_of(const parity_inputs *in)
{
    return (reading){in->given.v, in->given.v_quant};
}

/* Strides as if nothing lay between the rows. */
static void flatten(reading *r)
{
    int64_t unit = att_fp_block_bytes(r->t.dtype) ? ATT_FP_BLOCK : 1;

    r->t.stride[3] = 1;
    r->t.stride[2] = (r->t.shape[3] + unit - 1) / unit * unit;
    r->t.stride[1] = r->t.shape[2] * r->t.stride[2];
    r->t.stride[0] = r->t.shape[1] * r->t.stride[1];
}

static bool read_quant_flat(parity_trial *t)
{
    reading k = key_of(t->in), v = value_of(t->in);

    if (!parity_quantised(&t->in->spec))
        return false;
    flatten(&k);
    flatten(&v);
    return retell_k(t, &k) && retell_v(t, &v);
}

/* `r` in the type and with the scales of `as`. */
static bool retype(reading *r, const reading *as)
{
    if (r->t.dtype == as->t.dtype && r->q.scheme != ATT_QUANT_AFFINE)
        return false; /* one type, and no scales to take for others */
    r->t.dtype = as->t.dtype;
    r->q = as->q;
    return true;
}

static bool read_k_as_v(parity_trial *t)
{
    reading k = key_of(t->in), v = value_of(t->in);

    return parity_quantised(&t->in->spec) && retype(&k, &v) && retell_k(t, &k);
}

static bool read_v_as_k(parity_trial *t)
{
    reading k = key_of(t->in), v = value_of(t->in);

    return parity_quantised(&t->in->spec) && retype(&v, &k) && retell_v(t, &v);
}

static bool unscale(reading *r)
{
    bool scaled = r->q.scheme == ATT_QUANT_AFFINE;

    if (scaled)
        r->q = (att_quant){0};
    return scaled;
}

static bool read_k_unscaled(parity_trial *t)
{
    reading k = key_of(t->in);

    return parity_quantised(&t->in->spec) && unscale(&k) && retell_k(t, &k);
}

static bool read_v_unscaled(parity_trial *t)
{
    reading v = value_of(t->in);

    return parity_quantised(&t->in->spec) && unscale(&v) && retell_v(t, &v);
}

/* The scale of the first row, or of the first channel, for all of them. */
static bool first_scale(reading *r)
{
    int other = r->q.axis == 2 ? 3 : 2; /* the axis along which scales differ one by one */
    att_tensor *s = &r->q.scales;

    if (r->q.scheme != ATT_QUANT_AFFINE || (s->shape[other] <= 1 && s->shape[r->q.axis] <= 1))
        return false;
    s->shape[2] = s->shape[3] = 1;
    return true;
}

static bool read_first_scale(parity_trial *t)
{
    reading k = key_of(t->in), v = value_of(t->in);

    if (!parity_quantised(&t->in->spec))
        return false;
    bool either = first_scale(&k);
    either |= first_scale(&v);
    return either && retell_k(t, &k) && retell_v(t, &v);
}

const parity_fault parity_quant_faults[] = {
    {"quant_kv_assumed_flat", "quantised K and V read as flat arrays, strides ignored",
     read_quant_flat, NULL},
    {"kv_precision_swapped", "keys dequantised by the type and scales of values", read_k_as_v,
     NULL},
    {"v_precision_swapped", "values dequantised by the type and scales of keys", read_v_as_k, NULL},
    {"k_scales_ignored", "keys without their scales", read_k_unscaled, NULL},
    {"v_scales_ignored", "values without their scales", read_v_unscaled, NULL},
    {"first_scale_for_all", "the first scale of a head for all of its rows and channels",
     read_first_scale, NULL},
    {0},
};
