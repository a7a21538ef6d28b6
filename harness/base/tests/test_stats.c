/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics against published values. */
#include "base/stats.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/tests/suite.h"

#define NEAR(got, want, error) CU_ASSERT_TRUE(fabs((got) - (want)) <= (error))

/* Darwin's self- and cross-fertilised Zea mays, differences in eighths of an inch (Fisher 1935). */
static const double maize[15] = {49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48};

static void normal_quantiles_agree_with_the_tables(void)
{
    NEAR(att_normal_quantile(0.975), 1.959963984540054, 1e-14);
    NEAR(att_normal_quantile(0.001), -3.090232306167813, 1e-13);
    NEAR(att_normal_quantile(1e-10), -6.361340902404056, 1e-12);
    NEAR(att_normal_quantile(0.5), 0.0, 1e-16);
    CU_ASSERT_TRUE(isnan(att_normal_quantile(1.5)));
}

/* Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3. */
static void wilson_agrees_with_newcombe(void)
{
    static const struct {
        double hits, n, lo, hi;
    } rows[] = {
        {81, 263, .2553, .3662}, {15, 148, .0624, .1605}, {0, 20, 0, .1611}, {1, 29, .0061, .1718}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        att_interval got = att_wilson(rows[i].hits, rows[i].n, 0.95);
        NEAR(got.lo, rows[i].lo, 5e-5);
        NEAR(got.hi, rows[i].hi, 5e-5);
    }
}

static void wilson_knows_nothing_without_items_and_keeps_the_ends(void)
{
    att_interval none = att_wilson(0, 0, 0.95), all = att_wilson(7, 7, 0.95);
    CU_ASSERT_EQUAL(none.lo, 0.0);
    CU_ASSERT_EQUAL(none.hi, 1.0);
    CU_ASSERT_EQUAL(all.hi, 1.0);
    CU_ASSERT_EQUAL(att_wilson(0, 7, 0.95).lo, 0.0);
}

static void mcnemar_is_the_binomial_tail(void)
{
    CU_ASSERT_EQUAL(att_mcnemar_worse(0, 0), 1.0);
    CU_ASSERT_EQUAL(att_mcnemar_worse(0, 9), 1.0);
    NEAR(att_mcnemar_worse(12, 0), 0x1p-12, 1e-18);
    NEAR(att_mcnemar_worse(8, 2), 56.0 / 1024, 1e-14);  /* sign test, 8 of 10 */
    NEAR(att_mcnemar_worse(9, 3), 299.0 / 4096, 1e-14); /* 9 of 12 */
    NEAR(att_mcnemar_worse(2, 8), 1013.0 / 1024, 1e-14);
    NEAR(att_mcnemar_worse(5, 5), 638.0 / 1024, 1e-14);
}

static void mcnemar_survives_thousands_of_items(void)
{
    NEAR(att_mcnemar_worse(3000, 3000) + att_mcnemar_worse(3001, 2999), 1.0, 1e-9);
    CU_ASSERT_TRUE(att_mcnemar_worse(3000, 1000) < 1e-200);
    CU_ASSERT_EQUAL(att_mcnemar_worse(1000, 3000), 1.0);
}

static void contexts_of_one_difference_give_mcnemar(void)
{
    const double x[] = {-1, -1, 0, -1, -1, 1, -1, -1, -1, 0, -1, 1};

    CU_ASSERT_EQUAL(att_mcnemar_contexts(x, 12), att_mcnemar_worse(8, 2));
    CU_ASSERT_EQUAL(att_mcnemar_contexts(NULL, 0), 1.0);
}

/* Fisher's maize again: the exact distribution by counting, where the other flips every sign. */
static void contexts_that_change_sides_as_a_whole_give_fishers_863_of_32768(void)
{
    double negated[15];

    for (size_t i = 0; i < 15; i++)
        negated[i] = -maize[i];
    CU_ASSERT_EQUAL(att_mcnemar_contexts(negated, 15), 863.0 / 32768);
}

