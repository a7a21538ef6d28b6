/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of quantised K and V as floats.
 *
 *   x = scale * (q - zero)   affine: one scale (and zero) a token, a channel or a group of either
 *   x = d q, x = d (q - 8)   Q8_0, Q4_0: 32 elements share an f16 d
 *   x                        fp8, or anything that is stored as it is
 *
 * Why: a KV cache of 8 or 4 bits is half or a quarter of the bytes that decoding reads.
 * Bound: exact for blocks and fp8; one rounding of f32 for an affine element with whole zeros. */
#ifndef ATT_COMMON_QUANT_H
#define ATT_COMMON_QUANT_H

#include <stdbool.h>

#include "common/accept.h"
#include "common/fp8.h"
#include "common/mask.h"

#define ATT_BLOCK 32
#define ATT_QUANTISED                                                                              \
    (1u << ATT_F8_E4M3 | 1u << ATT_F8_E5M2 | 1u << ATT_I8 | 1u << ATT_Q8_0 | 1u << ATT_Q4_0)

/* Bytes of a block of 32; 0 for types that have none. */
static inline size_t att_block_bytes(int32_t dtype)
{
    return dtype == ATT_Q8_0 ? 34 : dtype == ATT_Q4_0 ? 18 : 0;
}

static inline double att_element_bytes(int32_t dtype)
{
    return att_block_bytes(dtype) ? (double)att_block_bytes(dtype) / ATT_BLOCK
                                  : (double)att_dtype_size(dtype);
}

/* Block n of an array as 32 floats; element e of Q4_0 is the low nibble of byte e, or the high one
 * of byte e - 16. */
static inline void att_block_load(const void *data, int32_t dtype, int64_t n, float *out)
{
    const unsigned char *at = (const unsigned char *)data + n * (int64_t)att_block_bytes(dtype);
    uint16_t half;

    memcpy(&half, at, sizeof half);
    const float d = att_f16_to_f32(half);
    at += sizeof half;
    if (dtype == ATT_Q8_0) {
        for (int e = 0; e < ATT_BLOCK; e++)
            out[e] = d * (float)(int8_t)at[e];
        return;
    }
    for (int e = 0; e < ATT_BLOCK / 2; e++) {
        out[e] = d * (float)((at[e] & 15) - 8);
        out[e + ATT_BLOCK / 2] = d * (float)((at[e] >> 4) - 8);
    }
}

/* Element `at` of an array as it is stored, without scales. */
static inline float att_stored(const void *data, int32_t dtype, int64_t at)
{
    const unsigned char *bytes = data;
    float block[ATT_BLOCK];

    switch (dtype) {
    case ATT_F8_E4M3:
        return att_e4m3_to_f32(bytes[at]);
    case ATT_F8_E5M2:
        return att_e5m2_to_f32(bytes[at]);
    case ATT_I8:
        return (float)(int8_t)bytes[at];
    case ATT_U8:
        return (float)bytes[at];
    case ATT_Q8_0:
    case ATT_Q4_0:
        att_block_load(data, dtype, at / ATT_BLOCK, block);
        return block[at % ATT_BLOCK];
    default:
        return att_load(data, dtype, at);
    }
}

/* n elements as they are stored, from element `at` on. */
static inline void att_stored_row(const att_tensor *t, int64_t at, int64_t n, float *out)
{
    float block[ATT_BLOCK];
    int64_t d = 0;

    if (!(ATT_QUANTISED >> t->dtype & 1u)) {
        att_load_row(t->data, t->dtype, at, t->stride[3], n, out);
        return;
    }
    for (; att_block_bytes(t->dtype) && at % ATT_BLOCK == 0 && d < n; d += ATT_BLOCK) {
        att_block_load(t->data, t->dtype, (at + d) / ATT_BLOCK, block);
        memcpy(out + d, block, (size_t)(n - d < ATT_BLOCK ? n - d : ATT_BLOCK) * sizeof *out);
    }
    for (; d < n; d++)
        out[d] = att_stored(t->data, t->dtype, at + d * t->stride[3]);
}

/* x = scale * (x - zero) over n channels of row (i0, head, i2). */
static inline void att_scale_row(const att_quant *quant, int64_t i0, int64_t head, int64_t i2,
                                 int64_t n, float *x)
{
    const att_tensor *s = &quant->scales, *z = &quant->zeros;
    const int64_t token = quant->axis == 2 ? i2 / quant->group : i2;
    const int64_t wide = quant->axis == 3 ? quant->group : 1;

    for (int64_t d = 0, c = 0; d < n; c++) {
        const int64_t end = n - d < wide ? n : d + wide;
        const float scale = att_stored(s->data, s->dtype, att_broadcast_at(s, i0, head, token, c));
        float zero = 0.0f;
        if (z->data)
            zero = att_stored(z->data, z->dtype, att_broadcast_at(z, i0, head, token, c));
        for (; d < end; d++)
            x[d] = scale * (x[d] - zero);
    }
}

