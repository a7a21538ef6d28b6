/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"
#include "base/tests/suite.h"
#include "gate/effective.h"
#include "made.h"

#define DENSE "flash_f32"

/* A kernel of which `hits` of 100 items are right at a length, an item a context. */
static void put(att_result *result, const char *kernel, int length, int hits)
{
    char text[101], params[32];

    for (int i = 0; i < 100; i++)
        text[i] = i < hits ? '1' : '0';
    text[100] = '\0';
    snprintf(params, sizeof params, "len=%d", length);
    made_items(made_record(result, "probe.needle", kernel, params, 1, ATT_PASS), text, 1);
}

/* The row of a kernel; its end is -1 where there is none. */
static att_effective row_of(const att_result *result, const char *kernel)
{
    att_effective *rows = NULL, found = {.end = (att_effective_end)-1};
    size_t n = 0;

    CU_ASSERT_EQUAL_FATAL(att_effective_find(result, DENSE, &rows, &n), ATT_OK);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].kernel, kernel) == 0)
            found = rows[i];
    free(rows);
    return found;
}

static att_result four_lengths(const int *hits)
{
    att_result r = made_result();

    for (int i = 0; i < 4; i++)
        put(&r, DENSE, 256 << i, 100);
    for (int i = 0; i < 4; i++)
        put(&r, "own", 256 << i, hits[i]);
    return r;
}

static void the_lower_bound_must_keep_85_percent_of_the_own_base(void)
{
    const int hits[] = {100, 93, 91, 40};
    att_result r = four_lengths(hits);
    att_effective e = row_of(&r, "own");

    CU_ASSERT_TRUE(att_wilson(93, 100, 0.95).lo >= 0.85 && att_wilson(91, 100, 0.95).lo < 0.85);
    CU_ASSERT_EQUAL(e.length, 512);
    CU_ASSERT_EQUAL(e.next, 1024);
    CU_ASSERT_EQUAL(e.end, ATT_ENDS_FEW); /* 91 % may yet be 85 %: more items would tell */
    CU_ASSERT_EQUAL(e.base, 1);
    CU_ASSERT_EQUAL(e.base_length, 256);
    att_result_clear(&r);
}

/* 85 % of 0.9 is 0.765: 85 of 100 keep it (lower bound 0.767), which of a base of 1 they would not.
 */
static void a_lower_base_asks_for_85_percent_of_itself(void)
{
    const int hits[] = {90, 85, 60, 60};
    att_result r = four_lengths(hits);
    att_effective e = row_of(&r, "own");

    CU_ASSERT_EQUAL(e.base, 0.9);
    CU_ASSERT_EQUAL(e.length, 512);
    CU_ASSERT_EQUAL(e.end, ATT_ENDS_LOSS);
    att_result_clear(&r);
}

static void a_recovery_further_out_does_not_count(void)
{
    const int hits[] = {100, 100, 50, 100};
    att_result r = four_lengths(hits);
    att_effective e = row_of(&r, "own");
    char text[96];

    CU_ASSERT_EQUAL(e.length, 512);
    CU_ASSERT_EQUAL(e.end, ATT_ENDS_LOSS);
    att_effective_text(&e, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "512 (loss at 1024)");
    att_result_clear(&r);
}

static void who_keeps_all_reaches_the_longest_measured_or_more(void)
{
    const int hits[] = {100, 100, 100, 99};
    att_result r = four_lengths(hits);
    att_effective e = row_of(&r, "own");
    char text[96];

    CU_ASSERT_EQUAL(e.length, 2048);
    CU_ASSERT_TRUE(isnan(e.next));
    att_effective_text(&e, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "2048 or more");
    att_result_clear(&r);
}

static void where_dense_itself_falls_there_is_no_power_for_anybody(void)
{
    att_result r = made_result();

    put(&r, DENSE, 256, 100);
    put(&r, DENSE, 512, 100);
    put(&r, DENSE, 1024, 60);
    put(&r, "own", 256, 100);
    put(&r, "own", 512, 100);
    put(&r, "own", 1024, 100);
    CU_ASSERT_EQUAL(row_of(&r, "own").length, 512);
    CU_ASSERT_EQUAL(row_of(&r, "own").end, ATT_ENDS_NO_POWER);
    CU_ASSERT_EQUAL(row_of(&r, DENSE).end, ATT_ENDS_NO_POWER);
    att_result_clear(&r);
}

static void what_was_not_answered_ends_the_length(void)
{
    const int hits[] = {100, 100, 100, 100};
    att_result r = four_lengths(hits);

    r.records[6].status = ATT_HOLE;
    CU_ASSERT_EQUAL(row_of(&r, "own").length, 512);
    CU_ASSERT_EQUAL(row_of(&r, "own").end, ATT_ENDS_HOLE);
    r.records[1].status = ATT_NOT_RUN; /* dense */
    CU_ASSERT_EQUAL(row_of(&r, "own").length, 256);
    CU_ASSERT_EQUAL(row_of(&r, "own").end, ATT_ENDS_HOLE);
    att_result_clear(&r);
}

static void a_seed_that_was_not_run_leaves_fewer_items_and_no_hole(void)
{
    const int hits[] = {100, 100, 100, 100};
    att_result r = four_lengths(hits);

    made_record(&r, "probe.needle", "own", "len=1024", 2, ATT_NOT_RUN)->chance = 0;
    CU_ASSERT_EQUAL(row_of(&r, "own").length, 2048);
    CU_ASSERT_EQUAL(row_of(&r, "own").end, ATT_ENDS_LONGEST);
    att_result_clear(&r);
}

static void a_kernel_at_chance_on_the_shortest_has_no_length(void)
{
    const int hits[] = {12, 12, 12, 12};
    att_result r = four_lengths(hits);

    for (size_t i = 0; i < r.n_records; i++)
        r.records[i].chance = 0.1;
    CU_ASSERT_TRUE(isnan(row_of(&r, "own").length));
    CU_ASSERT_EQUAL(row_of(&r, "own").end, ATT_ENDS_CHANCE);
    att_result_clear(&r);
}

static void one_length_or_none_has_no_row(void)
{
    att_result r = made_result();

    put(&r, DENSE, 256, 100);
    put(&r, "own", 256, 100);
    made_items(made_record(&r, "probe.other", "own", "", 1, ATT_PASS), "1111", 1);
    CU_ASSERT_EQUAL((int)row_of(&r, "own").end, -1);
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the lower bound must keep 85 % of the own base",
         the_lower_bound_must_keep_85_percent_of_the_own_base},
        {"a lower base asks for 85 % of itself", a_lower_base_asks_for_85_percent_of_itself},
        {"a recovery further out does not count", a_recovery_further_out_does_not_count},
        {"who keeps all reaches the longest measured, or more",
         who_keeps_all_reaches_the_longest_measured_or_more},
        {"where dense itself falls there is no power for anybody",
         where_dense_itself_falls_there_is_no_power_for_anybody},
        {"what was not answered ends the length", what_was_not_answered_ends_the_length},
        {"a seed that was not run leaves fewer items and no hole",
         a_seed_that_was_not_run_leaves_fewer_items_and_no_hole},
        {"a kernel at chance on the shortest has no length",
         a_kernel_at_chance_on_the_shortest_has_no_length},
        {"one length, or none, has no row", one_length_or_none_has_no_row},
        CU_TEST_INFO_NULL};

    return att_suite_run("effective", tests);
}
