/* SPDX-License-Identifier: Apache-2.0 */
/* fp8 and quantised rows, held to base/fp, which was written apart. */
#include "base/fp.h"
#include "base/tests/suite.h"
#include "common/quant.h"

static bool same(float x, double want)
{
    return isnan(want) ? isnan(x) : (double)x == want && !signbit(x) == !signbit(want);
}

static void every_fp8_reads_as_base_fp_reads_it(void)
{
    for (unsigned b = 0; b < 256; b++) {
        const uint8_t byte = (uint8_t)b;
        CU_ASSERT(same(att_e4m3_to_f32(byte), att_fp_load(&byte, ATT_F8_E4M3, 0)));
        CU_ASSERT(same(att_e5m2_to_f32(byte), att_fp_load(&byte, ATT_F8_E5M2, 0)));
    }
}

static void e4m3_rounds_to_nearest_even(void)
{
    int64_t wrong = 0;

    for (uint32_t high = 0x3a00u; high < 0x43e0u; high++) /* 2^-11 .. 448 */
        for (uint32_t low = 0; low < 4; low++) {
            const uint32_t bits = high << 16 | (uint32_t[]){0, 1, 0x8000u, 0xffffu}[low];
            float x;
            memcpy(&x, &bits, sizeof x);
            wrong += !same(att_round_e4m3(x), att_fp_round(ATT_F8_E4M3, (double)x));
            wrong += !same(att_round_e4m3(-x), att_fp_round(ATT_F8_E4M3, (double)-x));
        }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void e4m3_saturates_and_keeps_nan(void)
{
    CU_ASSERT_EQUAL(att_round_e4m3(1e30f), 448.0f);
    CU_ASSERT_EQUAL(att_round_e4m3(-INFINITY), -448.0f);
    CU_ASSERT(isnan(att_round_e4m3(NAN)));
    CU_ASSERT_EQUAL(att_round_e4m3(0.0f), 0.0f);
}

static void blocks_read_as_base_fp_reads_them(void)
{
    static const int32_t types[] = {ATT_Q8_0, ATT_Q4_0};

    for (size_t t = 0; t < 2; t++) {
        unsigned char bytes[40 * sizeof(float)]; /* 40 of any type */
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)(i * 37 + 11);
        const att_tensor row = {
            .data = bytes, .dtype = types[t], .shape = {1, 1, 1, 40}, .stride = {64, 64, 64, 1}};
        float x[40];
        att_stored_row(&row, 0, 40, x);
        for (int64_t d = 0; d < 40; d++)
            CU_ASSERT(same(x[d], att_fp_load(bytes, types[t], d)));
    }
}

static void a_scale_belongs_to_its_group_alone(void)
{
    const int8_t codes[2][6] = {{1, 2, 3, 4, 5, 6}, {-1, -2, -3, -4, -5, -6}};
    float scales[2][3] = {{1, 10, 100}, {2, 20, 200}}, x[6];
    const int8_t zeros[2] = {1, -1};
    att_tensor t = att_tensor_dense((void *)(uintptr_t)codes, ATT_I8, 1, 1, 2, 6);
    att_quant q = {.scheme = ATT_QUANT_AFFINE, .axis = 3, .group = 2};
    q.scales = att_tensor_dense(scales, ATT_F32, 1, 1, 2, 3);
    q.zeros = att_tensor_dense((void *)(uintptr_t)zeros, ATT_I8, 1, 1, 2, 1);
    static const float want[6] = {0, -2, -40, -60, -800, -1000};

    CU_ASSERT_PTR_NULL(att_quant_fault(
        &t, &(att_quant){.scheme = ATT_QUANT_AFFINE, .axis = 3, .group = 2, .scales = q.scales}));
    att_quant_row(&t, &q, 0, 0, 1, 6, x);
    CU_ASSERT_EQUAL(memcmp(x, want, sizeof want), 0);
}

static void contradictions_are_told(void)
{
    float scale = 1;
    att_tensor t = att_tensor_dense(&scale, ATT_Q8_0, 1, 1, 2, 40);
    att_quant q = {.scheme = ATT_QUANT_BLOCK};

    CU_ASSERT_PTR_NOT_NULL(att_quant_fault(&t, &q)); /* rows of 40 cut blocks */
    t.stride[2] = t.stride[1] = t.stride[0] = 64;
    CU_ASSERT_PTR_NULL(att_quant_fault(&t, &q));
    q.scheme = ATT_QUANT_NONE;
    CU_ASSERT_PTR_NOT_NULL(att_quant_fault(&t, &q));
    t.dtype = ATT_I8;
    q.scheme = ATT_QUANT_AFFINE;
    CU_ASSERT_PTR_NOT_NULL(att_quant_fault(&t, &q)); /* no scales */
    q = (att_quant){ATT_QUANT_AFFINE, 2, 2, att_tensor_dense(&scale, ATT_F32, 1, 1, 2, 1), {0}};
    CU_ASSERT_PTR_NOT_NULL(att_quant_fault(&t, &q)); /* two scales where one is needed */
    q.group = 1;
    CU_ASSERT_PTR_NULL(att_quant_fault(&t, &q));
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"every fp8 reads as base/fp reads it", every_fp8_reads_as_base_fp_reads_it},
        {"e4m3 rounds to nearest even", e4m3_rounds_to_nearest_even},
        {"e4m3 saturates and keeps NaN", e4m3_saturates_and_keeps_nan},
        {"blocks read as base/fp reads them", blocks_read_as_base_fp_reads_them},
        {"a scale belongs to its group alone", a_scale_belongs_to_its_group_alone},
        {"contradictions are told", contradictions_are_told},
        CU_TEST_INFO_NULL};

    return att_suite_run("quant", tests);
}
