/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: what blocks, what does not, and how it is grouped. */
#include <time.h>

#include "made_gate.h"

static void a_run_that_is_its_baseline_passes_unchanged(void)
{
    bench b = make();

    made_metric(add(&b, "parity", "a", "d=8"), "ratio", "ratio", 0.5, 1);
    made_metric(&b.was.records[0], "ratio", "ratio", 0.5, 1);
    add_items(&b, "probe.needle", "len=9", 20, 0, 5);
    memcpy(b.is.records[1].items, b.was.records[1].items, 20 * sizeof(att_item));
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(b.gate.n_entries, 0);
    CU_ASSERT_EQUAL(b.gate.compared, 2);
    CU_ASSERT_EQUAL(b.gate.unchanged, 2);
    CU_ASSERT_EQUAL(b.gate.paired, 20);
    drop(&b);
}

static void whatever_ends_badly_blocks_with_its_kind_and_exit_code(void)
{
    static const struct {
        att_outcome status;
        att_gate_kind kind;
        int code;
    } rows[] = {{ATT_FAIL, ATT_GATE_CONTRACT, ATT_EXIT_FAIL},
                {ATT_CRASH, ATT_GATE_CRASH, ATT_EXIT_FAIL},
                {ATT_TIMEOUT, ATT_GATE_TIMEOUT, ATT_EXIT_FAIL},
                {ATT_ERROR, ATT_GATE_ERROR, ATT_EXIT_INCOMPLETE},
                {ATT_NOT_RUN, ATT_GATE_ERROR, ATT_EXIT_INCOMPLETE},
                {ATT_HOLE, ATT_GATE_LOST, ATT_EXIT_FAIL},
                {ATT_NO_POWER, ATT_GATE_LOST, ATT_EXIT_FAIL}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b = make();
        add(&b, "parity", "a", "d=8");
        add(&b, "parity", "a", "d=9")->status = rows[i].status;
        CU_ASSERT_EQUAL(judge(&b), rows[i].code);
        CU_ASSERT_EQUAL(top(&b).first->kind, rows[i].kind);
        CU_ASSERT_EQUAL(top(&b).of, 2);
        drop(&b);
    }
}

static void missing_and_extra_cases_block_and_share_a_cause_with_their_kernel(void)
{
    bench b = make();

    add(&b, "parity", "a", "d=8");
    made_record(&b.was, "parity", "gone", "d=8", 1, ATT_PASS);
    made_record(&b.was, "laws", "gone", "d=8", 1, ATT_PASS);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_MISSING);
    CU_ASSERT_EQUAL(top(&b).members, 2);
    CU_ASSERT_EQUAL(top(&b).of, 0);
    drop(&b);
    b = make();
    add(&b, "parity", "a", "d=8");
    made_record(&b.is, "parity", "new", "d=8", 1, ATT_PASS);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_EXTRA);
    drop(&b);
}

static void a_seed_that_is_missing_blocks_and_fresh_seeds_pair_nothing(void)
{
    bench b = make();

    add(&b, "parity", "a", "d=8");
    made_record(&b.was, "parity", "a", "d=8", 2, ATT_PASS);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_MISSING);
    drop(&b);
    b = make();
    add_items(&b, "must", "len=9", 20, 20, 0);
    b.is.records[0].seed = 7;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_INCONCLUSIVE);
    CU_ASSERT_EQUAL(b.gate.paired, 0);
    drop(&b);
}

static void declare(att_result *r, int32_t acc, int32_t class_, int64_t over_read)
{
    att_declaration *d = calloc(1, sizeof *d);

    if (!d)
        abort();
    *d = (att_declaration){
        .kernel = strdup("a"), .acc = acc, .class_ = class_, .over_read = over_read};
    r->declarations = d;
    r->n_declarations = 1;
}

static void declaring_less_blocks_and_declaring_more_does_not(void)
{
    static const struct {
        int32_t acc, class_;
        int64_t over_read;
        int code;
    } rows[] = {{ATT_F32, ATT_EXACT, 16, ATT_EXIT_PASS},
                {ATT_BF16, ATT_EXACT, 16, ATT_EXIT_FAIL},
                {ATT_F64, ATT_EXACT, 0, ATT_EXIT_PASS},
                {ATT_F32, ATT_APPROX, 16, ATT_EXIT_FAIL},
                {ATT_F32, ATT_EXACT, 32, ATT_EXIT_FAIL}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b = make();
        add(&b, "parity", "a", "d=8");
        declare(&b.was, ATT_F32, ATT_EXACT, 16);
        declare(&b.is, rows[i].acc, rows[i].class_, rows[i].over_read);
        CU_ASSERT_EQUAL(judge(&b), rows[i].code);
        if (rows[i].code != ATT_EXIT_PASS)
            CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_LOOSENED);
        drop(&b);
    }
}

