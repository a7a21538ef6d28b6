/* SPDX-License-Identifier: Apache-2.0 */
/* Power and sample sizes against sums by hand and against draws. */
#include "base/power.h"

#include <math.h>

#include "base/rng.h"
#include "base/stats.h"
#include "base/tests/suite.h"

#define NEAR(got, want, error) CU_ASSERT_TRUE(fabs((got) - (want)) <= (error))

/* Losses alone: found where at least ten of n are lost, 2^-10 being the first within 0.001. */
static void without_wins_the_power_is_a_binomial_tail(void)
{
    NEAR(att_mcnemar_power(600, 0.02, 0, 0.001), att_binomial_tail(10, 600, 0.02), 1e-12);
    NEAR(att_mcnemar_power(9, 1, 0, 0.001), 0, 0);
    NEAR(att_mcnemar_power(10, 1, 0, 0.001), 1, 1e-12);
    CU_ASSERT_EQUAL(att_mcnemar_power(100, 0, 0, 0.05), 0.0);
}

/* At level 1/16 the critical losses are 4 of 4, 5 of 5, 6 of 6: three terms of the trinomial. */
static void a_sample_of_six_agrees_with_enumeration(void)
{
    const double l = 0.5, w = 0.1, none = 0.4;
    double want = 15 * pow(l, 4) * pow(none, 2) + 6 * pow(l, 5) * none + pow(l, 6);

    NEAR(att_mcnemar_power(6, l, w, 1.0 / 16), want, 1e-12);
}

static void the_printed_number_of_items_has_the_power_and_one_fewer_has_not(void)
{
    const int64_t n = att_mcnemar_items(0.02, 0, 0.001, 0.8);

    CU_ASSERT_TRUE(n > 500 && n < 700);
    CU_ASSERT_TRUE(att_mcnemar_power(n, 0.02, 0, 0.001) >= 0.8);
    CU_ASSERT_TRUE(att_mcnemar_power(n - 1, 0.02, 0, 0.001) < 0.8);
    NEAR(att_mcnemar_detectable(n, 0, 0.001, 0.8), 0.02, 1e-4);
    CU_ASSERT_EQUAL(att_mcnemar_items(0.02, 0.02, 0.001, 0.8), -1);
    CU_ASSERT_TRUE(isnan(att_mcnemar_detectable(9, 0, 0.001, 0.8)));
}

static void wins_beside_the_losses_ask_for_more_items(void)
{
    const int64_t n = att_mcnemar_items(0.05, 0.03, 0.001, 0.8);
    att_rng rng = att_rng_make(7, "power");
    int found = 0;

    CU_ASSERT_TRUE(n > 2 * att_mcnemar_items(0.02, 0, 0.001, 0.8));
    for (int t = 0; t < 2000; t++) {
        int64_t losses = 0, wins = 0;
        for (int64_t i = 0; i < n; i++) {
            double u = att_rng_unit(&rng);
            losses += u < 0.05;
            wins += u >= 0.05 && u < 0.08;
        }
        found += att_mcnemar_worse(losses, wins) <= 0.001;
    }
    NEAR(found / 2000.0, 0.8, 0.04);
}

/* Without a discordant pair the interval reaches z sqrt(2) / (n + 2) down: 137 items for 0.02. */
static void a_margin_needs_items_though_nothing_differs(void)
{
    CU_ASSERT_EQUAL(att_margin_items(0.02, 0, 0, 1, 0.95, 0.8), 137);
    CU_ASSERT_EQUAL(att_margin_items(0.02, 0.03, 0.0, 1, 0.95, 0.8), -1);
}

/* (1.96 + 0.8416)^2 0.1 / 0.05^2 = 313.96; three times as many where contexts stand for three. */
static void a_margin_needs_more_items_the_more_differ_and_the_more_share_a_context(void)
{
    CU_ASSERT_EQUAL(att_margin_items(0.05, 0.05, 0.05, 1, 0.95, 0.8), 314);
    CU_ASSERT_EQUAL(att_margin_items(0.05, 0.05, 0.05, 3, 0.95, 0.8), 942);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"without wins the power is a binomial tail", without_wins_the_power_is_a_binomial_tail},
        {"a sample of six agrees with enumeration", a_sample_of_six_agrees_with_enumeration},
        {"the printed number of items has the power, and one fewer has not",
         the_printed_number_of_items_has_the_power_and_one_fewer_has_not},
        {"wins beside the losses ask for more items", wins_beside_the_losses_ask_for_more_items},
        {"a margin needs items though nothing differs",
         a_margin_needs_items_though_nothing_differs},
        {"a margin needs more items the more differ, and the more share a context",
         a_margin_needs_more_items_the_more_differ_and_the_more_share_a_context},
        CU_TEST_INFO_NULL};

    return att_suite_run("power", tests);
}
