/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "base/rng.h"

static bool same(double x, double y)
{
    return (isnan(x) && isnan(y)) || (x == y && signbit(x) == signbit(y));
}

/* Did writing what was read change the pattern?  Any NaN may stand for any other. */
static unsigned changed(double x, double again, unsigned in, unsigned out)
{
    return isnan(x) ? (unsigned)!isnan(again) : (unsigned)(in != out);
}

static float bits_to_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#ifdef __FLT16_MAX__
__extension__ typedef _Float16 half;

static void every_f16_pattern_reads_and_writes_as_the_compiler_does(void)
{
    unsigned wrong = 0, moved = 0;

    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t in = (uint16_t)bits, out;
        half x;
        memcpy(&x, &in, sizeof x);
        double got = att_fp_load(&in, ATT_F16, 0);
        wrong += !same(got, (double)x);
        att_fp_store(&out, ATT_F16, 0, got);
        moved += changed(got, att_fp_load(&out, ATT_F16, 0), in, out);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(moved, 0);
}

static void doubles_round_to_f16_as_the_compiler_rounds(void)
{
    att_rng rng = att_rng_make(3, "f16");
    unsigned wrong = 0;

    for (int n = 0; n < 400000; n++) {
        double x = ldexp(att_rng_normal(&rng), (int)att_rng_below(&rng, 60) - 36);
        if (n % 4 == 0) { /* exact ties and their neighbours */
            uint16_t bits = (uint16_t)att_rng_below(&rng, 0x7c00);
            double lower = att_fp_load(&bits, ATT_F16, 0);
            bits++;
            double upper = bits == 0x7c00 ? 65536 : att_fp_load(&bits, ATT_F16, 0);
            x = (lower + upper) / 2;
            x = n % 12 == 0 ? x : n % 12 == 4 ? nextafter(x, 0) : nextafter(x, 1e9);
        }
        half narrow = (half)x;
        wrong += !same(att_fp_round(ATT_F16, x), (double)narrow);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}
#else
static void every_f16_pattern_reads_and_writes_as_the_compiler_does(void)
{
    att_suite_skip("the compiler has no _Float16");
}

static void doubles_round_to_f16_as_the_compiler_rounds(void)
{
    att_suite_skip("the compiler has no _Float16");
}
#endif

static void every_bf16_pattern_is_the_upper_half_of_a_float(void)
{
    unsigned wrong = 0, moved = 0;

    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t in = (uint16_t)bits, out;
        double got = att_fp_load(&in, ATT_BF16, 0);
        wrong += !same(got, (double)bits_to_float((uint32_t)bits << 16));
        att_fp_store(&out, ATT_BF16, 0, got);
        moved += changed(got, att_fp_load(&out, ATT_BF16, 0), in, out);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(moved, 0);
}

static void floats_round_to_bf16_to_nearest_even(void)
{
    att_rng rng = att_rng_make(4, "bf16");
    unsigned wrong = 0;

    for (int n = 0; n < 400000; n++) {
        uint32_t bits = (uint32_t)att_rng_u64(&rng);
        if (n % 4 == 0)
            bits = (bits & 0xffff0000u) | 0x8000u | (uint32_t)(n % 3 - 1);
        float x = bits_to_float(bits);
        if (isnan(x))
            continue;
        uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u); /* carries into Inf as it should */
        wrong +=
            !same(att_fp_round(ATT_BF16, (double)x), (double)bits_to_float(rounded & 0xffff0000u));
    }
    CU_ASSERT_EQUAL(wrong, 0);
    /* one rounding, not two: above a tie by less than a float can show */
    CU_ASSERT_EQUAL(att_fp_round(ATT_BF16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7);
    CU_ASSERT_EQUAL(att_fp_round(ATT_BF16, 1 + 0x1p-8), 1.0);
}

static void fp8_holds_the_published_values(void)
{
    static const struct {
        int32_t dtype;
        unsigned char bits;
        double value;
    } known[] = {
        {ATT_F8_E4M3, 0x7e, 448},     {ATT_F8_E4M3, 0x08, 0x1p-6},   {ATT_F8_E4M3, 0x01, 0x1p-9},
        {ATT_F8_E4M3, 0xfe, -448},    {ATT_F8_E5M2, 0x7b, 57344},    {ATT_F8_E5M2, 0x04, 0x1p-14},
        {ATT_F8_E5M2, 0x01, 0x1p-16}, {ATT_F8_E5M2, 0x7c, INFINITY}, {ATT_F8_E5M2, 0x7d, NAN},
        {ATT_F8_E4M3, 0x7f, NAN},     {ATT_F8_E4M3, 0x38, 1},        {ATT_F8_E5M2, 0x3c, 1},
        {ATT_F8_E4M3, 0x80, -0.0},
    };
    unsigned moved = 0;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CU_ASSERT(same(att_fp_load(&known[i].bits, known[i].dtype, 0), known[i].value));
    for (unsigned bits = 0; bits < 256; bits++)
        for (int32_t dtype = ATT_F8_E4M3; dtype <= ATT_F8_E5M2; dtype++) {
            unsigned char in = (unsigned char)bits, out;
            double x = att_fp_load(&in, dtype, 0);
            att_fp_store(&out, dtype, 0, x);
            moved += changed(x, att_fp_load(&out, dtype, 0), in, out);
        }
    CU_ASSERT_EQUAL(moved, 0);
    CU_ASSERT(isnan(att_fp_round(ATT_F8_E4M3, 465)));
    CU_ASSERT_EQUAL(att_fp_round(ATT_F8_E4M3, 463), 448);
    CU_ASSERT(isinf(att_fp_round(ATT_F8_E5M2, 61440)));
}

static void formats_state_their_units_and_ulps(void)
{
    att_format f = att_fp_format(ATT_F16), wide = att_fp_format(ATT_F32);

    CU_ASSERT_EQUAL(f.unit, 0x1p-11);
    CU_ASSERT_EQUAL(f.tiny, 0x1p-14);
    CU_ASSERT_EQUAL(f.half_subnormal, 0x1p-25);
    CU_ASSERT_EQUAL(f.largest, 65504);
    CU_ASSERT_EQUAL(wide.half_subnormal, 0x1p-150);
    CU_ASSERT_EQUAL(att_fp_format(ATT_F32).largest, (double)0x1.fffffep127f);
    CU_ASSERT_EQUAL(att_fp_format(ATT_F8_E4M3).largest, 448);
    CU_ASSERT_EQUAL(att_fp_format(ATT_I8).unit, 0);
    CU_ASSERT_EQUAL(att_fp_ulp(&f, 1.0), 0x1p-10);
    CU_ASSERT_EQUAL(att_fp_ulp(&f, -1.999), 0x1p-10);
    CU_ASSERT_EQUAL(att_fp_ulp(&f, 0.0), 0x1p-24);
    CU_ASSERT_EQUAL(att_fp_ulp(&wide, 2.0), 0x1p-22);
    CU_ASSERT(isnan(att_fp_round(ATT_I8, 1.0)));
}

static void integers_and_names_go_both_ways(void)
{
    const int8_t i8[] = {-128, 127};
    const int64_t i64[] = {-5};
    const unsigned char mask[] = {0, 255};

    CU_ASSERT_EQUAL(att_fp_load(i8, ATT_I8, 0), -128);
    CU_ASSERT_EQUAL(att_fp_load(i64, ATT_I64, 0), -5);
    CU_ASSERT_EQUAL(att_fp_load(mask, ATT_U8, 1), 255);
    for (int32_t dtype = 0; dtype < ATT_DTYPES; dtype++)
        CU_ASSERT_EQUAL(att_dtype_named(att_dtype_name(dtype)), dtype);
    CU_ASSERT_EQUAL(att_dtype_named("f17"), -1);
    CU_ASSERT_STRING_EQUAL(att_dtype_name(-1), "?");
}

static void a_type_is_known_by_its_significant_bits(void)
{
    static const int32_t types[] = {ATT_F64, ATT_F32, ATT_F16, ATT_BF16, ATT_F8_E4M3, ATT_F8_E5M2};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        CU_ASSERT_EQUAL(att_dtype_of_bits(-log2(att_fp_format(types[i]).unit)), types[i]);
    CU_ASSERT_EQUAL(att_dtype_of_bits(0), -1);
    CU_ASSERT_EQUAL(att_dtype_of_bits((double)NAN), -1);
}

static void blocks_hold_the_nearest_levels(void)
{
    static const int32_t types[] = {ATT_Q8_0, ATT_Q4_0};
    unsigned char bytes[34];
    double x[ATT_FP_BLOCK];

    for (size_t t = 0; t < 2; t++) {
        for (int e = 0; e < ATT_FP_BLOCK; e++)
            x[e] = sin(3.0 * e) * (e == 7 ? 5 : 1); /* x[7] is the largest */
        att_fp_block_store(bytes, types[t], 0, x);
        double d = fabs(att_fp_load(bytes, ATT_F16, 0));
        double step = fabs(x[7]) / (types[t] == ATT_Q8_0 ? 127 : 8);
        CU_ASSERT(fabs(d - step) <= step * 0x1p-11);
        for (int e = 0; e < ATT_FP_BLOCK; e++)
            CU_ASSERT(fabs(att_fp_load(bytes, types[t], e) - x[e]) <= d * (0.5 + 0x1p-4));
        for (int e = 0; e < ATT_FP_BLOCK; e++)
            x[e] = att_fp_load(bytes, types[t], e);
        att_fp_block_store(bytes, types[t], 0, x); /* levels come back as they are */
        for (int e = 0; e < ATT_FP_BLOCK; e++)
            CU_ASSERT_EQUAL(att_fp_load(bytes, types[t], e), x[e]);
        memset(x, 0, sizeof x);
        att_fp_block_store(bytes, types[t], 0, x);
        CU_ASSERT_EQUAL(att_fp_load(bytes, types[t], 31), 0);
    }
    CU_ASSERT_EQUAL(att_fp_block_bytes(ATT_Q4_0), 18);
    CU_ASSERT_EQUAL(att_fp_block_bytes(ATT_I8), 0);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_f16_pattern_reads_and_writes_as_the_compiler_does",
         every_f16_pattern_reads_and_writes_as_the_compiler_does},
        {"doubles_round_to_f16_as_the_compiler_rounds",
         doubles_round_to_f16_as_the_compiler_rounds},
        {"every_bf16_pattern_is_the_upper_half_of_a_float",
         every_bf16_pattern_is_the_upper_half_of_a_float},
        {"floats_round_to_bf16_to_nearest_even", floats_round_to_bf16_to_nearest_even},
        {"fp8_holds_the_published_values", fp8_holds_the_published_values},
        {"formats_state_their_units_and_ulps", formats_state_their_units_and_ulps},
        {"integers_and_names_go_both_ways", integers_and_names_go_both_ways},
        {"a_type_is_known_by_its_significant_bits", a_type_is_known_by_its_significant_bits},
        {"blocks_hold_the_nearest_levels", blocks_hold_the_nearest_levels},
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("fp", tests);
}
