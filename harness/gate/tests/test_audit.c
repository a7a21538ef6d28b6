/* SPDX-License-Identifier: Apache-2.0 */
/* Which made-up tasks tell a kernel from a crippled one. */
#include "base/tests/suite.h"
#include "gate/audit.h"
#include "made.h"

static void add(att_result *r, const char *measure, const char *kernel, uint64_t seed, int hits,
                double chance)
{
    char text[65];
    const bool control = strcmp(kernel, "flash_f32") != 0 && strcmp(kernel, "window") != 0;

    for (int i = 0; i < 64; i++)
        text[i] = i < hits ? '1' : '0';
    text[64] = '\0';
    att_record *c = made_record(r, measure, kernel, "len=256", seed, ATT_PASS);
    made_items(c, text, 1);
    c->chance = chance;
    c->family = strdup(control ? "control" : "sparse");
}

static void a_control_far_below_dense_is_punished_and_one_near_it_is_not(void)
{
    att_result r = made_result();
    att_audit audit;

    for (uint64_t seed = 1; seed <= 2; seed++) {
        add(&r, "probe.a", "flash_f32", seed, 64, 0.25);
        add(&r, "probe.a", "uniform", seed, 16, 0.25);
        add(&r, "probe.a", "window", seed, 0, 0.25);
        add(&r, "probe.a", "first_k{k=64}", seed, 60, 0.25);
    }
    CU_ASSERT_EQUAL_FATAL(att_audit_make(&r, 0.1, &audit, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(audit.n, 1);
    CU_ASSERT_TRUE(audit.cells[0].power);
    CU_ASSERT_EQUAL(audit.cells[0].dense.n, 128);
    CU_ASSERT_EQUAL_FATAL(audit.cells[0].n_controls, 2);
    CU_ASSERT_STRING_EQUAL(audit.cells[0].controls[0].kernel, "uniform");
    CU_ASSERT_TRUE(audit.cells[0].controls[0].punished);
    CU_ASSERT_STRING_EQUAL(audit.cells[0].controls[1].kernel, "first_k{k=64}");
    CU_ASSERT_FALSE(audit.cells[0].controls[1].punished);
    CU_ASSERT_EQUAL(att_audit_sight(&audit, "probe.a"), ATT_SIGHT_SEES);
    CU_ASSERT_EQUAL(att_audit_sight(&audit, "probe.b"), ATT_SIGHT_UNKNOWN);
    att_audit_drop(&audit);
    att_result_clear(&r);
}

static void a_task_that_punishes_none_is_blind_and_a_guess_does_not_help(void)
{
    att_result r = made_result();
    att_audit audit;

    add(&r, "probe.a", "flash_f32", 1, 64, 0);
    add(&r, "probe.a", "uniform", 1, 63, 0);
    add(&r, "probe.a", "guess", 1, 0, 0);
    CU_ASSERT_EQUAL_FATAL(att_audit_make(&r, 0.1, &audit, NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_audit_sight(&audit, "probe.a"), ATT_SIGHT_BLIND);
    CU_ASSERT_EQUAL(audit.cells[0].n_controls, 1);
    CU_ASSERT_TRUE(audit.cells[0].chance_holds);
    att_audit_drop(&audit);
    att_result_clear(&r);
}

static void where_dense_guesses_there_is_no_power(void)
{
    att_result r = made_result();
    att_audit audit;

    add(&r, "probe.a", "flash_f32", 1, 20, 0.25);
    add(&r, "probe.a", "uniform", 1, 0, 0.25);
    CU_ASSERT_EQUAL_FATAL(att_audit_make(&r, 0.1, &audit, NULL), ATT_OK);
    CU_ASSERT_FALSE(audit.cells[0].power);
    CU_ASSERT_EQUAL(att_audit_sight(&audit, "probe.a"), ATT_SIGHT_NO_POWER);
    att_audit_drop(&audit);
    att_result_clear(&r);
}

static void a_chance_level_that_guessing_misses_is_seen_on_either_side(void)
{
    static const struct {
        int hits;
        double chance;
        bool holds;
    } tries[] = {{16, 0.25, true}, {22, 0.25, true},      {34, 0.25, false},
                 {3, 0.25, false}, {0, 1.0 / 4096, true}, {4, 1.0 / 4096, false}};

    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        att_result r = made_result();
        att_audit audit;
        add(&r, "probe.a", "flash_f32", 1, 64, tries[i].chance);
        add(&r, "probe.a", "guess", 1, tries[i].hits, tries[i].chance);
        CU_ASSERT_EQUAL_FATAL(att_audit_make(&r, 0.1, &audit, NULL), ATT_OK);
        CU_ASSERT_EQUAL(audit.cells[0].chance_holds, tries[i].holds);
        att_audit_drop(&audit);
        att_result_clear(&r);
    }
}

static void a_constant_answer_may_reach_the_chance_that_a_random_one_does_not(void)
{
    att_result r = made_result();
    att_audit audit;

    add(&r, "probe.a", "flash_f32", 1, 64, 0.5);
    add(&r, "probe.a", "guess", 1, 0, 0.5);
    add(&r, "probe.a", "sink_only", 1, 32, 0.5);
    CU_ASSERT_EQUAL_FATAL(att_audit_make(&r, 0.1, &audit, NULL), ATT_OK);
    CU_ASSERT_TRUE(audit.cells[0].chance_holds);
    att_audit_drop(&audit);
    att_result_clear(&r);
}

static void what_was_not_measured_says_nothing(void)
{
    att_result r = made_result();
    att_audit audit;

    add(&r, "probe.a", "flash_f32", 1, 64, 0);
    add(&r, "probe.a", "uniform", 1, 0, 0);
    r.records[1].status = ATT_CRASH;
    add(&r, "probe.b", "uniform", 1, 0, 0); /* no dense beside it */
    CU_ASSERT_EQUAL_FATAL(att_audit_make(&r, 0.1, &audit, NULL), ATT_OK);
    CU_ASSERT_EQUAL(audit.n, 1);
    CU_ASSERT_EQUAL(att_audit_sight(&audit, "probe.a"), ATT_SIGHT_UNKNOWN);
    CU_ASSERT_EQUAL(att_audit_sight(&audit, "probe.b"), ATT_SIGHT_UNKNOWN);
    att_audit_drop(&audit);
    att_result_clear(&r);
}

#define TEST(x)                                                                                    \
    {                                                                                              \
#x, x                                                                                      \
    }

int main(void)
{
    static const CU_TestInfo tests[] = {
        TEST(a_control_far_below_dense_is_punished_and_one_near_it_is_not),
        TEST(a_task_that_punishes_none_is_blind_and_a_guess_does_not_help),
        TEST(where_dense_guesses_there_is_no_power),
        TEST(a_chance_level_that_guessing_misses_is_seen_on_either_side),
        TEST(a_constant_answer_may_reach_the_chance_that_a_random_one_does_not),
        TEST(what_was_not_measured_says_nothing),
        CU_TEST_INFO_NULL,
    };

    return att_suite_run("audit", tests);
}
