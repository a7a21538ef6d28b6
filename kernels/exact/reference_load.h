/* SPDX-License-Identifier: Apache-2.0 */
/* How the oracle reads and writes storage types: exact to double, and rounded to nearest even back.
 *
 * Written from the formats' definitions (IEEE 754-2008 binary16; bfloat16 = upper half of binary32;
 * OCP OFP8 2023 e4m3 and e5m2; q8_0 and q4_0 blocks of 32) and shared with no kernel, so that a
 * mistake in the kernels' own conversions can't hide in the oracle too. */
#ifndef ATT_REFERENCE_LOAD_H
#define ATT_REFERENCE_LOAD_H

#include <string.h>

#include "attn.h"

/* A small binary float: sign, `exponent` bits, `mantissa` bits; `ieee`: the top exponent holds Inf
 * and NaN, else only all ones is NaN (e4m3). */
typedef struct ref_format {
    int exponent, mantissa, ieee;
} ref_format;

static const ref_format ref_half = {5, 10, 1}, ref_brain = {8, 7, 1}, ref_e4m3 = {4, 3, 0},
                        ref_e5m2 = {5, 2, 1};

static inline double ref_unpack(ref_format f, unsigned bits)
{
    unsigned top = (1u << f.exponent) - 1, ones = (1u << f.mantissa) - 1;
    unsigned e = (bits >> f.mantissa) & top, m = bits & ones;
    int bias = (1 << (f.exponent - 1)) - 1;
    double x;

    if (f.ieee && e == top)
        x = m ? (double)NAN : (double)INFINITY;
    else if (!f.ieee && e == top && m == ones)
        x = (double)NAN;
    else if (e == 0)
        x = ldexp((double)m, 1 - bias - f.mantissa);
    else
        x = ldexp((double)(m | (1u << f.mantissa)), (int)e - bias - f.mantissa);
    return bits >> (f.exponent + f.mantissa) & 1u ? -x : x;
}

/* Nearest even; beyond the largest finite value: Inf, or NaN where the format has no Inf. */
static inline unsigned ref_pack(ref_format f, double x)
{
    unsigned top = (1u << f.exponent) - 1, ones = (1u << f.mantissa) - 1;
    unsigned sign = signbit(x) ? 1u << (f.exponent + f.mantissa) : 0;
    int bias = (1 << (f.exponent - 1)) - 1, e = 0;
    unsigned over = f.ieee ? top << f.mantissa : (top << f.mantissa) | ones;

    if (isnan(x))
        return sign | (top << f.mantissa) | (f.ieee ? 1u << (f.mantissa - 1) : ones);
    if (isinf(x))
        return sign | over;
    x = fabs(x);
    if (x > 0)
        frexp(x, &e);
    e = e - 1 < 1 - bias ? 1 - bias : e - 1;  /* exponent of the unit in the first place */
    double scaled = ldexp(x, f.mantissa - e); /* exact; nearbyint rounds to even */
    double n = nearbyint(scaled);
    if (n >= ldexp(1.0, f.mantissa + 1)) {
        n = ldexp(1.0, f.mantissa);
        e++;
    }
    if (n < ldexp(1.0, f.mantissa))
        return sign | (unsigned)n; /* zero or subnormal */
    unsigned biased = (unsigned)(e + bias), m = (unsigned)n & ones;
    if (biased > top || (f.ieee && biased == top) || (!f.ieee && biased == top && m == ones))
        return sign | over;
    return sign | biased << f.mantissa | m;
}

static inline double ref_load_half(const unsigned char *at)
{
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return ref_unpack(ref_half, bits);
}

/* Element i of a typed array as double, exactly.  Block types: i counts elements, and may be
 * negative where a stride is. */
static inline double ref_load(const void *data, int32_t dtype, int64_t i)
{
    const unsigned char *bytes = data;
    const int e = (int)((i % 32 + 32) % 32); /* within its block */

    switch (dtype) {
    case ATT_F64:
        return ((const double *)data)[i];
    case ATT_F32:
        return (double)((const float *)data)[i];
    case ATT_F16:
        return ref_unpack(ref_half, ((const uint16_t *)data)[i]);
    case ATT_BF16: {
        uint32_t wide = (uint32_t)((const uint16_t *)data)[i] << 16;
        float x;
        memcpy(&x, &wide, sizeof x);
        return (double)x;
    }
    case ATT_F8_E4M3:
        return ref_unpack(ref_e4m3, bytes[i]);
    case ATT_F8_E5M2:
        return ref_unpack(ref_e5m2, bytes[i]);
    case ATT_I8:
        return (double)((const int8_t *)data)[i];
    case ATT_U8:
        return (double)bytes[i];
    case ATT_I32:
        return (double)((const int32_t *)data)[i];
    case ATT_I64:
        return (double)((const int64_t *)data)[i];
    case ATT_Q8_0: {
        const unsigned char *block = bytes + (i - e) / 32 * 34;
        return ref_load_half(block) * (double)(int8_t)block[2 + e];
    }
    case ATT_Q4_0: { /* element e of a block: low nibble of byte e, or high nibble of byte e - 16 */
        const unsigned char *block = bytes + (i - e) / 32 * 18;
        int nibble = e < 16 ? block[2 + e] & 15 : block[2 + e - 16] >> 4;
        return ref_load_half(block) * (double)(nibble - 8);
    }
    default:
        return (double)NAN;
    }
}

static inline int64_t ref_load_int(const void *data, int32_t dtype, int64_t i)
{
    return dtype == ATT_I64   ? ((const int64_t *)data)[i]
           : dtype == ATT_I32 ? ((const int32_t *)data)[i]
                              : ((const uint8_t *)data)[i];
}

static inline void ref_store(void *data, int32_t dtype, int64_t i, double x)
{
    switch (dtype) {
    case ATT_F64:
        ((double *)data)[i] = x;
        break;
    case ATT_F32:
        ((float *)data)[i] = (float)x;
        break;
    case ATT_F16:
        ((uint16_t *)data)[i] = (uint16_t)ref_pack(ref_half, x);
        break;
    case ATT_BF16:
        ((uint16_t *)data)[i] = (uint16_t)ref_pack(ref_brain, x);
        break;
    default:
        break; /* refused by supports */
    }
}

static inline int ref_stores(int32_t dtype)
{
    return dtype == ATT_F64 || dtype == ATT_F32 || dtype == ATT_F16 || dtype == ATT_BF16;
}

#endif
