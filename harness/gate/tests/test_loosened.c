/* SPDX-License-Identifier: Apache-2.0 */
/* Precision that loosened between two runs. */
#include "base/tests/suite.h"
#include "gate/loosened.h"
#include "made.h"

static void add(att_result *r, const char *kernel, uint64_t seed, double declared, double used)
{
    att_record *c = made_record(r, "precision", kernel, "dtype=f32", seed, ATT_PASS);

    made_metric(c, "acc_declared", "bits", declared, NAN)->better = ATT_HIGHER;
    made_metric(c, "acc_used", "bits", used, NAN)->better = ATT_HIGHER;
    made_metric(c, "slack", "bits", 1, NAN);
    made_metric(c, "elements", "count", 5, NAN)->better = ATT_NEITHER;
}

static void only_what_fell_is_found_with_both_values(void)
{
    att_result before = made_result(), after = made_result();
    att_loosened *found = NULL;
    size_t n = 0;

    add(&before, "steady", 1, 24, 24);
    add(&before, "declares_less", 1, 24, 24);
    add(&before, "uses_less", 1, 24, 24);
    add(&before, "better_now", 1, 8, 11);
    add(&before, "gone", 1, 24, 24);
    add(&after, "steady", 2, 24, 24); /* another seed is the same case */
    add(&after, "declares_less", 1, 8, 24);
    add(&after, "uses_less", 1, 24, 11);
    add(&after, "better_now", 1, 24, 24);
    add(&after, "new", 1, 8, 8);
    CU_ASSERT_EQUAL_FATAL(att_loosened_find(&before, &after, &found, &n), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT_STRING_EQUAL(found[0].id, "precision declares_less dtype=f32");
    CU_ASSERT_STRING_EQUAL(found[0].metric, "acc_declared");
    CU_ASSERT_EQUAL(found[0].before, 24);
    CU_ASSERT_EQUAL(found[0].after, 8);
    CU_ASSERT_STRING_EQUAL(found[1].id, "precision uses_less dtype=f32");
    CU_ASSERT_STRING_EQUAL(found[1].metric, "acc_used");
    CU_ASSERT_EQUAL(found[1].after, 11);
    free(found);
    att_result_clear(&before);
    att_result_clear(&after);
}

static void a_value_that_is_no_number_counts_as_fallen(void)
{
    att_result before = made_result(), after = made_result();
    att_loosened *found = NULL;
    size_t n = 0;

    add(&before, "k", 1, 24, 24);
    add(&after, "k", 1, 24, NAN);
    CU_ASSERT_EQUAL_FATAL(att_loosened_find(&before, &after, &found, &n), ATT_OK);
    CU_ASSERT_EQUAL(n, 1);
    free(found);
    att_result_clear(&before);
    att_result_clear(&after);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"only what fell is found, with both values", only_what_fell_is_found_with_both_values},
        {"a value that is no number counts as fallen", a_value_that_is_no_number_counts_as_fallen},
        CU_TEST_INFO_NULL};

    return att_suite_run("loosened", tests);
}
