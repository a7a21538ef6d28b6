/* SPDX-License-Identifier: Apache-2.0 */
/* f16 and bf16 to and from f32, one by one and a row at a time.
 *
 * Why: storage in half precision, arithmetic in single.  To f32 is exact; from f32 rounds to
 * nearest even, overflow gives inf, subnormals are kept, a NaN stays a (quiet) NaN. Source: IEEE
 * 754-2019 binary16; bfloat16 is the upper half of a binary32. */
#ifndef ATT_COMMON_HALF_H
#define ATT_COMMON_HALF_H

#include <float.h>

#include "attn.h"
#include "simd.h"

static inline float att_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;
    uint32_t bits;
    float x;
    if (rest >= 0x7c00u) {
        bits = sign | 0x7f800000u | (rest & 0x3ffu) << 13 | (rest > 0x7c00u ? 0x400000u : 0);
    } else if (rest >= 0x400u) {
        bits = sign | ((rest << 13) + (112u << 23));
    } else {
        const float tiny = (float)rest * 0x1p-24f;
        memcpy(&bits, &tiny, sizeof bits);
        bits |= sign;
    }
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t att_f32_to_f16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (rest >> 13 & 0x3ffu));
    if (rest >= 0x47800000u)
        return (uint16_t)(sign | 0x7c00u);
    if (rest < 0x38800000u) { /* subnormal: the adder of f32 rounds at 2^-24 */
        float size;
        memcpy(&size, &rest, sizeof size);
        size += 0.5f;
        uint32_t sum;
        memcpy(&sum, &size, sizeof sum);
        return (uint16_t)(sign | (sum - 0x3f000000u));
    }
    const uint32_t odd = rest >> 13 & 1u;
    return (uint16_t)(sign | ((rest - (112u << 23) + 0xfffu + odd) >> 13));
}

static inline float att_bf16_to_f32(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t att_f32_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Element `at` of a float array as f32.  A finite f64 beyond f32 becomes +-FLT_MAX, not inf: a bias
 * of -1e300 is allowed, one of -inf is not. */
static inline float att_load(const void *data, int32_t dtype, int64_t at)
{
    switch (dtype) {
    case ATT_F32:
        return ((const float *)data)[at];
    case ATT_F16:
        return att_f16_to_f32(((const uint16_t *)data)[at]);
    case ATT_BF16:
        return att_bf16_to_f32(((const uint16_t *)data)[at]);
    case ATT_F64: {
        const double x = ((const double *)data)[at];
        if (isfinite(x) && fabs(x) > (double)FLT_MAX)
            return x < 0 ? -FLT_MAX : FLT_MAX;
        return (float)x;
    }
    default:
        return NAN;
    }
}

static inline void att_store(void *data, int32_t dtype, int64_t at, float x)
{
    switch (dtype) {
    case ATT_F32:
        ((float *)data)[at] = x;
        break;
    case ATT_F16:
        ((uint16_t *)data)[at] = att_f32_to_f16(x);
        break;
    case ATT_BF16:
        ((uint16_t *)data)[at] = att_f32_to_bf16(x);
        break;
    case ATT_F64:
        ((double *)data)[at] = (double)x;
        break;
    default:
        break;
    }
}

/* ATT_W neighbouring halves as floats; reads exactly ATT_W of them. */
static inline att_vf att_vf_load_bf16(const uint16_t *p)
{
    uint16_t __attribute__((vector_size(ATT_W * 2))) narrow;
    memcpy(&narrow, p, sizeof narrow);
    return (att_vf)(__builtin_convertvector(narrow, att_vi) << 16);
}

static inline att_vf att_vf_load_f16(const uint16_t *p)
{
#if defined(__AVX512F__)
    return (att_vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
#elif defined(__F16C__)
    return (att_vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
#else
    float wide[ATT_W];
    for (int i = 0; i < ATT_W; i++)
        wide[i] = att_f16_to_f32(p[i]);
    return att_vf_load(wide);
#endif
}

/* n floats into out from elements at, at + stride, ... ; reads nothing else. */
static inline void att_load_row(const void *data, int32_t dtype, int64_t at, int64_t stride,
                                int64_t n, float *out)
{
    int64_t i = 0;
    if (stride == 1 && dtype == ATT_F32) {
        if (n > 0)
            memcpy(out, (const float *)data + at, (size_t)n * sizeof *out);
        return;
    }
    if (stride == 1 && dtype == ATT_F16)
        for (; i + ATT_W <= n; i += ATT_W)
            att_vf_store(out + i, att_vf_load_f16((const uint16_t *)data + at + i));
    if (stride == 1 && dtype == ATT_BF16)
        for (; i + ATT_W <= n; i += ATT_W)
            att_vf_store(out + i, att_vf_load_bf16((const uint16_t *)data + at + i));
    for (; i < n; i++)
        out[i] = att_load(data, dtype, at + i * stride);
}

static inline void att_store_row(void *data, int32_t dtype, int64_t at, int64_t stride, int64_t n,
                                 const float *x)
{
    for (int64_t i = 0; i < n; i++)
        att_store(data, dtype, at + i * stride, x[i]);
}

#endif
