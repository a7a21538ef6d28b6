/* SPDX-License-Identifier: Apache-2.0 */
/* Dequantisation of GGUF rows.  Blocks of 32 weights share a scale d (f16) and, in Q4_1, a minimum
 * m: x = d q + m; nibble i of a 4-bit block holds weight i (low) and i + 16 (high).  The products
 * are exact in f32 (11 + 8 bits), the sum of Q4_1 is rounded once.
 * Source: ggml's block formats. */
#include <string.h>

#include "model/gguf.h"

enum { BLOCK = 32 };

typedef struct type_row {
    const char *name;
    int32_t elements; /* a block; 0 = not read */
    int32_t bytes;
} type_row;

/* By type number.  The names of what is not read are there for the message that refuses it. */
static const type_row types[] = {
    [0] = {"F32", 1, 4},       [1] = {"F16", 1, 2},      [2] = {"Q4_0", BLOCK, 18},
    [3] = {"Q4_1", BLOCK, 20}, [6] = {"Q5_0", 0, 0},     [7] = {"Q5_1", 0, 0},
    [8] = {"Q8_0", BLOCK, 34}, [9] = {"Q8_1", 0, 0},     [10] = {"Q2_K", 0, 0},
    [11] = {"Q3_K", 0, 0},     [12] = {"Q4_K", 0, 0},    [13] = {"Q5_K", 0, 0},
    [14] = {"Q6_K", 0, 0},     [15] = {"Q8_K", 0, 0},    [16] = {"IQ2_XXS", 0, 0},
    [17] = {"IQ2_XS", 0, 0},   [18] = {"IQ3_XXS", 0, 0}, [19] = {"IQ1_S", 0, 0},
    [20] = {"IQ4_NL", 0, 0},   [21] = {"IQ3_S", 0, 0},   [22] = {"IQ2_S", 0, 0},
    [23] = {"IQ4_XS", 0, 0},   [24] = {"I8", 0, 0},      [25] = {"I16", 0, 0},
    [26] = {"I32", 0, 0},      [27] = {"I64", 0, 0},     [28] = {"F64", 1, 8},
    [29] = {"IQ1_M", 0, 0},    [30] = {"BF16", 1, 2},    [34] = {"TQ1_0", 0, 0},
    [35] = {"TQ2_0", 0, 0},    [39] = {"MXFP4", 0, 0}};

enum { TYPES = sizeof types / sizeof types[0] };

bool att_gguf_block(int32_t type, int64_t *elements, size_t *bytes)
{
    if (type < 0 || type >= TYPES || !types[type].elements)
        return false;
    *elements = types[type].elements;
    *bytes = (size_t)types[type].bytes;
    return true;
}

const char *att_gguf_type_name(uint32_t type)
{
    return type < TYPES && types[type].name ? types[type].name : "?";
}

static float from_f16(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7fffu, bits;
    float x;
    if (magnitude >= 0x7c00u) { /* Inf, NaN */
        bits = sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13);
    } else if (magnitude >= 0x0400u) { /* normal: rebias 15 to 127 */
        bits = sign | ((magnitude << 13) + (112u << 23));
    } else { /* subnormal: magnitude * 2^-24, exact */
        x = (float)magnitude * 0x1p-24f;
        return sign ? -x : x;
    }
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void row_f32(const uint8_t *p, int64_t n, float *out)
{
    memcpy(out, p, (size_t)n * sizeof *out);
}

static void row_f64(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double x;
        memcpy(&x, p + 8 * i, sizeof x);
        out[i] = (float)x;
    }
}

static void row_f16(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = from_f16(p + 2 * i);
}

static void row_bf16(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        uint32_t bits = (uint32_t)h << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

static void row_q8_0(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t b = 0; b < n; b += BLOCK, p += 34) {
        float d = from_f16(p);
        for (int i = 0; i < BLOCK; i++)
            out[b + i] = d * (float)(int8_t)p[2 + i];
    }
}

static void row_q4(const uint8_t *p, float d, float m, float *out)
{
    for (int i = 0; i < BLOCK / 2; i++) {
        out[i] = d * (float)(p[i] & 15) + m;
        out[i + BLOCK / 2] = d * (float)(p[i] >> 4) + m;
    }
}

static void row_q4_0(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t b = 0; b < n; b += BLOCK, p += 18) {
        float d = from_f16(p);
        row_q4(p + 2, d, -8.0f * d, out + b);
    }
}

static void row_q4_1(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t b = 0; b < n; b += BLOCK, p += 20)
        row_q4(p + 4, from_f16(p), from_f16(p + 2), out + b);
}

void att_gguf_dequantise(const att_gguf_tensor *t, int64_t first, int64_t count, float *out)
{
    static void (*const row[])(const uint8_t *, int64_t, float *) = {
        [ATT_GGUF_F32] = row_f32,   [ATT_GGUF_F16] = row_f16,   [ATT_GGUF_Q4_0] = row_q4_0,
        [ATT_GGUF_Q4_1] = row_q4_1, [ATT_GGUF_Q8_0] = row_q8_0, [ATT_GGUF_F64] = row_f64,
        [ATT_GGUF_BF16] = row_bf16};
    for (int64_t i = 0; i < count; i++)
        row[t->type](t->data + (size_t)(first + i) * t->row_bytes, t->shape[0],
                     out + i * t->shape[0]);
}
