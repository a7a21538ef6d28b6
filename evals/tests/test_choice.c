/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that choose their keys: right ones pass whatever the problem, with equal scores too, and
 * each way of choosing wrong is seen by the rule of its parameters, whatever the kernel's name. */
#include "evals/tests/house.h"

#define CASES (sizeof cases / sizeof *cases)

static const char *const cases[] = {
    "hq=2 hkv=1 sq=17 sk=17 causal=br",
    "hq=2 sq=17 sk=18",
    "b=2 hq=2 sq=9 sk=40 d=5",
    "b=3 hq=4 hkv=2 sq=17 sk=38 causal=br lens=both store=page3",
    "hq=2 sq=17 sk=33 causal=tl mask=full bias=inf",
    "hq=2 sq=33 sk=65 causal=br wl=20 values=equal",
    "hq=2 sq=9 sk=33 values=zero",
    "hq=2 sq=40 sk=17 causal=br values=ramp dtype=bf16",
    "hq=3 sq=1 sk=38 d=16 values=nan",
    "hq=2 sq=1 sk=64 values=late",
    "b=2 hq=2 sq=5 sk=64 causal=br values=nan store=packed lens=both sinks=mixed",
};

static const char *const right[] = {
    "quest{page=4,pages=2}",
    "quest{page=16,pages=1}",
    "moba{block=4,blocks=2}",
    "moba{block=7,blocks=1}",
    "topp{p=0.8,least=1}",
    "topp{p=0.3,least=4}",
    "routing{clusters=4,probes=1}",
    "routing{clusters=16,probes=3,draw=8}",
    "minference{vertical=3,slash=2,last=4}",
    "minference{vertical=0,slash=1}",
    "topk{k=5}",
};

static void open_house(void)
{
    house_open(1, NULL);
}

static double number(const char *kernel, const char *params, uint64_t seed, const char *metric)
{
    att_record r = house_case("parity", kernel, params, seed);
    const att_metric *m = att_record_metric(&r, metric);
    const double value = m ? m->value : (double)NAN;

    att_record_clear(&r);
    return value;
}

static void right_choices_raise_no_alarm(void)
{
    for (size_t k = 0; k < sizeof right / sizeof *right; k++)
        for (size_t i = 0; i < CASES; i++)
            for (uint64_t seed = 1; seed < 4; seed++) {
                att_record r = house_case("parity", right[k], cases[i], seed);
                const att_metric *m = att_record_metric(&r, "select_over");
                if (r.status != ATT_PASS)
                    printf("%s %s seed %d: %s\n", right[k], cases[i], (int)seed,
                           r.reason ? r.reason : "");
                CU_ASSERT_EQUAL(r.status, ATT_PASS);
                CU_ASSERT_PTR_NOT_NULL(m);
                att_record_clear(&r);
            }
}

static const struct wrong {
    const char *kernel, *metric;
    double limit;
} wrongs[] = {
    {"zoo:quest_page_stale{page=4,pages=2}", "select_gap", 1},
    {"zoo:quest_maxima_alone{page=4,pages=2}", "select_gap", 1},
    {"zoo:quest_budget_in_keys{page=4,pages=3}", "select_short", 0},
    {"zoo:quest_future_in_page{page=4,pages=2}", "select_gap", 1},
    {"zoo:moba_own_not_forced{block=4,blocks=2}", "select_forced", 0},
    {"zoo:moba_mean_of_padding{block=4,blocks=2}", "select_gap", 1},
    {"zoo:topk_one_short{k=5}", "select_short", 0},
    {"zoo:topp_stops_short{p=0.8}", "select_short", 0},
    {"zoo:longformer_globals_blind{global=3,side=2}", "select_pattern", 0},
    {"zoo:bigbird_heads_alike{block=4,random=2}", "select_pattern", 0},
    {"zoo:bigbird_drawn_anew{block=4,random=2}", "select_pattern", 0},
};

static void each_wrong_choice_is_seen_by_the_rule_of_its_parameters(void)
{
    for (size_t k = 0; k < sizeof wrongs / sizeof *wrongs; k++) {
        const struct wrong *w = &wrongs[k];
        bool seen = false;
        for (size_t i = 0; i < 4 && !seen; i++)
            for (uint64_t seed = 1; seed < 4 && !seen; seed++)
                seen = number(w->kernel, cases[i], seed, w->metric) > w->limit;
        if (!seen)
            printf("%s: not seen by %s\n", w->kernel, w->metric);
        CU_ASSERT(seen);
    }
}

/* What is kept may only grow with the budget, and all of it is dense attention. */
static void full_budgets_are_dense_and_budgets_nested(void)
{
    static const char *const budgets[] = {"sliding_window",
                                          "sink_window",
                                          "strided",
                                          "block_sparse",
                                          "longformer",
                                          "bigbird",
                                          "topk",
                                          "topp",
                                          "quest",
                                          "moba",
                                          "routing",
                                          "minference",
                                          "minference{last=4}"};
    static const char *const problems[] = {
        "b=2 hq=4 hkv=2 causal=br", "hq=2 values=equal causal=tl", "b=2 hq=2 lens=both dtype=f16"};

    for (size_t k = 0; k < sizeof budgets / sizeof *budgets; k++)
        for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
            att_record r = house_case("converge", budgets[k], problems[i], 3);
            if (r.status != ATT_PASS)
                printf("%s %s: %s\n", budgets[k], problems[i], r.reason ? r.reason : "");
            CU_ASSERT_EQUAL(r.status, ATT_PASS);
            att_record_clear(&r);
        }
}

/* Early rows of MInference keep what later ones show: bits may move there, and nowhere else. */
static void a_kernel_that_looks_ahead_is_held_to_the_rows_that_keep_the_same(void)
{
    att_record r = house_case("laws", "minference{vertical=2,slash=2,last=4}",
                              "law=future sq=9 sk=17 causal=br", 3);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_PTR_NOT_NULL(att_record_metric(&r, "reselected"));
    att_record_clear(&r);
    r = house_case("laws", "quest{page=4,pages=2}", "law=future sq=9 sk=17 causal=br", 3);
    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    att_record_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the_kernels_of_the_house_come_together", open_house},
        {"right_choices_raise_no_alarm", right_choices_raise_no_alarm},
        {"each_wrong_choice_is_seen_by_the_rule_of_its_parameters",
         each_wrong_choice_is_seen_by_the_rule_of_its_parameters},
        {"full_budgets_are_dense_and_budgets_nested", full_budgets_are_dense_and_budgets_nested},
        {"a_kernel_that_looks_ahead_is_held_to_the_rows_that_keep_the_same",
         a_kernel_that_looks_ahead_is_held_to_the_rows_that_keep_the_same},
        {"nothing_is_left_of_what_cases_shared", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("choice", tests);
}
