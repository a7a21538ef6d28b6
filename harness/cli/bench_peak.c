/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_peak.h"

#include <cblas.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { CHAINS = 12, STEPS = 100000, TRIES = 5 };
typedef float v4 __attribute__((vector_size(16)));

/* Keeps a result that nobody reads. */
static void keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static int64_t fma_plain(void)
{
    v4 x[CHAINS];
    for (int c = 0; c < CHAINS; c++)
        x[c] = (v4){1, 1, 1, 1} + (float)c;
    const v4 a = {0.999f, 0.999f, 0.999f, 0.999f}, b = {0.001f, 0.001f, 0.001f, 0.001f};
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++)
            x[c] = x[c] * a + b;
    keep(x);
    return (int64_t)STEPS * CHAINS * 4 * 2;
}

#ifdef __x86_64__
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static int64_t fma_v3(void)
{
    __m256 x[CHAINS];
    for (int c = 0; c < CHAINS; c++)
        x[c] = _mm256_set1_ps((float)c);
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++)
            x[c] = _mm256_fmadd_ps(x[c], a, b);
    keep(x);
    return (int64_t)STEPS * CHAINS * 8 * 2;
}

__attribute__((target("avx512f"))) static int64_t fma_v4(void)
{
    __m512 x[CHAINS];
    for (int c = 0; c < CHAINS; c++)
        x[c] = _mm512_set1_ps((float)c);
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++)
            x[c] = _mm512_fmadd_ps(x[c], a, b);
    keep(x);
    return (int64_t)STEPS * CHAINS * 16 * 2;
}
#endif

double att_peak_fma(const char *isa)
{
    int64_t (*run)(void) = fma_plain;
    double best = 0;
#ifdef __x86_64__
    if (!strcmp(isa, "v3"))
        run = fma_v3;
    if (!strcmp(isa, "v4"))
        run = fma_v4;
#else
    (void)isa;
#endif
    for (int i = 0; i < 4 * TRIES; i++) {
        const double begin = att_clock_now();
        const int64_t flops = run();
        const double rate = (double)flops / (att_clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

double att_peak_sgemm(int n)
{
    const size_t count = (size_t)n * (size_t)n;
    float *a = malloc(3 * count * sizeof *a);
    double best = 0;
    if (!a)
        return 0;
    for (size_t i = 0; i < 3 * count; i++)
        a[i] = (float)(i % 17) - 8.0f;
    for (int i = 0; i < TRIES; i++) {
        const double begin = att_clock_now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, a, n, a + count, n,
                    0.0f, a + 2 * count, n);
        const double rate = 2.0 * n * (double)count / (att_clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    free(a);
    return best;
}

double att_peak_read(void)
{
    const size_t bytes = (size_t)128 << 20, n = bytes / sizeof(v4);
    v4 *data = aligned_alloc(64, bytes), sum[4] = {{0}};
    double best = 0;
    if (!data)
        return 0;
    memset(data, 1, bytes);
    for (int i = 0; i < TRIES; i++) {
        const double begin = att_clock_now();
        for (size_t c = 0; c < n; c += 4)
            for (size_t e = 0; e < 4; e++)
                sum[e] += data[c + e];
        keep(sum);
        const double rate = (double)bytes / (att_clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    free(data);
    return best;
}
