/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "core/exit.h"
#include "core/tests/made_record.h"
#include "core/verdict.h"

/* ---------------------------------------------------------------------------- one case */

static const att_metric_spec specs[] = {
    {"ratio", "ratio", ATT_LOWER, 1.0, ATT_BINDS_EXACT | ATT_BINDS_APPROX, "e/B"},
    {"stray", "count", ATT_LOWER, 0.0, ATT_BINDS_ALL, "must not be"},
    {"recall", "share", ATT_HIGHER, 0.5, ATT_BINDS_OWN, "kept"},
    {"shown", "ratio", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "no limit"},
    {"sideless", "ratio", ATT_NEITHER, 1.0, ATT_BINDS_ALL, "a limit without a side"},
    {0}};
static const att_eval eval = {.name = "made", .metrics = specs};

/* A case of `class_` with one metric, judged; the result must be cleared. */
static att_result judged(int32_t class_, const char *metric, att_better better, double value)
{
    att_result result = {0};
    att_record *r = made_add(&result, "made", "k", "", 1, ATT_PASS);

    r->class_ = class_;
    if (metric)
        made_metric(r, metric, better, value);
    att_verdict_case(&eval, r);
    return result;
}

static void expect(int32_t class_, const char *metric, att_better better, double value,
                   att_outcome status, int verdict)
{
    att_result result = judged(class_, metric, better, value);

    CU_ASSERT_EQUAL(result.records[0].status, status);
    if (metric)
        CU_ASSERT_EQUAL(result.records[0].metrics[0].verdict, verdict);
    CU_ASSERT((status == ATT_PASS) == (result.records[0].reason == NULL));
    att_result_clear(&result);
}

static void a_limit_holds_up_to_itself(void)
{
    expect(ATT_EXACT, "ratio", ATT_LOWER, 0.5, ATT_PASS, 1);
    expect(ATT_EXACT, "ratio", ATT_LOWER, 1.0, ATT_PASS, 1);
    expect(ATT_EXACT, "ratio", ATT_LOWER, 1.0000000000000002, ATT_FAIL, 0);
    expect(ATT_OWN, "recall", ATT_HIGHER, 0.5, ATT_PASS, 1);
    expect(ATT_OWN, "recall", ATT_HIGHER, 0.49, ATT_FAIL, 0);
    expect(ATT_APPROX, "stray", ATT_LOWER, 0.0, ATT_PASS, 1);
    expect(ATT_APPROX, "stray", ATT_LOWER, 1.0, ATT_FAIL, 0);
}

static void a_nan_never_passes_a_limit(void)
{
    expect(ATT_EXACT, "ratio", ATT_LOWER, NAN, ATT_FAIL, 0);
    expect(ATT_OWN, "recall", ATT_HIGHER, NAN, ATT_FAIL, 0);
    expect(ATT_EXACT, "ratio", ATT_LOWER, INFINITY, ATT_FAIL, 0);
    expect(ATT_OWN, "recall", ATT_HIGHER, -INFINITY, ATT_FAIL, 0);
}

static void a_limit_binds_only_its_classes(void)
{
    expect(ATT_OWN, "ratio", ATT_LOWER, 7.0, ATT_PASS, -1);
    expect(ATT_EXACT, "recall", ATT_HIGHER, 0.0, ATT_PASS, -1);
    expect(ATT_EXACT, "shown", ATT_LOWER, NAN, ATT_PASS, -1);
}

static void a_limit_without_a_side_fails(void)
{
    expect(ATT_EXACT, "sideless", ATT_NEITHER, 1.0, ATT_FAIL, 0);
}

static void nothing_measured_is_an_error(void)
{
    expect(ATT_EXACT, NULL, ATT_LOWER, 0, ATT_ERROR, -1);
}

static void an_undeclared_metric_is_an_error(void)
{
    expect(ATT_EXACT, "other", ATT_LOWER, 0, ATT_ERROR, -1);
    expect(ATT_EXACT, "chance", ATT_LOWER, 0.1, ATT_PASS, -1);
    expect(77, "ratio", ATT_LOWER, 0, ATT_ERROR, -1);
}

static void items_without_metrics_are_a_measurement(void)
{
    att_result result = {0};
    att_record *r = made_add(&result, "made", "k", "", 1, ATT_PASS);

    made_items(r, 4, 0, 1, 0.0);
    att_verdict_case(&eval, r);
    CU_ASSERT_EQUAL(r->status, ATT_PASS);
    att_result_clear(&result);
}

