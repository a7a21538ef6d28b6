/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of floats, as wide as the ISA level this file is compiled for.
 *
 * Why: hot loops are written once with GCC/clang vector extensions; a kernel file is compiled for
 * several levels (x86-64 plain, v3, v4; arm64) and the best is picked at run time.
 * Bounds, relative, over the whole range: exp 1.5 ulp where the result is normal (subnormal results
 * within one subnormal step; -inf gives 0, NaN stays NaN, overflow gives inf); tanh 3 ulp.
 * Source: range reduction as in Cody and Waite 1980; the coefficients are a minimax fit of our own.
 */
#ifndef ATT_COMMON_SIMD_H
#define ATT_COMMON_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define ATT_W 16
#elif defined(__AVX2__)
#define ATT_W 8
#else
#define ATT_W 4
#endif
#if defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

typedef float att_vf __attribute__((vector_size(ATT_W * 4)));
typedef int32_t att_vi __attribute__((vector_size(ATT_W * 4)));

/* Neither needs alignment. */
static inline att_vf att_vf_load(const float *p)
{
    att_vf x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void att_vf_store(float *p, att_vf x)
{
    memcpy(p, &x, sizeof x);
}

static inline att_vf att_vf_set(float x)
{
    return x - (att_vf){0};
}

/* a * b + c, one rounding where the level has a fused instruction. */
static inline att_vf att_vf_fma(att_vf a, att_vf b, att_vf c)
{
#if defined(__AVX512F__)
    return (att_vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (att_vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return (att_vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* mask (all ones or zeros a lane, as comparisons give) ? a : b */
static inline att_vf att_vf_pick(att_vi mask, att_vf a, att_vf b)
{
    return (att_vf)((mask & (att_vi)a) | (~mask & (att_vi)b));
}

/* The larger; a NaN in x leaves top as it is. */
static inline att_vf att_vf_raise(att_vf top, att_vf x)
{
    return att_vf_pick((att_vi)(x > top), x, top);
}

static inline att_vf att_vf_abs(att_vf x)
{
    return (att_vf)((att_vi)x & 0x7fffffff);
}

typedef float att_v4 __attribute__((vector_size(16)));

/* Lanes 4 part .. 4 part + 3. */
static inline att_v4 att_v4_part(att_vf x, int part)
{
    att_v4 quarter[ATT_W / 4];
    memcpy(quarter, &x, sizeof quarter);
    return quarter[part];
}

static inline att_v4 att_v4_larger(att_v4 a, att_v4 b)
{
    typedef int32_t mask __attribute__((vector_size(16)));
    const mask more = (mask)(b > a);
    return (att_v4)((more & (mask)b) | (~more & (mask)a));
}

/* Sum of the lanes, pairwise. */
static inline float att_vf_sum(att_vf x)
{
    att_v4 sum = att_v4_part(x, 0);
    for (int i = 1; i < ATT_W / 4; i++)
        sum += att_v4_part(x, i);
    sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1);
    return sum[0] + sum[1];
}

/* The largest lane; of no use where one is NaN (att_vf_raise keeps them out). */
static inline float att_vf_top(att_vf x)
{
    att_v4 top = att_v4_part(x, 0);
    for (int i = 1; i < ATT_W / 4; i++)
        top = att_v4_larger(top, att_v4_part(x, i));
    top = att_v4_larger(top, __builtin_shufflevector(top, top, 2, 3, 0, 1));
    return top[0] > top[1] ? top[0] : top[1];
}

static inline int att_vi_any(att_vi mask)
{
    int32_t lane[ATT_W], any = 0;
    memcpy(lane, &mask, sizeof lane);
    for (int i = 0; i < ATT_W; i++)
        any |= lane[i];
    return any != 0;
}

/* e^x.  x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 p(r); 2^n in two factors, so that
 * subnormal results come out rounded and not as zero. */
static inline att_vf att_vf_exp(att_vf x)
{
    const att_vf magic = att_vf_set(0x1.8p23f); /* adding it rounds to an integer */
    x = att_vf_pick((att_vi)(x < -104.0f), att_vf_set(-104.0f), x);
    x = att_vf_pick((att_vi)(x > 89.0f), att_vf_set(89.0f), x);
    const att_vf shifted = att_vf_fma(x, att_vf_set(0x1.715476p0f), magic);
    const att_vi n = (att_vi)shifted - 0x4b400000;
    const att_vf whole = shifted - magic;
    att_vf r = att_vf_fma(whole, att_vf_set(-0x1.63p-1f), x);
    r = att_vf_fma(whole, att_vf_set(0x1.bd0106p-13f), r);

    att_vf p = att_vf_set(1.381459848e-03f);
    p = att_vf_fma(p, r, att_vf_set(8.368716887e-03f));
    p = att_vf_fma(p, r, att_vf_set(4.166838805e-02f));
    p = att_vf_fma(p, r, att_vf_set(1.666652063e-01f));
    p = att_vf_fma(p, r, att_vf_set(4.999999345e-01f));
    p = att_vf_fma(p * r, r, r) + 1.0f;

    const att_vi half = n >> 1;
    const att_vf first = (att_vf)((half + 127) << 23);
    const att_vf second = (att_vf)((n - half + 127) << 23);
    return p * first * second;
}

/* tanh x: odd polynomial below 0.625, 1 - 2 / (e^2x + 1) above. */
static inline att_vf att_vf_tanh(att_vf x)
{
    const att_vf size = att_vf_abs(x), square = x * x;
    att_vf p = att_vf_set(-5.515163721e-03f);
    p = att_vf_fma(p, square, att_vf_set(2.046941972e-02f));
    p = att_vf_fma(p, square, att_vf_set(-5.368802305e-02f));
    p = att_vf_fma(p, square, att_vf_set(1.333083034e-01f));
    p = att_vf_fma(p, square, att_vf_set(-3.333325985e-01f));
    const att_vf small = att_vf_fma(p * square, x, x);
    const att_vf large = 1.0f - 2.0f / (att_vf_exp(size + size) + 1.0f);
    const att_vi sign = (att_vi)x & INT32_MIN;
    return att_vf_pick((att_vi)(size < 0.625f), small, (att_vf)((att_vi)large | sign));
}

static inline float att_exp(float x)
{
    float lane[ATT_W];
    att_vf_store(lane, att_vf_exp(att_vf_set(x)));
    return lane[0];
}

#endif
