/* SPDX-License-Identifier: Apache-2.0 */
/* e4m3 and e5m2 to and from f32.
 *
 * Why: fp8 K and V, and probabilities in fp8.  To f32 is exact: the bits are moved to a float's
 * place and the bias is mended by a power of two, which sets subnormals right too.  From f32 rounds
 * to nearest even and saturates: beyond the largest finite value that value, as conversions of
 * hardware do; a NaN stays one.  Source: OCP 8-bit Floating Point Specification 2023. */
#ifndef ATT_COMMON_FP8_H
#define ATT_COMMON_FP8_H

#include "common/half.h"

#define ATT_E4M3_LARGEST 448.0f

static inline float att_e4m3_to_f32(uint8_t b)
{
    const uint32_t bits = (uint32_t)(b & 0x80u) << 24 | (uint32_t)(b & 0x7fu) << 20;
    float x;

    if ((b & 0x7fu) == 0x7fu)
        return NAN;
    memcpy(&x, &bits, sizeof x);
    return x * 0x1p120f;
}

/* The upper byte of an f16. */
static inline float att_e5m2_to_f32(uint8_t b)
{
    return att_f16_to_f32((uint16_t)(b << 8));
}

/* x rounded to a multiple of `step` (a power of two), ties to even; |x| < 2^22 step. */
static inline float att_round_to(float x, float step)
{
    const float far = step * 0x1.8p23f;

    return (x + far) - far;
}

/* x rounded to e4m3, as a float. */
static inline float att_round_e4m3(float x)
{
    const float size = fabsf(x);
    uint32_t bits;
    float power;

    if (!(size < ATT_E4M3_LARGEST))
        return isnan(x) ? x : copysignf(ATT_E4M3_LARGEST, x);
    memcpy(&bits, &size, sizeof bits);
    bits &= 0x7f800000u; /* 2^floor(log2 |x|) */
    memcpy(&power, &bits, sizeof power);
    return copysignf(att_round_to(x, fmaxf(power, 0x1p-6f) * 0x1p-3f), x);
}

#endif