static void the_reason_names_the_worst_metric_and_keeps_what_was_said(void)
{
    att_result result = {0};
    att_record *r = made_add(&result, "made", "k", "", 1, ATT_PASS);

    r->reason = made_text("out[0,0,0,3]");
    made_metric(r, "ratio", ATT_LOWER, 3.0);
    made_metric(r, "stray", ATT_LOWER, 2.0);
    made_metric(r, "shown", ATT_LOWER, 9e9);
    att_verdict_case(&eval, r);
    CU_ASSERT_EQUAL(r->status, ATT_FAIL);
    CU_ASSERT_STRING_EQUAL(r->reason, "stray = 2, limit 0 (and 1 more); out[0,0,0,3]");
    CU_ASSERT_EQUAL(r->metrics[0].limit, 1.0);
    CU_ASSERT(isnan(r->metrics[2].limit));
    att_result_clear(&result);
}

static void what_did_not_measure_keeps_its_status(void)
{
    static const att_outcome kept[] = {ATT_CRASH, ATT_HOLE, ATT_TIMEOUT, ATT_NOT_RUN, ATT_FAIL};

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        att_result result = {0};
        att_record *r = made_add(&result, "made", "k", "", 1, kept[i]);
        r->reason = made_text("why");
        att_verdict_case(&eval, r);
        CU_ASSERT_EQUAL(r->status, kept[i]);
        CU_ASSERT_STRING_EQUAL(r->reason, "why");
        att_result_clear(&result);
    }
}

/* -------------------------------------------------------------------------- a whole run */

#define DENSE ATT_VERDICT_DENSE

/* A probe's record: n items in contexts of 1, the first `hits` hit. */
static void probe(att_result *result, const char *kernel, const char *params, uint64_t seed,
                  size_t n, size_t hits, double margin)
{
    att_record *r = made_add(result, "lm.needle", kernel, params, seed, ATT_PASS);
    made_items(r, n, hits, 1, 0.1);
    r->margin = margin;
}

static void a_cell_where_dense_does_not_clear_chance_has_no_power(void)
{
    att_result x = {0};

    probe(&x, DENSE, "length=256", 1, 64, 60, 0);
    probe(&x, "topk{k=8}", "length=256", 1, 64, 0, 0);
    probe(&x, DENSE, "length=512", 1, 64, 8, 0); /* 0.125 of 64: not clear of 0.1 */
    probe(&x, "topk{k=8}", "length=512", 1, 64, 64, 0);
    probe(&x, "topk{k=8}", "length=512", 2, 64, 64, 0);
    x.records[4].status = ATT_FAIL;
    att_verdict_run(&x);
    CU_ASSERT_EQUAL(x.records[0].status, ATT_PASS);
    CU_ASSERT_EQUAL(x.records[1].status, ATT_PASS);
    CU_ASSERT_EQUAL(x.records[2].status, ATT_NO_POWER);
    CU_ASSERT_EQUAL(x.records[3].status, ATT_NO_POWER);
    CU_ASSERT_EQUAL(x.records[4].status, ATT_FAIL);
    CU_ASSERT_PTR_NOT_NULL(strstr(x.records[3].reason, "dense hits 8 of 64"));
    att_result_clear(&x);
}

/* 40 % of 30 clears a chance of 0.1 (lower bound 0.246); the same items in 3 contexts that agree
 * are worth 3. */
static void shared_contexts_take_power_away(void)
{
    for (size_t together = 1; together <= 10; together += 9) {
        att_result x = {0};
        att_record *r = made_add(&x, "lm.needle", DENSE, "", 1, ATT_PASS);
        made_items(r, 30, 10, together, 0.1);
        att_verdict_run(&x);
        CU_ASSERT_EQUAL(x.records[0].status, together == 1 ? ATT_PASS : ATT_NO_POWER);
        att_result_clear(&x);
    }
}

static void seeds_are_pooled_for_power(void)
{
    att_result x = {0};

    probe(&x, DENSE, "", 1, 20, 5, 0); /* 5 of 20: lower bound 0.11; 4 of 20: 0.08 */
    probe(&x, DENSE, "", 2, 20, 4, 0); /* 9 of 40: 0.12 */
    att_verdict_run(&x);
    CU_ASSERT_EQUAL(x.records[0].status, ATT_PASS);
    CU_ASSERT_EQUAL(x.records[1].status, ATT_PASS);
    x.records[0].chance = x.records[1].chance = 0.125;
    att_verdict_run(&x);
    CU_ASSERT_EQUAL(x.records[0].status, ATT_NO_POWER);
    CU_ASSERT_EQUAL(x.records[1].status, ATT_NO_POWER);
    att_result_clear(&x);
}

