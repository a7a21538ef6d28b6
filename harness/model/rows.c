/* SPDX-License-Identifier: Apache-2.0 */
/* exp by range reduction: e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln2/2, with a polynomial of
 * degree 7 (truncation 3e-9 relative on that interval; the f32 evaluation adds about 1.5 ulp).  ln
 * 2 is split in two so that n ln2 loses nothing (Cody and Waite 1980).  Coefficients are 1/k!.
 *
 * Each function is written once as an always-inline body over 8-lane vectors and instantiated
 * twice: for the compiler's baseline, and with AVX2 and FMA. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/rows.h"

enum { LANES = 8 };

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));

#define BODY static inline __attribute__((always_inline))

BODY void load(const float *p, vec *out)
{
    memcpy(out, p, sizeof *out);
}

BODY void store(float *p, const vec *x)
{
    memcpy(p, x, sizeof *x);
}

/* In place.  Below -87 the result is e^-87 (1.6e-38), above 88 e^88, a NaN stays. */
BODY void exp_in(vec *x)
{
    const vec low = (vec){0} - 87.0f, high = (vec){0} + 88.0f, magic = (vec){0} + 0x1.8p23f;
    vec y = *x;
    ivec under = y<low, over = y> high;
    y = (vec)(((ivec)low & under) | ((ivec)high & over) | ((ivec)y & ~(under | over)));
    vec t = y * 0x1.715476p0f + magic; /* the low bits of t hold round(y / ln 2) */
    vec n = t - magic;
    vec r = y - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f;
    vec p = r * (1.0f / 5040) + (1.0f / 720);
    p = p * r + (1.0f / 120);
    p = p * r + (1.0f / 24);
    p = p * r + (1.0f / 6);
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uvec power = (((uvec)t - 0x4b400000u) + 127u) << 23;
    *x = p * (vec)power;
}

BODY void rms_norm_body(const float *x, const float *weight, int64_t n, double eps, float *out)
{
    double part[4] = {0}; /* four chains hide the latency of the sum */
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            part[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++)
        part[0] += (double)x[i] * (double)x[i];
    float s = (float)(1.0 / sqrt(((part[0] + part[1]) + (part[2] + part[3])) / (double)n + eps));
    for (i = 0; i < n; i++)
        out[i] = x[i] * s * weight[i];
}

BODY void swiglu_body(const float *gate, const float *up, int64_t n, float *out)
{
    vec g, u;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        load(gate + i, &g);
        load(up + i, &u);
        vec e = -g;
        exp_in(&e);
        g = g / (1.0f + e) * u;
        store(out + i, &g);
    }
    for (; i < n; i++)
        out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

BODY void rope_body(const float *x, const float *cosine, const float *sine, int64_t pairs,
                    float *out)
{
    for (int64_t i = 0; i < pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = a * cosine[i] - b * sine[i];
        out[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
}

BODY void log_sum_body(const float *x, int64_t n, float *top, double *sum)
{
    float most = x[0];
    vec m = (vec){0} + x[0], v;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        load(x + i, &v);
        ivec more = v > m;
        m = (vec)(((ivec)v & more) | ((ivec)m & ~more));
    }
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (int j = 0; j < LANES; j++)
        most = m[j] > most ? m[j] : most;
    double total = 0;
    i = 0;
    while (i + LANES <= n) { /* f32 sums of at most 64 terms a lane, then f64 */
        vec s = {0};
        for (int k = 0; k < 64 && i + LANES <= n; k++, i += LANES) {
            load(x + i, &v);
            v -= most;
            exp_in(&v);
            s += v;
        }
        for (int j = 0; j < LANES; j++)
            total += (double)s[j];
    }
    for (; i < n; i++)
        total += exp((double)x[i] - (double)most);
    *top = most;
    *sum = total;
}

#define LEVEL(suffix, target)                                                                      \
    target static void rms_norm_##suffix(const float *x, const float *weight, int64_t n,           \
                                         double eps, float *out)                                   \
    {                                                                                              \
        rms_norm_body(x, weight, n, eps, out);                                                     \
    }                                                                                              \
    target static void swiglu_##suffix(const float *gate, const float *up, int64_t n, float *out)  \
    {                                                                                              \
        swiglu_body(gate, up, n, out);                                                             \
    }                                                                                              \
    target static void rope_##suffix(const float *x, const float *cosine, const float *sine,       \
                                     int64_t pairs, float *out)                                    \
    {                                                                                              \
        rope_body(x, cosine, sine, pairs, out);                                                    \
    }                                                                                              \
    target static void log_sum_##suffix(const float *x, int64_t n, float *top, double *sum)        \
    {                                                                                              \
        log_sum_body(x, n, top, sum);                                                              \
    }                                                                                              \
    static const att_rows rows_##suffix = {#suffix, rms_norm_##suffix, swiglu_##suffix,            \
                                           rope_##suffix, log_sum_##suffix};

LEVEL(plain, )
#if defined(__x86_64__)
LEVEL(v3, __attribute__((target("avx2,fma,f16c"))))
#endif

const att_rows *att_rows_best(void)
{
#if defined(__x86_64__)
    const char *asked = getenv("ATT_ISA");
    if (!(asked && !strcmp(asked, "plain")) && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma")) /* CPUs with AVX2 have F16C; clang can't ask for it */
        return &rows_v3;
#endif
    return &rows_plain;
}