/* Is a row more than the floats that half.h reads? */
static inline bool att_is_quantised(const att_tensor *t, const att_quant *quant)
{
    return quant->scheme != ATT_QUANT_NONE || (ATT_QUANTISED >> t->dtype & 1u);
}

/* Row (i0, head, i2) of t, n elements, dequantised. */
static inline void att_quant_row(const att_tensor *t, const att_quant *quant, int64_t i0,
                                 int64_t head, int64_t i2, int64_t n, float *out)
{
    att_stored_row(t, att_tensor_at(t, i0, head, i2, 0), n, out);
    if (quant->scheme == ATT_QUANT_AFFINE)
        att_scale_row(quant, i0, head, i2, n, out);
}

/* Key row j of a sequence, n elements of t (k or v, quantised so). */
static inline void att_quant_key(const att_problem *p, const att_tensor *t, const att_quant *quant,
                                 const att_seq *s, int64_t head, int64_t j, int64_t n, float *out)
{
    if (p->block_table.data)
        att_quant_row(t, quant, att_page_of(p, s, j), head, j % p->page_size, n, out);
    else
        att_quant_row(t, quant, s->kv_at, head, s->k_at + j, n, out);
}

static inline bool att_scales_fit(const att_tensor *scales, const att_tensor *t, int32_t axis,
                                  int64_t group)
{
    for (int a = 0; a < 4; a++) {
        const int64_t each = a == axis ? group : 1;
        const int64_t extent = t->shape[a] / each + (t->shape[a] % each != 0);
        if (scales->shape[a] != 1 && scales->shape[a] != extent)
            return false;
    }
    return true;
}

/* What contradicts itself in how t is quantised; NULL = nothing. */
static inline const char *att_quant_fault(const att_tensor *t, const att_quant *quant)
{
    const bool block = att_block_bytes(t->dtype) > 0;

    if (quant->scheme < ATT_QUANT_NONE || quant->scheme > ATT_QUANT_BLOCK)
        return "an unknown quantisation scheme";
    if (block != (quant->scheme == ATT_QUANT_BLOCK))
        return "block types and the block scheme go together";
    for (int a = 0; block && a < 3; a++)
        if (t->stride[a] % ATT_BLOCK)
            return "a stride that divides a block";
    if (block && t->stride[3] != 1 && t->shape[3] > 1)
        return "blocks that are not contiguous";
    if (quant->scheme != ATT_QUANT_AFFINE)
        return NULL;
    if (!quant->scales.data || quant->group < 1 || (quant->axis != 2 && quant->axis != 3))
        return "affine quantisation needs scales, an axis and a group";
    if (!att_scales_fit(&quant->scales, t, quant->axis, quant->group) ||
        (quant->zeros.data && !att_scales_fit(&quant->zeros, t, quant->axis, quant->group)))
        return "scales or zeros do not have one element a group";
    return NULL;
}

/* Types that scales and zeros may have. */
static inline bool att_quant_types(const att_quant *quant)
{
    const uint32_t floats = 1u << ATT_F32 | 1u << ATT_F16 | 1u << ATT_BF16;
    const uint32_t whole = 1u << ATT_I8 | 1u << ATT_U8;
    const att_tensor *s = &quant->scales, *z = &quant->zeros;

    return quant->scheme != ATT_QUANT_AFFINE ||
           (s->dtype >= 0 && s->dtype < ATT_DTYPES && (floats >> s->dtype & 1u) &&
            (!z->data ||
             (z->dtype >= 0 && z->dtype < ATT_DTYPES && ((floats | whole) >> z->dtype & 1u))));
}

/* Is t, which is k or v, stored in a way that can be read here? */
static inline att_status att_accept_stored(const att_tensor *t, const att_quant *quant,
                                           int32_t plain, att_reason *why)
{
    if (t->dtype != plain && !att_is_float(t->dtype, ATT_QUANTISED))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of k or v");
    const char *fault = att_quant_fault(t, quant);
    if (fault)
        return att_refuse(why, ATT_INVALID, "%s", fault);
    if (!att_quant_types(quant))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of scales or zeros");
    return ATT_OK;
}

/* The problem with k and v as floats of q's type: what is left to accept of a quantised one. */
static inline att_problem att_unquantised(const att_problem *p)
{
    att_problem plain = *p;

    plain.k.dtype = plain.v.dtype = p->q.dtype;
    plain.k_quant = plain.v_quant = (att_quant){0};
    return plain;
}

/* att_accept_check of a problem whose k and v may be quantised. */
static inline att_status att_accept_quantised(const att_accept *a, att_op op, const att_problem *p,
                                              att_reason *why)
{
    const att_problem plain = att_unquantised(p);
    att_status status = att_accept_check(a, op, &plain, why);

    if (!status)
        status = att_accept_stored(&p->k, &p->k_quant, p->q.dtype, why);
    if (!status)
        status = att_accept_stored(&p->v, &p->v_quant, p->q.dtype, why);
    return status;
}

#endif
