/* SPDX-License-Identifier: Apache-2.0 */
#include "base/power.h"
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
    CU_ASSERT_EQUAL(r.comparisons[0].p_context, 0.5);
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
    /* Two tests at 0.001: 2^-11 <= 0.0005, so eleven of the twelve contexts must lose, each with
     * the probability that one of its four items is lost. */
    double context = 1 - pow(1 - r.comparisons[0].detectable, 4);
    CU_ASSERT_DOUBLE_EQUAL(att_binomial_tail(11, 12, context), 0.8, 1e-4);
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
            CU_ASSERT_DOUBLE_EQUAL(c->p_holm, 3 * p_one, 1e-15);
        if (strcmp(c->measure, "lm.c") == 0) { /* two items of each of ten contexts: ten losses */
            CU_ASSERT_EQUAL(c->p, att_mcnemar_worse(20, 0));
            CU_ASSERT_DOUBLE_EQUAL(c->p_context, p_one, 1e-15);
        }
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
    CU_ASSERT_EQUAL(r.comparisons[0].inferior, 0);
    r.records[1].margin = 0.001;
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(r.n_comparisons, 1);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "cannot tell");
    CU_ASSERT_EQUAL(r.comparisons[0].inferior, -1);
    CU_ASSERT_EQUAL(r.comparisons[0].needed, -1); /* the loss seen lies below the margin */
    att_result_clear(&r);
}

static void too_few_items_for_a_margin_say_how_many_it_needs(void)
{
    char text[64];
    att_result r = made_result();
    const att_compare_how how = {.base = DENSE, .margin = 0.02};

    put(&r, DENSE, "", 1, pattern(text, 24, 1, 0), 1);
    put(&r, "twin", "", 1, pattern(text, 24, 1, 0), 1);
    CU_ASSERT_EQUAL_FATAL(att_compare_with(&r, &how, NULL), ATT_OK);
    CU_ASSERT_EQUAL(r.comparisons[0].margin, 0.02);
    CU_ASSERT_EQUAL(r.comparisons[0].inferior, -1);
    CU_ASSERT_EQUAL(r.comparisons[0].needed, 137);
    att_result_clear(&r);
}

static void a_loss_that_is_no_verdict_says_how_many_seeds_would_find_it(void)
{
    char text[64];
    att_result r = made_result();

    for (uint64_t seed = 1; seed <= 3; seed++) { /* a third of the contexts lost: 2 of 6 a seed */
        put(&r, DENSE, "", seed, pattern(text, 6, 1, 0), 1);
        put(&r, "window", "", seed, pattern(text, 6, 3, 1), 1);
    }
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    const att_comparison *c = &r.comparisons[0];
    const int64_t items = att_mcnemar_items((double)c->losses / 18, 0, 0.001, 0.8);
    CU_ASSERT_TRUE(c->losses > 0);
    CU_ASSERT_STRING_EQUAL(c->verdict, "cannot tell");
    CU_ASSERT_EQUAL(c->seeds_needed, (items + 5) / 6);
    CU_ASSERT_TRUE(c->seeds_needed > 3);
    for (uint64_t seed = 4; seed <= (uint64_t)c->seeds_needed + 2; seed++) {
        put(&r, DENSE, "", seed, pattern(text, 6, 1, 0), 1);
        put(&r, "window", "", seed, pattern(text, 6, 3, 1), 1);
    }
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_STRING_EQUAL(r.comparisons[0].verdict, "worse");
    CU_ASSERT_EQUAL(r.comparisons[0].seeds_needed, 0);
    att_result_clear(&r);
}

static void losses_beyond_a_margin_are_inferior(void)
{
    char text[256];
    att_result r = made_result();
    const att_compare_how how = {.base = DENSE, .margin = 0.02};

    put(&r, DENSE, "", 1, pattern(text, 200, 4, 0), 4);
    put(&r, "window", "", 1, pattern(text, 200, 4, 1), 4);
    CU_ASSERT_EQUAL_FATAL(att_compare_with(&r, &how, NULL), ATT_OK);
    CU_ASSERT_EQUAL(r.comparisons[0].inferior, 1);
    att_result_clear(&r);
}