static void a_context_that_loses_ten_items_loses_once(void)
{
    const double one[] = {-10}, three[] = {-10, -10, -10}, odd[] = {-1, 0.5};

    CU_ASSERT_EQUAL(att_mcnemar_contexts(one, 1), 0.5);
    CU_ASSERT_EQUAL(att_mcnemar_contexts(three, 3), 0.125);
    CU_ASSERT_TRUE(isnan(att_mcnemar_contexts(odd, 2)));
}

static void binomial_tails_are_sums_of_terms(void)
{
    NEAR(att_binomial_tail(8, 10, 0.5), 56.0 / 1024, 1e-14);
    NEAR(att_binomial_tail(1, 3, 0.2), 1 - 0.512, 1e-14);
    CU_ASSERT_EQUAL(att_binomial_tail(0, 3, 0.2), 1.0);
    CU_ASSERT_EQUAL(att_binomial_tail(4, 3, 0.2), 0.0);
}

static void signflip_gives_fishers_863_of_32768(void)
{
    double negated[15];

    for (size_t i = 0; i < 15; i++)
        negated[i] = -maize[i];
    CU_ASSERT_EQUAL(att_signflip_less(negated, 15, 1, 0), 863.0 / 32768);
}

static void random_flips_agree_with_all_flips(void)
{
    double negated[17] = {0};

    for (size_t i = 0; i < 15; i++)
        negated[i] = -maize[i];
    /* two zeros change no sum, but push n past the exact limit */
    NEAR(att_signflip_less(negated, 17, 1, 40000), 863.0 / 32768, 4e-3);
    CU_ASSERT_EQUAL(att_signflip_less(negated, 17, 1, 500), att_signflip_less(negated, 17, 1, 500));
}

static void signflip_does_not_lose_a_nan(void)
{
    const double x[] = {-1.0, NAN};
    CU_ASSERT_TRUE(isnan(att_signflip_less(x, 2, 1, 10)));
}

static void mean_interval_is_students(void)
{
    att_interval got = att_mean_interval(maize, 15, 0.95);
    NEAR(got.lo / 8, 0.003899165, 1e-8); /* R: t.test(darwin$differences) */
    NEAR(got.hi / 8, 5.229434169, 1e-8);
    const double two[] = {0.0, 2.0};
    NEAR(att_mean_interval(two, 2, 0.95).hi, 1.0 + 12.706204736174698, 1e-9);
    CU_ASSERT_TRUE(isinf(att_mean_interval(two, 1, 0.95).hi));
}

static void holm_agrees_with_the_worked_example(void)
{
    const double p[] = {0.01, 0.04, 0.03, 0.005}, want[] = {0.03, 0.06, 0.06, 0.02};
    double got[4];

    att_holm(p, 4, got);
    for (size_t i = 0; i < 4; i++)
        NEAR(got[i], want[i], 1e-15);
}

static void holm_keeps_ties_equal_and_nan_visible(void)
{
    const double p[] = {0.02, NAN, 0.02, 0.9};
    double got[4];

    att_holm(p, 4, got);
    CU_ASSERT_EQUAL(got[0], 0.08);
    CU_ASSERT_EQUAL(got[2], 0.08);
    CU_ASSERT_EQUAL(got[3], 1.0);
    CU_ASSERT_TRUE(isnan(got[1]));
}

