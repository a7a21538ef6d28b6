/* SPDX-License-Identifier: Apache-2.0 */
/* Interleaved ratios: what is concluded from how many pairs. */
#include "base/tests/suite.h"
#include "gate/speed.h"
#include "made.h"

static const char *const base[] = {"old"}, *const head[] = {"new"};

/* A round of `cases` cases in which the head takes `ratio` times as long. */
static att_result round_of(int cases, double ratio)
{
    att_result r = made_result();

    for (int i = 0; i < cases; i++) {
        char params[16];
        snprintf(params, sizeof params, "d=%d", i);
        made_record(&r, "parity", "old", params, 1, ATT_PASS)->kernel_seconds = 1e-3;
        made_record(&r, "parity", "new", params, 1, ATT_PASS)->kernel_seconds = 1e-3 * ratio;
    }
    return r;
}

/* Rounds of one case at `ratio`, of which the first `disturbed` take 100 times as long. */
static att_gate_time *rounds_of(size_t rounds, double ratio, size_t disturbed, size_t *n)
{
    static att_result first;
    att_speed all = {0};

    att_result_clear(&first);
    first = round_of(1, ratio);
    for (size_t i = 0; i < rounds; i++) {
        att_result r = round_of(1, i < disturbed ? 100 * ratio : ratio);
        CU_ASSERT_TRUE(att_speed_add(&all, &r, base, head, 1));
        att_result_clear(&r);
    }
    att_gate_time *out = att_speed_conclude(&all, &first, n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    att_speed_drop(&all);
    return out;
}

static void too_few_pairs_say_nothing(void)
{
    size_t n = 7;

    free(rounds_of(10, 3, 0, &n)); /* 2^-10 > .0005 */
    CU_ASSERT_EQUAL(n, 0);
    att_gate_time *t = rounds_of(11, 3, 0, &n);
    CU_ASSERT_EQUAL_FATAL(n, 1);
    CU_ASSERT_DOUBLE_EQUAL(t->ratio, 3, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(t->lo, 3, 1e-12);
    CU_ASSERT_EQUAL(t->pairs, 11);
    free(t);
}

static void rounds_that_were_disturbed_move_nothing(void)
{
    size_t n = 0;
    att_gate_time *t = rounds_of(40, 1, 8, &n);

    CU_ASSERT_EQUAL_FATAL(n, 1);
    CU_ASSERT_EQUAL(t->ratio, 1);
    CU_ASSERT_EQUAL(t->lo, 1);
    CU_ASSERT_EQUAL(t->hi, 1);
    free(t);
}

static void cases_are_pairs_and_those_that_failed_are_none(void)
{
    att_result r = round_of(30, 2);
    att_speed all = {0};
    size_t n = 0;

    r.records[0].status = ATT_FAIL;
    r.records[3].kernel_seconds = 0;
    r.records[5].status = ATT_HOLE;
    CU_ASSERT_TRUE(att_speed_add(&all, &r, base, head, 1));
    att_gate_time *t = att_speed_conclude(&all, &r, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_EQUAL_FATAL(n, 1);
    CU_ASSERT_EQUAL(t->pairs, 27);
    CU_ASSERT_STRING_EQUAL(t->record->kernel, "new");
    free(t);
    att_speed_drop(&all);
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"too few pairs say nothing", too_few_pairs_say_nothing},
        {"rounds that were disturbed move nothing", rounds_that_were_disturbed_move_nothing},
        {"cases are pairs, and those that failed are none",
         cases_are_pairs_and_those_that_failed_are_none},
        CU_TEST_INFO_NULL};

    return att_suite_run("speed", tests);
}