static void a_kernel_is_compared_with_itself_in_an_older_result(void)
{
    char text[128];
    att_result before = made_result(), after = made_result();
    const att_compare_how how = {.before = &before};

    put(&before, DENSE, "len=8", 1, pattern(text, 40, 2, 0), 2);
    put(&before, "window", "len=8", 1, pattern(text, 40, 2, 0), 2);
    put(&after, DENSE, "len=8", 1, pattern(text, 40, 2, 0), 2);
    put(&after, "window", "len=8", 1, pattern(text, 40, 2, 1), 2);
    put(&after, "new", "len=8", 1, pattern(text, 40, 2, 1), 2);
    CU_ASSERT_EQUAL_FATAL(att_compare_with(&after, &how, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(after.n_comparisons, 3);
    CU_ASSERT_STRING_EQUAL(after.comparisons[0].verdict, "same");
    CU_ASSERT_STRING_EQUAL(after.comparisons[1].verdict, "worse");
    CU_ASSERT_EQUAL(after.comparisons[1].losses, 20);
    CU_ASSERT_EQUAL(after.comparisons[2].n, 0);
    before.records[1].items[3].at = 0.123; /* another item in its place: nothing is paired */
    CU_ASSERT_EQUAL_FATAL(att_compare_with(&after, &how, NULL), ATT_OK);
    CU_ASSERT_EQUAL(after.comparisons[1].n, 0);
    att_result_clear(&before);
    att_result_clear(&after);
}

static void one_length_is_paired_alone(void)
{
    char text[128];
    att_result r = made_result();
    const att_compare_how how = {.base = DENSE};
    att_compare_cell cell = {0};

    for (int len = 256; len <= 512; len *= 2) {
        char params[32];
        snprintf(params, sizeof params, "len=%d", len);
        put(&r, DENSE, params, 1, pattern(text, 24, 4, 0), 4);
        put(&r, "window", params, 1, pattern(text, 24, 4, len == 512), 4);
    }
    CU_ASSERT_EQUAL_FATAL(att_compare_at(&r, &how, "lm.needle", "window", 512, &cell), ATT_OK);
    CU_ASSERT_EQUAL(cell.paired.n, 24);
    CU_ASSERT_EQUAL(cell.paired.losses, 6);
    CU_ASSERT_EQUAL(cell.base_hits, 24);
    CU_ASSERT_EQUAL(cell.own_hits, 18);
    att_paired_drop(&cell.paired);
    att_result_clear(&r);
}

static void scores_have_a_test_of_their_own(void)
{
    char text[128];
    att_result r = made_result();

    put(&r, DENSE, "", 1, pattern(text, 40, 4, 0), 4);
    put(&r, "window", "", 1, pattern(text, 40, 4, 0), 4);
    for (size_t i = 0; i < 40; i++)
        r.records[1].items[i].score -= 0.1;
    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, DENSE, NULL), ATT_OK);
    CU_ASSERT_EQUAL(r.comparisons[0].p, 1.0);
    CU_ASSERT_DOUBLE_EQUAL(r.comparisons[0].score_difference, -0.1, 1e-12);
    CU_ASSERT_EQUAL(r.comparisons[0].score_p, 0x1p-10); /* ten contexts, all lower */
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
        {"too_few_items_for_a_margin_say_how_many_it_needs",
         too_few_items_for_a_margin_say_how_many_it_needs},
        {"a_loss_that_is_no_verdict_says_how_many_seeds_would_find_it",
         a_loss_that_is_no_verdict_says_how_many_seeds_would_find_it},
        {"losses_beyond_a_margin_are_inferior", losses_beyond_a_margin_are_inferior},
        {"a_kernel_is_compared_with_itself_in_an_older_result",
         a_kernel_is_compared_with_itself_in_an_older_result},
        {"one_length_is_paired_alone", one_length_is_paired_alone},
        {"scores_have_a_test_of_their_own", scores_have_a_test_of_their_own},
        {"a_result_without_probes_has_no_comparisons", a_result_without_probes_has_no_comparisons},
        CU_TEST_INFO_NULL};

    return att_suite_run("compare", tests);
}
