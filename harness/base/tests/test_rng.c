/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams: fixed for ever, evenly spread, independent. */
#include "base/rng.h"

#include <math.h>

#include "base/tests/suite.h"

/* Items of every probe come from these numbers: a change here changes every stored result. */
static void streams_never_change(void)
{
    att_rng r = att_rng_make(7, "items"), empty = att_rng_make(0, "");

    CU_ASSERT_EQUAL(att_rng_u64(&r), 0x8e1c3613c7ef062fu);
    CU_ASSERT_EQUAL(att_rng_u64(&r), 0xea721ea9ee506876u);
    CU_ASSERT_EQUAL(att_rng_u64(&r), 0x5b7d8e554aaa1a6cu);
    CU_ASSERT_EQUAL(att_rng_u64(&empty), 0x8984e7a2bc732021u);
    att_rng child = att_rng_split(&r, 3);
    CU_ASSERT_EQUAL(att_rng_u64(&child), 0xb989a7c33ee5c39du);
    CU_ASSERT_EQUAL(att_rng_u64(&child), 0x211bf64abcfd9b69u);
}

static void derived_draws_never_change(void)
{
    att_rng r = att_rng_make(7, "normal");

    CU_ASSERT_EQUAL(att_rng_unit(&r), 0.97567113150932439);
    CU_ASSERT_TRUE(fabs(att_rng_normal(&r) - -1.189396930685767) < 1e-14);
    const uint64_t below[] = {2, 3, 7, 4, 1, 5, 8, 9};
    for (size_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(att_rng_below(&r, 10), below[i]);
    int order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int want[8] = {1, 6, 7, 0, 4, 2, 5, 3};
    att_rng_shuffle(&r, order, 8, sizeof *order);
    for (size_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(order[i], want[i]);
}

static void a_split_does_not_move_its_parent(void)
{
    att_rng a = att_rng_make(1, "x"), b = a;

    (void)att_rng_split(&a, 9);
    CU_ASSERT_EQUAL(att_rng_u64(&a), att_rng_u64(&b));
}

/* Chi-square over 256 cells, 2^18 draws: mean 255, standard deviation 22.6; five of them allowed.
 */
static void bytes_of_a_draw_are_uniform(void)
{
    for (int byte = 0; byte < 8; byte++) {
        att_rng r = att_rng_make(11, "bytes");
        double count[256] = {0}, chi = 0.0, expected = (1 << 18) / 256.0;
        for (int i = 0; i < 1 << 18; i++)
            count[(att_rng_u64(&r) >> (8 * byte)) & 255] += 1;
        for (int i = 0; i < 256; i++)
            chi += (count[i] - expected) * (count[i] - expected) / expected;
        CU_ASSERT_TRUE(fabs(chi - 255) < 5 * 22.6);
    }
}

static void small_bounds_are_unbiased(void)
{
    att_rng r = att_rng_make(12, "below");
    double count[7] = {0}, chi = 0.0, n = 70000;

    for (int i = 0; i < (int)n; i++)
        count[att_rng_below(&r, 7)] += 1;
    for (int i = 0; i < 7; i++)
        chi += (count[i] - n / 7) * (count[i] - n / 7) / (n / 7);
    CU_ASSERT_TRUE(chi < 27.9); /* 6 degrees of freedom, p = 1e-4 */
    /* a bound just over half the range would be off by a third without rejection */
    double low = 0;
    uint64_t bound = ((uint64_t)3 << 62) + 1;
    for (int i = 0; i < 20000; i++)
        low += att_rng_below(&r, bound) < bound / 2;
    CU_ASSERT_TRUE(fabs(low / 20000 - 0.5) < 5 * 0.5 / sqrt(20000));
}

static void units_stay_below_one(void)
{
    att_rng r = att_rng_make(13, "unit");
    double sum = 0, n = 200000;

    for (int i = 0; i < (int)n; i++) {
        double u = att_rng_unit(&r);
        sum += u;
        if (!(u >= 0.0 && u < 1.0))
            CU_FAIL("a unit draw outside [0, 1)");
    }
    CU_ASSERT_TRUE(fabs(sum / n - 0.5) < 5 / sqrt(12 * n));
}

static void normals_have_normal_moments(void)
{
    att_rng r = att_rng_make(14, "normal");
    double n = 200000, m1 = 0, m2 = 0, m3 = 0, m4 = 0;

    for (int i = 0; i < (int)n; i++) {
        double x = att_rng_normal(&r);
        m1 += x;
        m2 += x * x;
        m3 += x * x * x;
        m4 += x * x * x * x;
    }
    CU_ASSERT_TRUE(fabs(m1 / n) < 5 * sqrt(1 / n));
    CU_ASSERT_TRUE(fabs(m2 / n - 1) < 5 * sqrt(2 / n));
    CU_ASSERT_TRUE(fabs(m3 / n) < 5 * sqrt(15 / n));
    CU_ASSERT_TRUE(fabs(m4 / n - 3) < 5 * sqrt(96 / n));
}

/* Correlation of n pairs has standard deviation 1/sqrt(n). */
static double correlation(att_rng a, att_rng b, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += (att_rng_unit(&a) - 0.5) * (att_rng_unit(&b) - 0.5) * 12;
    return sum / n;
}

static void neighbouring_streams_are_uncorrelated(void)
{
    const int n = 40000;
    double limit = 5 / sqrt(n);
    att_rng base = att_rng_make(1, "items"), late = base;

    CU_ASSERT_TRUE(fabs(correlation(base, att_rng_make(2, "items"), n)) < limit);
    CU_ASSERT_TRUE(fabs(correlation(base, att_rng_make(1, "itemt"), n)) < limit);
    CU_ASSERT_TRUE(fabs(correlation(base, att_rng_split(&base, 0), n)) < limit);
    CU_ASSERT_TRUE(fabs(correlation(att_rng_split(&base, 0), att_rng_split(&base, 1), n)) < limit);
    late.counter = 1;
    CU_ASSERT_TRUE(fabs(correlation(base, late, n)) < limit);
}

static void child_streams_do_not_repeat(void)
{
    att_rng base = att_rng_make(1, "items");
    uint64_t first[512];
    int equal = 0;

    for (uint64_t i = 0; i < 512; i++) {
        att_rng child = att_rng_split(&base, i);
        first[i] = att_rng_u64(&child);
        for (uint64_t j = 0; j < i; j++)
            equal += first[i] == first[j];
    }
    CU_ASSERT_EQUAL(equal, 0);
}

static void shuffles_reach_every_order_evenly(void)
{
    att_rng r = att_rng_make(15, "shuffle");
    double count[256] = {0}, chi = 0, n = 48000;

    for (int i = 0; i < (int)n; i++) {
        unsigned char order[4] = {0, 1, 2, 3};
        att_rng_shuffle(&r, order, 4, 1);
        count[order[0] + 4 * order[1] + 16 * order[2] + 64 * order[3]] += 1;
    }
    int orders = 0;
    for (int i = 0; i < 256; i++)
        if (count[i] > 0) {
            orders++;
            chi += (count[i] - n / 24) * (count[i] - n / 24) / (n / 24);
        }
    CU_ASSERT_EQUAL(orders, 24);
    CU_ASSERT_TRUE(chi < 55.5); /* 23 degrees of freedom, p = 1.6e-4 */
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"streams_never_change", streams_never_change},
        {"derived_draws_never_change", derived_draws_never_change},
        {"a_split_does_not_move_its_parent", a_split_does_not_move_its_parent},
        {"bytes_of_a_draw_are_uniform", bytes_of_a_draw_are_uniform},
        {"small_bounds_are_unbiased", small_bounds_are_unbiased},
        {"units_stay_below_one", units_stay_below_one},
        {"normals_have_normal_moments", normals_have_normal_moments},
        {"neighbouring_streams_are_uncorrelated", neighbouring_streams_are_uncorrelated},
        {"child_streams_do_not_repeat", child_streams_do_not_repeat},
        {"shuffles_reach_every_order_evenly", shuffles_reach_every_order_evenly},
        CU_TEST_INFO_NULL};

    return att_suite_run("rng", tests);
}