static void design_effect_spans_from_one_to_the_cluster_size(void)
{
    const uint8_t same[] = {1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0};
    const uint8_t mixed[] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
    const int32_t four[] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
    const int32_t own[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

    NEAR(att_design_effect(same, four, 12), 3.0, 1e-12);
    CU_ASSERT_EQUAL(att_design_effect(mixed, four, 12), 1.0);
    CU_ASSERT_EQUAL(att_design_effect(same, own, 12), 1.0);
}

/* By hand: clusters {1,1,0} {1,0,0} {1,1,1} {0,0,0}: MSB = 5/9, MSW = 1/6, m = 3,
 * rho = (5/9 - 1/6) / (5/9 + 2/6) = 7/16, effect = 1 + 2 * 7/16. */
static void design_effect_agrees_with_the_analysis_of_variance(void)
{
    const uint8_t hit[] = {1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0};
    const int32_t cluster[] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
    const uint8_t shuffled[] = {0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0};
    const int32_t order[] = {3, 2, 0, 1, 3, 2, 0, 1, 2, 0, 1, 3};

    NEAR(att_design_effect(hit, cluster, 12), 1.875, 1e-12);
    NEAR(att_design_effect(shuffled, order, 12), 1.875, 1e-12);
}

static void one_context_counts_as_one_item(void)
{
    const uint8_t hit[] = {1, 1, 0, 1};
    const int32_t cluster[] = {5, 5, 5, 5};
    CU_ASSERT_EQUAL(att_design_effect(hit, cluster, 4), 4.0);
}

static void quantiles_interpolate_and_show_nan(void)
{
    double x[] = {4, 1, 3, 2}, with_nan[] = {NAN, 1, 2};

    NEAR(att_quantile(x, 4, 0.25), 1.75, 1e-15);
    CU_ASSERT_EQUAL(att_quantile(x, 4, 1.0), 4.0);
    CU_ASSERT_TRUE(isnan(att_quantile(with_nan, 3, 1.0)));
    CU_ASSERT_EQUAL(att_quantile(with_nan, 3, 0.5), 2.0);
}

/* Ten discordant pairs can reach .001, nine cannot; 2^-11 can reach .001 / 2, 2^-10 cannot. */
static void tests_that_cannot_reach_the_level_do_not_count(void)
{
    static const double none[] = {1, 1, 1, 1}, one[] = {1, 0x1p-9, 0x1p-10, 1};
    static const double two[] = {0x1p-11, 0x1p-11, 0x1p-10, 1}, all[] = {0, 0, 0, 0};

    CU_ASSERT_EQUAL(att_tarone(none, 4, 0.001), 1);
    CU_ASSERT_EQUAL(att_tarone(one, 4, 0.001), 1);
    CU_ASSERT_EQUAL(att_tarone(two, 4, 0.001), 2);
    CU_ASSERT_EQUAL(att_tarone(all, 4, 0.001), 4);
    CU_ASSERT_EQUAL(att_tarone(NULL, 0, 0.001), 1);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"normal_quantiles_agree_with_the_tables", normal_quantiles_agree_with_the_tables},
        {"wilson_agrees_with_newcombe", wilson_agrees_with_newcombe},
        {"wilson_knows_nothing_without_items_and_keeps_the_ends",
         wilson_knows_nothing_without_items_and_keeps_the_ends},
        {"mcnemar_is_the_binomial_tail", mcnemar_is_the_binomial_tail},
        {"mcnemar_survives_thousands_of_items", mcnemar_survives_thousands_of_items},
        {"contexts_of_one_difference_give_mcnemar", contexts_of_one_difference_give_mcnemar},
        {"contexts_that_change_sides_as_a_whole_give_fishers_863_of_32768",
         contexts_that_change_sides_as_a_whole_give_fishers_863_of_32768},
        {"a_context_that_loses_ten_items_loses_once", a_context_that_loses_ten_items_loses_once},
        {"binomial_tails_are_sums_of_terms", binomial_tails_are_sums_of_terms},
        {"signflip_gives_fishers_863_of_32768", signflip_gives_fishers_863_of_32768},
        {"random_flips_agree_with_all_flips", random_flips_agree_with_all_flips},
        {"signflip_does_not_lose_a_nan", signflip_does_not_lose_a_nan},
        {"mean_interval_is_students", mean_interval_is_students},
        {"holm_agrees_with_the_worked_example", holm_agrees_with_the_worked_example},
        {"holm_keeps_ties_equal_and_nan_visible", holm_keeps_ties_equal_and_nan_visible},
        {"design_effect_spans_from_one_to_the_cluster_size",
         design_effect_spans_from_one_to_the_cluster_size},
        {"design_effect_agrees_with_the_analysis_of_variance",
         design_effect_agrees_with_the_analysis_of_variance},
        {"one_context_counts_as_one_item", one_context_counts_as_one_item},
        {"quantiles_interpolate_and_show_nan", quantiles_interpolate_and_show_nan},
        {"tests that cannot reach the level do not count",
         tests_that_cannot_reach_the_level_do_not_count},
        CU_TEST_INFO_NULL};

    return att_suite_run("stats", tests);
}
