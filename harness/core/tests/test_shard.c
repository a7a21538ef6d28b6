/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tests/suite.h"
#include "core/shard.h"

#define CASES 60

/* A plan of CASES cases in groups of three, of which the g-th costs g seconds a case. */
static att_case made[CASES];
static att_planned planned[CASES];
static char texts[CASES][2][32];

static att_run_plan plan(void)
{
    for (int i = 0; i < CASES; i++) {
        snprintf(texts[i][0], sizeof texts[i][0], "case %d", i);
        snprintf(texts[i][1], sizeof texts[i][1], "group %d", i / 3);
        made[i] = (att_case){.line = texts[i][0], .group = texts[i][1], .seconds = i / 3 + 1.0};
        planned[i] = (att_planned){&made[i], 0, true};
    }
    return (att_run_plan){
        .suite = "made", .cases = planned, .n = CASES, .hash = "0123456789abcdef"};
}

static void every_case_goes_to_one_shard_and_groups_stay_whole(void)
{
    const att_run_plan p = plan();
    att_cut cut = {0};
    size_t n = 0;

    CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, 7, NULL, &cut, NULL), ATT_OK);
    for (int64_t k = 1; k <= 7; k++) {
        att_run_plan part = {0};
        CU_ASSERT_EQUAL_FATAL(att_cut_part(&p, &cut, k, &part, NULL), ATT_OK);
        CU_ASSERT_STRING_EQUAL(part.hash, p.hash);
        n += part.n;
        free(part.cases);
    }
    CU_ASSERT_EQUAL(n, CASES);
    for (int i = 0; i < CASES; i++)
        CU_ASSERT_EQUAL(cut.home[i], cut.home[i / 3 * 3]);
    att_cut_drop(&cut);
}

static double longest(const att_run_plan *p, const att_cut *cut)
{
    double load[64] = {0}, most = 0;

    for (size_t i = 0; i < p->n; i++) {
        double *l = &load[cut->home[i]];
        *l += p->cases[i].c->seconds;
        most = *l > most ? *l : most;
    }
    return most;
}

/* 630 seconds in all, in groups of at most 60. */
static void shards_are_within_a_third_of_the_least_possible(void)
{
    const att_run_plan p = plan();

    for (int64_t of = 1; of <= 10; of++) {
        att_cut cut = {0};
        CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, of, NULL, &cut, NULL), ATT_OK);
        CU_ASSERT(longest(&p, &cut) <= 4.0 / 3 * 630.0 / (double)of + 1e-9);
        att_cut_drop(&cut);
    }
}

static void the_same_plan_is_cut_the_same(void)
{
    const att_run_plan p = plan();
    att_cut a = {0}, b = {0};

    CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, 5, NULL, &a, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, 5, NULL, &b, NULL), ATT_OK);
    CU_ASSERT_EQUAL(memcmp(a.home, b.home, CASES * sizeof *a.home), 0);
    att_cut_drop(&a);
    att_cut_drop(&b);
}

/* The first case took 1,000 s, whatever was estimated: its group lies alone. */
static void times_of_an_earlier_run_count_for_more_than_estimates(void)
{
    const att_run_plan p = plan();
    char line[] = "case 0";
    att_record slow = {.line = line, .seconds = 1000};
    const att_result costs = {.records = &slow, .n_records = 1};
    att_cut cut = {0};

    CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, 2, &costs, &cut, NULL), ATT_OK);
    CU_ASSERT_EQUAL(cut.home[0], 1);
    for (int i = 3; i < CASES; i++)
        CU_ASSERT_EQUAL(cut.home[i], 2);
    att_cut_drop(&cut);
}

static void more_shards_than_groups_leave_some_empty(void)
{
    const att_run_plan p = plan();
    att_cut cut = {0};
    att_run_plan part = {0};

    CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, 50, NULL, &cut, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_cut_part(&p, &cut, 50, &part, NULL), ATT_OK);
    CU_ASSERT_EQUAL(part.n, 0);
    free(part.cases);
    att_cut_drop(&cut);
}

static void a_plan_file_comes_back_as_it_was_written(void)
{
    const att_run_plan p = plan();
    att_cut cut = {0};
    att_plan_file file = {0}, again = {0};
    char path[] = "/tmp/att_plan_XXXXXX";

    close(mkstemp(path));
    CU_ASSERT_EQUAL_FATAL(att_cut_make(&p, 4, NULL, &cut, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_plan_file_of(&p, &cut, 3, "stamp", &file, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_plan_file_write(&file, path, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_plan_file_read(path, &again, NULL), ATT_OK);
    CU_ASSERT_TRUE(att_plan_file_same(&file, &again));
    CU_ASSERT_STRING_EQUAL(again.stamp, "stamp");
    CU_ASSERT_STRING_EQUAL(again.suite, "made");
    CU_ASSERT_EQUAL(again.whole, CASES);
    CU_ASSERT(again.n > 0 && again.n < CASES);
    again.shard = 2;
    CU_ASSERT_FALSE(att_plan_file_same(&file, &again));
    att_plan_file_drop(&file);
    att_plan_file_drop(&again);
    att_cut_drop(&cut);
    unlink(path);
}

/* A lying plan.json is refused with its path. */
static void a_plan_file_that_makes_no_sense_is_corrupt(void)
{
    static const char *const texts_[] = {
        "{}",
        "[]",
        "{\"at\":[1,0],\"cases\":[\"a\",\"b\"],\"hash\":\"0\",\"of_cases\":2,"
        "\"schema_version\":1,\"shard\":{\"index\":1,\"of\":2},\"stamp\":\"\",\"suite\":\"\"}",
        "{\"at\":[2],\"cases\":[\"a\"],\"hash\":\"0\",\"of_cases\":2,"
        "\"schema_version\":1,\"shard\":{\"index\":1,\"of\":2},\"stamp\":\"\",\"suite\":\"\"}",
        "{\"at\":[0],\"cases\":[\"a\"],\"hash\":\"0\",\"of_cases\":2,"
        "\"schema_version\":1,\"shard\":{\"index\":3,\"of\":2},\"stamp\":\"\",\"suite\":\"\"}",
        "{\"at\":[0],\"cases\":[7],\"hash\":\"0\",\"of_cases\":2,"
        "\"schema_version\":1,\"shard\":{\"index\":1,\"of\":2},\"stamp\":\"\",\"suite\":\"\"}"};
    att_plan_file file = {0};
    char path[] = "/tmp/att_plan_XXXXXX";

    close(mkstemp(path));
    for (size_t i = 0; i < sizeof texts_ / sizeof *texts_; i++) {
        att_why why = {""};
        CU_ASSERT_TRUE_FATAL(att_file_write(path, texts_[i], strlen(texts_[i])));
        CU_ASSERT_EQUAL(att_plan_file_read(path, &file, &why), ATT_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, path));
    }
    unlink(path);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every case goes to one shard and groups stay whole",
         every_case_goes_to_one_shard_and_groups_stay_whole},
        {"shards are within a third of the least possible",
         shards_are_within_a_third_of_the_least_possible},
        {"the same plan is cut the same", the_same_plan_is_cut_the_same},
        {"times of an earlier run count for more than estimates",
         times_of_an_earlier_run_count_for_more_than_estimates},
        {"more shards than groups leave some empty", more_shards_than_groups_leave_some_empty},
        {"a plan file comes back as it was written", a_plan_file_comes_back_as_it_was_written},
        {"a plan file that makes no sense is corrupt", a_plan_file_that_makes_no_sense_is_corrupt},
        CU_TEST_INFO_NULL};

    return att_suite_run("shard", tests);
}