static void a_margin_is_judged_by_the_interval(void)
{
    static const struct {
        size_t n, hits;
        double margin;
        att_outcome status;
        int verdict;
    } rows[] = {
        {400, 400, 0.05, ATT_PASS, 1},          /* no loss in 400: -0.014 at worst */
        {400, 300, 0.05, ATT_FAIL, 0},          /* a quarter lost: -0.21 at best */
        {400, 385, 0.05, ATT_INCONCLUSIVE, -1}, /* 3.8 % lost: the interval holds -0.05 */
        {10, 10, 0.05, ATT_INCONCLUSIVE, -1},   /* too few */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        att_result x = {0};
        probe(&x, DENSE, "", 1, rows[i].n, rows[i].n, 0);
        probe(&x, "topk{k=8}", "", 1, rows[i].n, rows[i].hits, rows[i].margin);
        for (int twice = 0; twice < 2; twice++) {
            att_verdict_run(&x);
            const att_record *r = &x.records[1];
            CU_ASSERT_EQUAL(r->status, rows[i].status);
            CU_ASSERT_EQUAL_FATAL(r->n_metrics, 1);
            CU_ASSERT_STRING_EQUAL(r->metrics[0].name, "accuracy_minus_dense");
            CU_ASSERT_EQUAL(r->metrics[0].verdict, rows[i].verdict);
            CU_ASSERT_EQUAL(r->metrics[0].limit, -0.05);
            CU_ASSERT(r->metrics[0].lo <= r->metrics[0].value &&
                      r->metrics[0].value <= r->metrics[0].hi);
            CU_ASSERT((r->reason == NULL) == (r->status == ATT_PASS));
            CU_ASSERT_EQUAL(r->reason && strstr(r->reason, ", needs "),
                            r->status == ATT_INCONCLUSIVE);
            CU_ASSERT(rows[i].n != 10 || strstr(r->reason, ", needs 54 items"));
            CU_ASSERT_EQUAL(x.records[0].status, ATT_PASS);
        }
        att_result_clear(&x);
    }
}

