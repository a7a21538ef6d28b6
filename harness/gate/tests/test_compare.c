/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"
#include "base/tests/suite.h"
#include "gate/compare.h"
#include "made.h"

#define DENSE "flash_f32"

/* n characters, the first `misses` of each context of `a_context` '0', the rest '1'. */
static const char *pattern(char *text, int n, int a_context, int misses)
{
    for (int i = 0; i < n; i++)
        text[i] = i % a_context < misses ? '0' : '1';
    text[n] = '\0';
    return text;
}

static void put(att_result *result, const char *kernel, const char *params, uint64_t seed,
                const char *hits, int a_context)
{
    made_items(made_record(result, "lm.needle", kernel, params, seed, ATT_PASS), hits, a_context);
}

static void losses_in_every_context_are_worse(void)
{
    char text[128];
    att_result r = made_result();

    for (uint64_t seed = 1; seed <= 4; seed++) {
        put(&r, DENSE, "length=256", seed, pattern(text, 24, 4, 0), 4);
        put(&r, "window", "length=256", seed, pattern(text, 24, 4, 1), 4);
    }
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 1);
    const att_comparison *c = &r.comparisons[0];
    CU_ASSERT_STRING_EQUAL(c->kernel, "window");
    CU_ASSERT_EQUAL(c->n, 96);
    CU_ASSERT_EQUAL(c->losses, 24);
    CU_ASSERT_EQUAL(c->wins, 0);
    CU_ASSERT_DOUBLE_EQUAL(c->difference, -0.25, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(c->p, ldexp(1, -24), 1e-12);
    CU_ASSERT(c->lo < -0.25 && c->hi > -0.25 && c->hi < 0);
    CU_ASSERT_DOUBLE_EQUAL(c->score_difference, -0.5, 1e-12);
    CU_ASSERT_STRING_EQUAL(c->verdict, "worse");
    att_result_clear(&r);
}

static void gains_are_better_and_never_worse(void)
{
    char text[128];
    att_result r = made_result();

    for (uint64_t seed = 1; seed <= 4; seed++) {
        put(&r, DENSE, "", seed, pattern(text, 24, 4, 2), 4);
        put(&r, "other", "", seed, pattern(text, 24, 4, 1), 4);
    }
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "better");
    CU_ASSERT_DOUBLE_EQUAL(r.comparisons[0].p, 1.0, 1e-12);
    att_result_clear(&r);
}

static void losses_in_one_context_alone_are_not_called_worse(void)
{
    char text[128];
    att_result r = made_result();

    put(&r, DENSE, "", 1, pattern(text, 40, 40, 0), 40);
    put(&r, "window", "", 1, pattern(text, 40, 40, 30), 40);
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT(r.comparisons[0].p < 1e-6);
    CU_ASSERT_EQUAL(r.comparisons[0].hi, 1);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "cannot tell");
    att_result_clear(&r);
}

static void equal_items_are_the_same_only_where_a_loss_would_show(void)
{
    char text[128];
    att_result r = made_result();

    put(&r, DENSE, "", 1, pattern(text, 48, 4, 1), 4);
    put(&r, "twin", "", 1, pattern(text, 48, 4, 1), 4);
    made_items(made_record(&r, "lm.citation", DENSE, "", 1, ATT_PASS), "1111", 2);
    made_items(made_record(&r, "lm.citation", "twin", "", 1, ATT_PASS), "1111", 2);
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 2);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "same");
    CU_ASSERT(r.comparisons[0].lo < 0 && r.comparisons[0].hi > 0);
    /* Two tests at 0.001: 2^-11 <= 0.0005, so eleven losses of 48 would show. */
    CU_ASSERT_DOUBLE_EQUAL(r.comparisons[0].detectable, 11.0 / 48, 1e-12);
    CU_ASSERT(isnan(r.comparisons[1].detectable));
    CU_ASSERT_STRING_EQUAL(r.comparisons[1].verdict, "cannot tell");
    att_result_clear(&r);
}

static void only_items_of_equal_parameters_and_seed_are_paired(void)
{
    att_result r = made_result();

    put(&r, DENSE, "length=256", 1, "1111", 2);
    put(&r, "window", "length=512", 1, "0000", 2);
    put(&r, "window", "length=256", 2, "0000", 2);
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 1);
    CU_ASSERT_EQUAL(r.comparisons[0].n, 0);
    CU_ASSERT(isnan(r.comparisons[0].difference));
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "cannot tell");
    att_result_clear(&r);
}

