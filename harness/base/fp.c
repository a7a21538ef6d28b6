/* SPDX-License-Identifier: Apache-2.0 */
/* Storage formats as numbers.  x = (-1)^s 2^(e - bias) (1 + m / 2^bits), subnormals below 2^(1 -
 * bias).
 *
 * Reading is exact.  Writing takes the double's own bits: the mantissa is cut at the format's last
 * place and rounded to nearest even in integer arithmetic, so that no rounding happens twice. */
#include "base/fp.h"

#include <math.h>
#include <string.h>

/* The layout of a binary format narrower than 16 bits' worth of cases: f16, bf16, e4m3, e5m2. */
typedef struct layout {
    int exponent_bits, mantissa_bits, bias;
    unsigned max_finite; /* largest finite pattern without its sign */
    unsigned infinite;   /* what overflow becomes */
    unsigned nan;
} layout;

static const layout f16 = {5, 10, 15, 0x7bff, 0x7c00, 0x7e00};
static const layout bf16 = {8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0};
static const layout e4m3 = {4, 3, 7, 0x7e, 0x7f, 0x7f};
static const layout e5m2 = {5, 2, 15, 0x7b, 0x7c, 0x7e};

static const layout *layout_of(int32_t dtype)
{
    switch (dtype) {
    case ATT_F16:
        return &f16;
    case ATT_BF16:
        return &bf16;
    case ATT_F8_E4M3:
        return &e4m3;
    case ATT_F8_E5M2:
        return &e5m2;
    default:
        return NULL;
    }
}

static double power(int e)
{
    return ldexp(1.0, e);
}

att_format att_fp_format(int32_t dtype)
{
    static const struct {
        int unit, tiny, subnormal;
    } of[ATT_DTYPES] = {
        [ATT_F64] = {-53, -1022, -1074}, [ATT_F32] = {-24, -126, -149},
        [ATT_F16] = {-11, -14, -24},     [ATT_BF16] = {-8, -126, -133},
        [ATT_F8_E4M3] = {-4, -6, -9},    [ATT_F8_E5M2] = {-3, -14, -16},
    };
    att_format f = {0};

    if (dtype < 0 || dtype >= ATT_DTYPES || of[dtype].unit == 0)
        return f;
    f.unit = power(of[dtype].unit);
    f.tiny = power(of[dtype].tiny);
    f.half_subnormal = power(of[dtype].subnormal) /
                       2; /* f64: rounds to 0, which is what it can hold */
    switch (dtype) {
    case ATT_F64:
        f.largest = 0x1.fffffffffffffp+1023;
        break;
    case ATT_F32:
        f.largest = 0x1.fffffep+127;
        break;
    default: {
        unsigned char bytes[2] = {0};
        const layout *l = layout_of(dtype);
        uint16_t pattern = (uint16_t)l->max_finite;
        memcpy(bytes, &pattern, sizeof bytes);
        if (att_dtype_size(dtype) == 1)
            bytes[0] = (unsigned char)pattern;
        f.largest = att_fp_load(bytes, dtype, 0);
        break;
    }
    }
    return f;
}

static double unpack(const layout *l, unsigned bits)
{
    unsigned magnitude = bits & ((1u << (l->exponent_bits + l->mantissa_bits)) - 1);
    int e = (int)(magnitude >> l->mantissa_bits);
    double m = (double)(magnitude & ((1u << l->mantissa_bits) - 1)), x;

    if (magnitude > l->max_finite)
        x = magnitude == l->infinite && l->infinite != l->nan ? (double)INFINITY : (double)NAN;
    else if (e == 0)
        x = m * power(1 - l->bias - l->mantissa_bits);
    else
        x = (m + power(l->mantissa_bits)) * power(e - l->bias - l->mantissa_bits);
    return magnitude != bits ? -x : x;
}

