/* SPDX-License-Identifier: Apache-2.0 */
/* A decode step multiplies every weight once, so it is bound by reading them: the blocks are a
 * fifth of the f32 weights.   sum (d q + m) x = d sum q x + m sum x  a block, the integers widened
 * in registers.
 *
 * Error: that of an f32 dot product in 8 chains, about (n / 8) 2^-24 relative to sum |w x|.
 * Written twice, in C and with AVX2 intrinsics: GCC 12 takes widening vector conversions apart lane
 * by lane, ten times slower. */
#include <stdlib.h>
#include <string.h>

#include "model/blocks.h"
#include "model/gguf.h"
#include "model/rows.h"

enum { BLOCK = 32, Q4_0_BYTES = 18, Q4_1_BYTES = 20, Q8_0_BYTES = 34 };

/* f16 to f32.  Rebiasing by a product is exact, subnormals too; Inf and NaN are put back. */
static inline float half(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    uint32_t bits = (uint32_t)(h & 0x7fff) << 13;
    float x;
    memcpy(&x, &bits, sizeof x);
    x *= 0x1p112f;
    memcpy(&bits, &x, sizeof x);
    bits |= (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u;
    bits |= (uint32_t)(h & 0x8000) << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* sum q x over the 16 bytes of a block of nibbles. */
static inline float nibbles_plain(const uint8_t *q, const float *x)
{
    float sum[4] = {0};
    for (int i = 0; i < BLOCK / 2; i++) {
        sum[i % 4] += (float)(q[i] & 15) * x[i];
        sum[i % 4] += (float)(q[i] >> 4) * x[i + BLOCK / 2];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static float q4_0_plain(const uint8_t *p, const float *x, const float *sums, int64_t n)
{
    float total = 0;
    for (int64_t b = 0; b < n / BLOCK; b++, p += Q4_0_BYTES)
        total += half(p) * (nibbles_plain(p + 2, x + BLOCK * b) - 8.0f * sums[b]);
    return total;
}

static float q4_1_plain(const uint8_t *p, const float *x, const float *sums, int64_t n)
{
    float total = 0;
    for (int64_t b = 0; b < n / BLOCK; b++, p += Q4_1_BYTES)
        total += half(p) * nibbles_plain(p + 4, x + BLOCK * b) + half(p + 2) * sums[b];
    return total;
}

static float q8_0_plain(const uint8_t *p, const float *x, const float *sums, int64_t n)
{
    float total = 0;
    (void)sums;
    for (int64_t b = 0; b < n / BLOCK; b++, p += Q8_0_BYTES) {
        float sum[4] = {0};
        for (int i = 0; i < BLOCK; i++)
            sum[i % 4] += (float)(int8_t)p[2 + i] * x[BLOCK * b + i];
        total += half(p) * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
    return total;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define V3 __attribute__((target("avx2,fma,f16c"))) static inline

V3 float half_v3(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _cvtsh_ss(h);
}

V3 __m256 nibbles_v3(const uint8_t *q, const float *x)
{
    __m128i low = _mm_set1_epi8(15), b = _mm_loadu_si128((const __m128i *)(const void *)q);
    __m128i first = _mm_and_si128(b, low), last = _mm_and_si128(_mm_srli_epi16(b, 4), low);
    __m256 w0 = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(first));
    __m256 w1 = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(first, 8)));
    __m256 w2 = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(last));
    __m256 w3 = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(last, 8)));
    __m256 a = _mm256_mul_ps(w0, _mm256_loadu_ps(x)),
           c = _mm256_mul_ps(w2, _mm256_loadu_ps(x + 16));
    a = _mm256_fmadd_ps(w1, _mm256_loadu_ps(x + 8), a);
    c = _mm256_fmadd_ps(w3, _mm256_loadu_ps(x + 24), c);
    return _mm256_add_ps(a, c);
}

V3 float lanes_v3(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

V3 float q4_0_v3(const uint8_t *p, const float *x, const float *sums, int64_t n)
{
    __m256 total = _mm256_setzero_ps();
    float rest = 0;
    for (int64_t b = 0; b < n / BLOCK; b++, p += Q4_0_BYTES) {
        float d = half_v3(p);
        total = _mm256_fmadd_ps(_mm256_set1_ps(d), nibbles_v3(p + 2, x + BLOCK * b), total);
        rest -= d * sums[b];
    }
    return lanes_v3(total) + 8.0f * rest;
}

V3 float q4_1_v3(const uint8_t *p, const float *x, const float *sums, int64_t n)
{
    __m256 total = _mm256_setzero_ps();
    float rest = 0;
    for (int64_t b = 0; b < n / BLOCK; b++, p += Q4_1_BYTES) {
        total =
            _mm256_fmadd_ps(_mm256_set1_ps(half_v3(p)), nibbles_v3(p + 4, x + BLOCK * b), total);
        rest += half_v3(p + 2) * sums[b];
    }
    return lanes_v3(total) + rest;
}

V3 float q8_0_v3(const uint8_t *p, const float *x, const float *sums, int64_t n)
{
    __m256 total = _mm256_setzero_ps();
    (void)sums;
    for (int64_t b = 0; b < n / BLOCK; b++, p += Q8_0_BYTES) {
        __m256 part = _mm256_setzero_ps();
        for (int i = 0; i < BLOCK; i += 8) {
            __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)(p + 2 + i));
            part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)),
                                   _mm256_loadu_ps(x + BLOCK * b + i), part);
        }
        total = _mm256_fmadd_ps(_mm256_set1_ps(half_v3(p)), part, total);
    }
    return lanes_v3(total);
}
#endif

att_block_dot att_block_dot_of(int32_t type)
{
    static const struct {
        int32_t type;
        att_block_dot plain, v3;
    } table[] = {
#if defined(__x86_64__)
        {ATT_GGUF_Q4_0, q4_0_plain, q4_0_v3},
        {ATT_GGUF_Q4_1, q4_1_plain, q4_1_v3},
        {ATT_GGUF_Q8_0, q8_0_plain, q8_0_v3},
#else
        {ATT_GGUF_Q4_0, q4_0_plain, q4_0_plain},
        {ATT_GGUF_Q4_1, q4_1_plain, q4_1_plain},
        {ATT_GGUF_Q8_0, q8_0_plain, q8_0_plain},
#endif
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].type == type)
            return strcmp(att_rows_best()->isa, "v3") ? table[i].plain : table[i].v3;
    return NULL;
}
