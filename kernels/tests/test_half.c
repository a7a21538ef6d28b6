/* SPDX-License-Identifier: Apache-2.0 */
/* Storage conversions and vector functions. */
#include "base/tests/suite.h"
#include "common/half.h"
#include "loop.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void every_f16_reads_as_base_fp_reads_it(void)
{
    int64_t wrong = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        const uint16_t half = (uint16_t)h;
        const float x = att_f16_to_f32(half);
        const double want = att_fp_load(&half, ATT_F16, 0);
        wrong += isnan(want) ? !isnan(x) : (double)x != want || !signbit(x) != !signbit(want);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void every_bf16_reads_as_base_fp_reads_it(void)
{
    int64_t wrong = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        const uint16_t half = (uint16_t)h;
        const float x = att_bf16_to_f32(half);
        const double want = att_fp_load(&half, ATT_BF16, 0);
        wrong += isnan(want) ? !isnan(x) : (double)x != want || !signbit(x) != !signbit(want);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Each value, the midpoint to the next, and both neighbours of the midpoint. */
static void halves_round_to_nearest_even(void)
{
    int64_t wrong = 0;
    for (uint32_t h = 0; h < 65536; h++)
        for (int step = -1; step <= 1; step++) {
            const float f16 =
                float_of(bits_of(att_f16_to_f32((uint16_t)h)) + 0x1000u + (uint32_t)step);
            const float bf16 = float_of((h << 16) + 0x8000u + (uint32_t)step);
            uint16_t want, got = att_f32_to_f16(f16);
            att_fp_store(&want, ATT_F16, 0, (double)f16);
            wrong += isnan(f16) ? !isnan(att_f16_to_f32(got)) : got != want;
            got = att_f32_to_bf16(bf16);
            att_fp_store(&want, ATT_BF16, 0, (double)bf16);
            wrong += isnan(bf16) ? !isnan(att_bf16_to_f32(got)) : got != want;
        }
    for (uint32_t h = 0; h < 65536; h++) { /* subnormal f16, where the step is another one */
        const float x = (float)h * 0x1p-34f * (h % 2 ? -1.0f : 1.0f);
        uint16_t want;
        att_fp_store(&want, ATT_F16, 0, (double)x);
        wrong += att_f32_to_f16(x) != want;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* One key a row: the output is V itself, so each level's wide loads see each value. */
static void every_half_passes_through_every_level(void)
{
    static const char *const level[] = {"plain", "v3", "v4"};
    static const char *const name[] = {"flash_f16", "flash_bf16"};
    for (int n = 0; n < 6; n++) {
        setenv("ATT_ISA", level[n % 3], 1);
        if (!att_kernel_table(NULL))
            continue;
        const att_kernel *k = try_kernel(name[n / 3]);
        const try_spec spec = {.b = 64,
                               .hq = 1,
                               .hkv = 1,
                               .sq = 1,
                               .skv = 1,
                               .dk = 1,
                               .dv = 1024,
                               .dtype = n < 3 ? ATT_F16 : ATT_BF16};
        try_problem t;
        att_host host;
        try_make(&t, &spec, 1);
        CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
        uint16_t *v = t.p.v.data;
        const uint16_t *o = t.p.out.data;
        for (uint32_t i = 0; i < 65536; i++)
            v[i] = (uint16_t)i;
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, NULL, &host, NULL), ATT_OK);
        int64_t wrong = 0;
        for (int64_t i = 0; i < 65536; i++)
            wrong += isnan(att_fp_load(v, spec.dtype, i))
                         ? !isnan(att_fp_load(o, spec.dtype, i))
                         : att_fp_load(v, spec.dtype, i) != att_fp_load(o, spec.dtype, i);
        CU_ASSERT_EQUAL(wrong, 0);
        att_host_drop(&host);
        try_drop(&t);
    }
    unsetenv("ATT_ISA");
}

static void rows_load_with_any_stride(void)
{
    float x[40], out[40];
    for (int i = 0; i < 40; i++)
        x[i] = (float)i;
    for (int64_t n = 0; n <= 13; n++) {
        att_load_row(x, ATT_F32, 39, -3, n, out);
        for (int64_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(out[i], (float)(39 - 3 * i));
    }
}

/* Ulps of f32 between a value and the f64 truth. */
static double ulps(float got, double want)
{
    return fabs((double)got - want) / try_ulp(ATT_F32, want);
}

static void exp_is_within_its_bound(void)
{
    double worst = 0;
    for (int64_t i = 0; i <= 4000000; i++) {
        const float x = -104.5f + 193.2f * (float)i / 4e6f;
        const double want = exp((double)x);
        if (want < (double)FLT_MAX)
            worst = fmax(worst, ulps(att_exp(x), want));
    }
    CU_ASSERT(worst <= 1.5);
    CU_ASSERT_EQUAL(att_exp(0.0f), 1.0f);
    CU_ASSERT_EQUAL(att_exp(-INFINITY), 0.0f);
    CU_ASSERT_EQUAL(att_exp(-3e38f), 0.0f);
    CU_ASSERT_EQUAL(att_exp(INFINITY), INFINITY);
    CU_ASSERT(isnan(att_exp(NAN)));
    CU_ASSERT(isnan(att_exp(-NAN)));
}

static void tanh_is_within_its_bound(void)
{
    double worst = 0;
    float lane[ATT_W];
    for (int64_t i = 0; i <= 2000000; i++) {
        const float x = (float)(i % 2 ? 1 : -1) * exp2f(-30.0f + 34.5f * (float)i / 2e6f);
        att_vf_store(lane, att_vf_tanh(att_vf_set(x)));
        worst = fmax(worst, ulps(lane[ATT_W - 1], tanh((double)x)));
    }
    CU_ASSERT(worst <= 3);
    att_vf_store(lane, att_vf_tanh(att_vf_set(INFINITY)));
    CU_ASSERT_EQUAL(lane[0], 1.0f);
    att_vf_store(lane, att_vf_tanh(att_vf_set(-INFINITY)));
    CU_ASSERT_EQUAL(lane[0], -1.0f);
    att_vf_store(lane, att_vf_tanh(att_vf_set(NAN)));
    CU_ASSERT(isnan(lane[0]));
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_f16_reads_as_base_fp_reads_it", every_f16_reads_as_base_fp_reads_it},
        {"every_bf16_reads_as_base_fp_reads_it", every_bf16_reads_as_base_fp_reads_it},
        {"halves_round_to_nearest_even", halves_round_to_nearest_even},
        {"every_half_passes_through_every_level", every_half_passes_through_every_level},
        {"rows_load_with_any_stride", rows_load_with_any_stride},
        {"exp_is_within_its_bound", exp_is_within_its_bound},
        {"tanh_is_within_its_bound", tanh_is_within_its_bound},
        CU_TEST_INFO_NULL};
    return att_suite_run("half and simd", tests);
}