static unsigned pack(const layout *l, double x)
{
    unsigned sign = signbit(x) ? 1u << (l->exponent_bits + l->mantissa_bits) : 0;
    uint64_t bits;

    if (isnan(x))
        return sign | l->nan;
    x = fabs(x);
    memcpy(&bits, &x, sizeof bits);
    if (x >= 2 * power((1 << l->exponent_bits) - l->bias)) /* Inf too: beyond every rounding */
        return sign | l->infinite;
    int e = (int)(bits >> 52) - 1023;
    if (e < -l->bias - l->mantissa_bits) /* at most half the smallest subnormal, or less */
        return sign;
    uint64_t mantissa = (bits & 0xfffffffffffffu) | 0x10000000000000u;
    int drop = 52 - l->mantissa_bits + (e < 1 - l->bias ? 1 - l->bias - e : 0);
    uint64_t kept = mantissa >> drop, rest = mantissa & ((1ull << drop) - 1),
             half = 1ull << (drop - 1);
    kept += rest > half || (rest == half && (kept & 1));
    /* A normal number's implicit one adds 1 to the exponent field, and so does a carry. */
    uint64_t pattern = kept;
    if (e >= 1 - l->bias)
        pattern += (uint64_t)(e + l->bias - 1) << l->mantissa_bits;
    return sign | (pattern > l->max_finite ? l->infinite : (unsigned)pattern);
}

double att_fp_load(const void *data, int32_t dtype, int64_t i)
{
    const layout *l = layout_of(dtype);
    const unsigned char *at = (const unsigned char *)data + i * (int64_t)att_dtype_size(dtype);

    if (l && att_dtype_size(dtype) == 2) {
        uint16_t bits;
        memcpy(&bits, at, sizeof bits);
        return unpack(l, bits);
    }
    if (l)
        return unpack(l, *at);
    switch (dtype) {
    case ATT_F64: {
        double x;
        memcpy(&x, at, sizeof x);
        return x;
    }
    case ATT_F32: {
        float x;
        memcpy(&x, at, sizeof x);
        return (double)x;
    }
    case ATT_I32: {
        int32_t x;
        memcpy(&x, at, sizeof x);
        return (double)x;
    }
    case ATT_I64: {
        int64_t x;
        memcpy(&x, at, sizeof x);
        return (double)x;
    }
    case ATT_I8:
        return (double)*(const int8_t *)at;
    case ATT_U8:
        return (double)*at;
    case ATT_Q8_0:
    case ATT_Q4_0:
        return att_fp_block_load(data, dtype, i);
    default:
        return (double)NAN;
    }
}

void att_fp_store(void *data, int32_t dtype, int64_t i, double x)
{
    const layout *l = layout_of(dtype);
    unsigned char *at = (unsigned char *)data + i * (int64_t)att_dtype_size(dtype);

    if (l) {
        unsigned bits = pack(l, x);
        uint16_t wide = (uint16_t)bits;
        if (att_dtype_size(dtype) == 2)
            memcpy(at, &wide, sizeof wide);
        else
            *at = (unsigned char)bits;
    } else if (dtype == ATT_F64) {
        memcpy(at, &x, sizeof x);
    } else if (dtype == ATT_F32) {
        float narrow = (float)x;
        memcpy(at, &narrow, sizeof narrow);
    } else if (dtype == ATT_I8 || dtype == ATT_U8) {
        *at = (unsigned char)(int)x;
    }
}

double att_fp_round(int32_t dtype, double x)
{
    double room = 0;

    if (!(att_fp_format(dtype).unit > 0))
        return (double)NAN;
    att_fp_store(&room, dtype, 0, x);
    return att_fp_load(&room, dtype, 0);
}

double att_fp_ulp(const att_format *format, double x)
{
    int e;

    x = fabs(x);
    if (!(x > format->tiny))
        x = format->tiny;
    frexp(x, &e); /* x = f 2^e, f in [0.5, 1) */
    return 2 * format->unit * power(e - 1);
}

static const char *const names[ATT_DTYPES] = {
    [ATT_F32] = "f32",         [ATT_F64] = "f64",         [ATT_F16] = "f16", [ATT_BF16] = "bf16",
    [ATT_F8_E4M3] = "f8_e4m3", [ATT_F8_E5M2] = "f8_e5m2", [ATT_I8] = "i8",   [ATT_Q8_0] = "q8_0",
    [ATT_Q4_0] = "q4_0",       [ATT_I32] = "i32",         [ATT_I64] = "i64", [ATT_U8] = "u8",
};

const char *att_dtype_name(int32_t dtype)
{
    return dtype >= 0 && dtype < ATT_DTYPES ? names[dtype] : "?";
}

int32_t att_dtype_named(const char *name)
{
    for (int32_t dtype = 0; dtype < ATT_DTYPES; dtype++)
        if (strcmp(names[dtype], name) == 0)
            return dtype;
    return -1;
}

int32_t att_dtype_of_bits(double bits)
{
    for (int32_t t = 0; t < ATT_DTYPES; t++) {
        att_format f = att_fp_format(t);
        if (f.unit > 0 && -log2(f.unit) == bits)
            return t;
    }
    return -1;
}