static void cells_without_power_are_left_out_and_named(void)
{
    att_result r = made_result();

    put(&r, DENSE, "length=256", 1, "1111", 2);
    put(&r, "window", "length=256", 1, "1110", 2);
    put(&r, DENSE, "length=512", 1, "0100", 2);
    r.records[2].status = ATT_NO_POWER;
    put(&r, "window", "length=512", 1, "1011", 2);
    r.records[3].status = ATT_NO_POWER;
    made_items(made_record(&r, "lm.citation", DENSE, "", 1, ATT_NO_POWER), "0010", 2);
    made_items(made_record(&r, "lm.citation", "window", "", 1, ATT_NO_POWER), "0000", 2);
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 2);
    CU_ASSERT_EQUAL(r.comparisons[0].n, 4);
    CU_ASSERT_EQUAL(r.comparisons[0].losses, 1);
    CU_ASSERT_EQUAL(r.comparisons[0].wins, 0);
    CU_ASSERT_EQUAL(r.comparisons[1].n, 0);
    CU_ASSERT_STRING_EQUAL(r.comparisons[1].verdict, "no power");
    att_result_clear(&r);
}

static void crashed_and_unequal_cells_are_not_paired(void)
{
    att_result r = made_result();

    put(&r, DENSE, "length=256", 1, "1111", 2);
    put(&r, "window", "length=256", 1, "00", 2);
    r.records[1].status = ATT_CRASH;
    put(&r, DENSE, "length=512", 1, "1111", 2);
    put(&r, "window", "length=512", 1, "00", 2);
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 1);
    CU_ASSERT_EQUAL(r.comparisons[0].n, 0);
    att_result_clear(&r);
}

static void holm_counts_the_measures_of_each_kernel_apart(void)
{
    char text[128];
    att_result r = made_result();
    static const char *const tasks[] = {"lm.a", "lm.b", "lm.c"};

    for (int t = 0; t < 3; t++) {
        made_items(made_record(&r, tasks[t], DENSE, "", 1, ATT_PASS), pattern(text, 40, 4, 0), 4);
        made_items(made_record(&r, tasks[t], "one", "", 1, ATT_PASS), pattern(text, 40, 4, t), 4);
        if (t == 1)
            made_items(made_record(&r, tasks[t], "two", "", 1, ATT_PASS), pattern(text, 40, 4, 1),
                       4);
    }
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 4);
    double p_one = att_mcnemar_worse(10, 0);
    for (size_t i = 0; i < 4; i++) {
        const att_comparison *c = &r.comparisons[i];
        if (strcmp(c->kernel, "two") == 0)
            CU_ASSERT_DOUBLE_EQUAL(c->p_holm, p_one, 1e-15);
        if (strcmp(c->kernel, "one") == 0 && strcmp(c->measure, "lm.b") == 0)
            CU_ASSERT_DOUBLE_EQUAL(c->p_holm, 2 * p_one, 1e-15);
    }
    att_result_clear(&r);
}

static void a_declared_margin_makes_small_differences_the_same(void)
{
    char text[1024];
    att_result r = made_result();

    put(&r, DENSE, "", 1, pattern(text, 800, 4, 0), 4);
    put(&r, "near", "", 1, pattern(text, 800, 400, 2), 4);
    r.records[1].margin = 0.05;
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL(r.comparisons[0].losses, 4);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "same");
    r.records[1].margin = 0.001;
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 1);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "cannot tell");
    att_result_clear(&r);
}

static void a_result_without_probes_has_no_comparisons(void)
{
    att_result r = made_result();

    made_record(&r, "parity", DENSE, "sq=4", 1, ATT_PASS);
    made_record(&r, "parity", "window", "sq=4", 1, ATT_PASS);
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL(r.n_comparisons, 0);
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"losses_in_every_context_are_worse", losses_in_every_context_are_worse},
        {"gains_are_better_and_never_worse", gains_are_better_and_never_worse},
        {"losses_in_one_context_alone_are_not_called_worse",
         losses_in_one_context_alone_are_not_called_worse},
        {"equal_items_are_the_same_only_where_a_loss_would_show",
         equal_items_are_the_same_only_where_a_loss_would_show},
        {"only_items_of_equal_parameters_and_seed_are_paired",
         only_items_of_equal_parameters_and_seed_are_paired},
        {"cells_without_power_are_left_out_and_named", cells_without_power_are_left_out_and_named},
        {"crashed_and_unequal_cells_are_not_paired", crashed_and_unequal_cells_are_not_paired},
        {"holm_counts_the_measures_of_each_kernel_apart",
         holm_counts_the_measures_of_each_kernel_apart},
        {"a_declared_margin_makes_small_differences_the_same",
         a_declared_margin_makes_small_differences_the_same},
        {"a_result_without_probes_has_no_comparisons", a_result_without_probes_has_no_comparisons},
        CU_TEST_INFO_NULL};

    return att_suite_run("compare", tests);
}