static void one_bug_is_one_entry_with_its_smallest_case_first(void)
{
    bench b = make();
    char params[32];

    for (int i = 0; i < 400; i++) {
        snprintf(params, sizeof params, "d=%d", 400 - i);
        att_record *r = add(&b, i % 2 ? "parity" : "laws.future", i % 4 < 2 ? "a" : "b", params);
        r->status = ATT_FAIL;
        made_metric(r, "ratio", "ratio", 3, 1);
        if (i % 4 != 3)
            made_diagnosis(r, "causal_top_left", "mask anchored top-left", 0.8);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(params, sizeof params, "d=%d", i);
        add(&b, "parity", "fine", params);
    }
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL_FATAL(b.gate.n_entries, 1);
    CU_ASSERT_EQUAL(top(&b).members, 400);
    CU_ASSERT_EQUAL(top(&b).of, 400);
    CU_ASSERT_EQUAL(top(&b).kernels, 2);
    CU_ASSERT_EQUAL(top(&b).explained, 300);
    CU_ASSERT_STRING_EQUAL(top(&b).named->fault, "causal_top_left");
    CU_ASSERT_EQUAL(strlen(top(&b).first->id), strlen("parity a d=1"));
    drop(&b);
}

static void waiver(bench *b, const char *cases, const char *expires)
{
    char text[300];

    snprintf(text, sizeof text,
             "{\"schema_version\": \"1.0\", \"waivers\": [{\"cases\": \"%s\", \"issue\": \"#1\", "
             "\"reason\": \"r\", \"expires\": \"%s\"}]}",
             cases, expires);
    att_waivers_drop(&b->waivers);
    CU_ASSERT_EQUAL_FATAL(att_waivers_parse(text, strlen(text), "w", &b->waivers, NULL), ATT_OK);
}

static void a_waiver_holds_to_its_day_and_fails_after_it(void)
{
    bench b = make();

    add(&b, "parity", "a", "d=8")->status = ATT_CRASH;
    waiver(&b, "parity a *", "2030-06-15");
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL(top(&b).first->waiver);
    waiver(&b, "parity b *", "2030-06-15");
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    waiver(&b, "parity a *", "2030-06-14");
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(b.gate.n_entries, 2);
    b.is.records[0].status = ATT_PASS;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_WAIVER);
    drop(&b);
}

static void what_is_advisory_is_shown_and_blocks_nothing(void)
{
    bench b = make();

    add_items(&b, "soft", "len=9", 100, 40, 0);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(b.gate.n_entries, 1);
    CU_ASSERT_TRUE(top(&b).first->advisory);
    drop(&b);
}

static void the_worst_exit_code_wins_and_an_empty_run_is_no_pass(void)
{
    bench b = make();

    add(&b, "must", "a", "d=8")->status = ATT_INCONCLUSIVE;
    add(&b, "parity", "a", "d=8");
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_INCONCLUSIVE);
    add(&b, "parity", "a", "d=9")->status = ATT_FAIL;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    b.undone = true;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_INCOMPLETE);
    drop(&b);
    b = make();
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_NOTHING);
    drop(&b);
}

static void ten_thousand_cases_are_judged_within_a_second(void)
{
    bench b = make();

    for (int i = 0; i < 10000; i++) {
        char params[32], kernel[32];
        snprintf(params, sizeof params, "d=%d", i);
        snprintf(kernel, sizeof kernel, "k%d", i % 100);
        att_record *r = add(&b, i % 5 ? "parity" : "probe.needle", kernel, params);
        made_metric(r, "ratio", "ratio", 0.5, 1);
        made_metric(&b.was.records[i], "ratio", "ratio", 0.4, 1);
        if (i % 5 == 0) {
            made_items(r, "1110111011101110111011101110111011101110", 2);
            made_items(&b.was.records[i], "1110111011101110111011101110111011101011", 2);
        }
        if (i % 50 == 1)
            r->status = ATT_FAIL;
    }
    const clock_t start = clock(); /* of this process: others may be busy */
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    const double spent = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("10,000 cases: %.3f s\n", spent);
    CU_ASSERT_EQUAL(b.gate.compared, 10000);
#ifndef __SANITIZE_ADDRESS__
    CU_ASSERT_TRUE(spent < 1);
#endif
    drop(&b);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a run that is its baseline passes unchanged",
         a_run_that_is_its_baseline_passes_unchanged},
        {"whatever ends badly blocks with its kind and exit code",
         whatever_ends_badly_blocks_with_its_kind_and_exit_code},
        {"missing and extra cases block and share a cause with their kernel",
         missing_and_extra_cases_block_and_share_a_cause_with_their_kernel},
        {"a seed that is missing blocks and fresh seeds pair nothing",
         a_seed_that_is_missing_blocks_and_fresh_seeds_pair_nothing},
        {"declaring less blocks and declaring more does not",
         declaring_less_blocks_and_declaring_more_does_not},
        {"one bug is one entry with its smallest case first",
         one_bug_is_one_entry_with_its_smallest_case_first},
        {"a waiver holds to its day and fails after it",
         a_waiver_holds_to_its_day_and_fails_after_it},
        {"what is advisory is shown and blocks nothing",
         what_is_advisory_is_shown_and_blocks_nothing},
        {"the worst exit code wins and an empty run is no pass",
         the_worst_exit_code_wins_and_an_empty_run_is_no_pass},
        {"ten thousand cases are judged within a second",
         ten_thousand_cases_are_judged_within_a_second},
        CU_TEST_INFO_NULL};

    return att_suite_run("gate", tests);
}