static void cells_with_too_few_items_are_pooled_over_a_task(void)
{
    char params[32];
    att_result x = {0};

    for (int i = 0; i < 10; i++) {
        snprintf(params, sizeof params, "length=%d", 256 + i);
        probe(&x, DENSE, params, 1, 40, 40, 0);
        probe(&x, "topk{k=8}", params, 1, 40, i == 9 ? 36 : 40, 0.05);
    }
    att_verdict_run(&x);
    for (size_t i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(x.records[2 * i + 1].status, ATT_PASS);
    /* its own difference is -0.1: the others don't rescue it */
    CU_ASSERT_EQUAL(x.records[19].status, ATT_INCONCLUSIVE);
    att_result_clear(&x);
}

static void a_margin_without_dense_or_with_other_items_is_inconclusive(void)
{
    att_result x = {0};

    probe(&x, "topk{k=8}", "length=256", 1, 400, 400, 0.05);
    probe(&x, "topk{k=8}", "length=512", 1, 400, 400, 0.05);
    probe(&x, DENSE, "length=512", 1, 399, 399, 0);
    probe(&x, "topk{k=8}", "length=999", 1, 400, 400, 0);
    att_verdict_run(&x);
    CU_ASSERT_EQUAL(x.records[0].status, ATT_INCONCLUSIVE);
    CU_ASSERT_EQUAL(x.records[1].status, ATT_INCONCLUSIVE);
    CU_ASSERT_PTR_NOT_NULL(strstr(x.records[1].reason, "other items"));
    CU_ASSERT_EQUAL(x.records[3].status, ATT_PASS); /* no margin declared: shown, not judged */
    att_result_clear(&x);
}

static void one_shared_context_shows_nothing(void)
{
    att_result x = {0};

    for (int i = 0; i < 2; i++) {
        att_record *r = made_add(&x, "lm.needle", i ? "topk{k=8}" : DENSE, "", 1, ATT_PASS);
        made_items(r, 400, 400, 400, 0.1);
        r->margin = i ? 0.05 : 0;
    }
    att_verdict_run(&x);
    CU_ASSERT_EQUAL(x.records[1].status, ATT_INCONCLUSIVE);
    att_result_clear(&x);
}

/* ------------------------------------------------------------------------------- exits */

/* The code of a run whose cases ended so; `ends` holds outcomes, upper bits: not required. */
static int code_of(const char *status, int signal, size_t n, const att_outcome *ends, bool required)
{
    att_result x = {0};
    char params[32];

    for (size_t i = 0; i < n; i++) {
        snprintf(params, sizeof params, "n=%zu", i);
        made_add(&x, "made", "k", params, 1, ends[i])->required = required;
    }
    x.status = made_text(status);
    int code = att_verdict_exit(&x, signal);
    att_result_clear(&x);
    return code;
}

#define CODE(required, ...)                                                                        \
    code_of("complete", 0, sizeof((att_outcome[]){__VA_ARGS__}) / sizeof(att_outcome),             \
            (att_outcome[]){__VA_ARGS__}, required)

static void each_outcome_has_its_exit_code(void)
{
    CU_ASSERT_EQUAL(code_of("complete", 0, 0, NULL, true), ATT_EXIT_NOTHING);
    CU_ASSERT_EQUAL(CODE(true, ATT_PASS), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(CODE(true, ATT_PASS, ATT_HOLE, ATT_NO_POWER), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(CODE(true, ATT_PASS, ATT_FAIL), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(CODE(false, ATT_PASS, ATT_FAIL), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(CODE(false, ATT_PASS, ATT_CRASH), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(CODE(false, ATT_PASS, ATT_TIMEOUT), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(CODE(false, ATT_CRASH), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(CODE(false, ATT_PASS, ATT_ERROR), ATT_EXIT_INCOMPLETE);
    CU_ASSERT_EQUAL(CODE(true, ATT_HOLE, ATT_NO_POWER), ATT_EXIT_NOTHING);
    CU_ASSERT_EQUAL(CODE(false, ATT_INCONCLUSIVE), ATT_EXIT_NOTHING);
    CU_ASSERT_EQUAL(CODE(false, ATT_PASS, ATT_INCONCLUSIVE), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(CODE(true, ATT_PASS, ATT_INCONCLUSIVE), ATT_EXIT_INCONCLUSIVE);
    CU_ASSERT_EQUAL(CODE(false, ATT_PASS, ATT_NOT_RUN), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(CODE(true, ATT_PASS, ATT_NOT_RUN), ATT_EXIT_INCOMPLETE);
}

static void the_worse_exit_code_wins(void)
{
    static const att_outcome pass[] = {ATT_PASS}, fail[] = {ATT_FAIL};

    CU_ASSERT_EQUAL(CODE(true, ATT_FAIL, ATT_INCONCLUSIVE), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(CODE(true, ATT_FAIL, ATT_NOT_RUN), ATT_EXIT_INCOMPLETE);
    CU_ASSERT_EQUAL(CODE(true, ATT_NOT_RUN), ATT_EXIT_INCOMPLETE);
    CU_ASSERT_EQUAL(code_of("incomplete", 0, 1, pass, true), ATT_EXIT_INCOMPLETE);
    CU_ASSERT_EQUAL(code_of("interrupted", 0, 1, pass, true), ATT_EXIT_INTERRUPT);
    CU_ASSERT_EQUAL(code_of("interrupted", SIGINT, 1, fail, true), ATT_EXIT_INTERRUPT);
    CU_ASSERT_EQUAL(code_of("interrupted", SIGTERM, 1, pass, true), ATT_EXIT_TERMINATED);
}

#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

int main(void)
{
    static const CU_TestInfo tests[] = {
        TEST(a_limit_holds_up_to_itself),
        TEST(a_nan_never_passes_a_limit),
        TEST(a_limit_binds_only_its_classes),
        TEST(a_limit_without_a_side_fails),
        TEST(nothing_measured_is_an_error),
        TEST(an_undeclared_metric_is_an_error),
        TEST(items_without_metrics_are_a_measurement),
        TEST(the_reason_names_the_worst_metric_and_keeps_what_was_said),
        TEST(what_did_not_measure_keeps_its_status),
        TEST(a_cell_where_dense_does_not_clear_chance_has_no_power),
        TEST(shared_contexts_take_power_away),
        TEST(seeds_are_pooled_for_power),
        TEST(a_margin_is_judged_by_the_interval),
        TEST(cells_with_too_few_items_are_pooled_over_a_task),
        TEST(a_margin_without_dense_or_with_other_items_is_inconclusive),
        TEST(one_shared_context_shows_nothing),
        TEST(each_outcome_has_its_exit_code),
        TEST(the_worse_exit_code_wins),
        CU_TEST_INFO_NULL};
    return att_suite_run("verdict", tests);
}
