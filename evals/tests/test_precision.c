/* SPDX-License-Identifier: Apache-2.0 */
/* The precision that explains a kernel's errors, beside the one that it declares. */
#include "evals/tests/house.h"

/* Kernels of the house under declarations that are not theirs. */
static att_kernel generous, modest, rounds_out;

static const att_kernel *different(const char *name)
{
    for (const att_kernel *const *k = att_kernel_table(NULL)->different; *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    CU_FAIL_FATAL("no such kernel");
    return NULL;
}

static void open_house(void)
{
    static const att_kernel *const made[] = {&generous, &modest, &rounds_out, NULL};

    generous = *different("dot_in_order");
    generous.name = "generous";
    generous.precision.acc = generous.precision.prob = ATT_BF16;
    modest = *different("probs_bf16");
    modest.name = "modest";
    modest.precision.prob = ATT_F32;
    rounds_out = *different("dot_in_order");
    rounds_out.name = "rounds_out";
    rounds_out.precision.out = ATT_BF16;
    house_open(1, made);
}

static double bits(const att_record *r, const char *metric)
{
    const att_metric *m = att_record_metric(r, metric);

    return m ? m->value : -1;
}

/* Does the kernel, which is right, use what it declares, sums in `acc` bits, and so on? */
static void uses(const char *kernel, const char *params, double acc, double prob, double out)
{
    att_record r = house_case("precision", kernel, params, 3);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_EQUAL(bits(&r, "unexplained"), 0);
    CU_ASSERT_EQUAL(bits(&r, "acc_used"), acc);
    CU_ASSERT_EQUAL(bits(&r, "prob_used"), prob);
    CU_ASSERT_EQUAL(bits(&r, "out_used"), out);
    CU_ASSERT_EQUAL(bits(&r, "acc_declared"), acc);
    CU_ASSERT_EQUAL(bits(&r, "prob_declared"), prob);
    CU_ASSERT_EQUAL(bits(&r, "out_declared"), out);
    CU_ASSERT_EQUAL(bits(&r, "slack"), 0);
    att_record_clear(&r);
}

static void right_kernels_use_what_they_declare(void)
{
    for (const att_kernel *const *k = att_kernel_table(NULL)->different; *k; k++) {
        double prob = (*k)->precision.prob == ATT_BF16  ? 8
                      : (*k)->precision.prob == ATT_F16 ? 11
                                                        : 24;
        uses((*k)->name, "d=40", 24, prob, 24);
    }
    uses("reference_f64", "", 53, 53, 24);
}

static void the_sums_show_through_a_result_of_8_bits(void)
{
    uses("dot_in_order", "dtype=bf16", 24, 24, 8);
    uses("reference_f64", "dtype=bf16", 53, 53, 8);
    uses("probs_f16", "dtype=bf16", 24, 11, 8);
    uses("fma_everywhere", "dtype=f16", 24, 24, 11);
}

static void an_approximation_is_held_to_its_own_keys(void)
{
    uses("topk{k=8}", "dtype=f16", 24, 24, 11);
    uses("sliding_window{left=7}", "", 24, 24, 24);
    uses("pool_kv", "", 24, 24, 24);
}

static void more_slack_than_is_used_is_shown_and_passes(void)
{
    att_record r = house_case("precision", "generous", "", 3);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_EQUAL(bits(&r, "acc_declared"), 8);
    CU_ASSERT_EQUAL(bits(&r, "acc_used"), 24);
    CU_ASSERT_EQUAL(bits(&r, "prob_used"), 24);
    CU_ASSERT(bits(&r, "slack") > 8);
    att_record_clear(&r);
    r = house_case("precision", "rounds_out", "", 3);
    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_EQUAL(bits(&r, "out_declared"), 8);
    CU_ASSERT_EQUAL(bits(&r, "out_used"), 24);
    CU_ASSERT(bits(&r, "slack") > 4);
    att_record_clear(&r);
}

static void less_than_is_used_fails_and_the_use_is_named(void)
{
    att_record r = house_case("precision", "modest", "", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(bits(&r, "unexplained") > 0);
    CU_ASSERT_EQUAL(bits(&r, "prob_declared"), 24);
    CU_ASSERT_EQUAL(bits(&r, "prob_used"), 8);
    CU_ASSERT(bits(&r, "slack") < -8);
    att_record_clear(&r);
}

static void a_bug_is_no_precision(void)
{
    att_record r = house_case("precision", "log2e_missing", "", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_EQUAL(bits(&r, "acc_used"), 0);
    CU_ASSERT_EQUAL(bits(&r, "prob_used"), 0);
    CU_ASSERT_PTR_NULL(att_record_metric(&r, "slack"));
    att_record_clear(&r);
}

static void a_scale_rounded_to_half_shows_as_coarse_sums(void)
{
    att_record r = house_case("precision", "prescale_in_half", "dtype=bf16", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_EQUAL(bits(&r, "acc_declared"), 24);
    CU_ASSERT(bits(&r, "acc_used") > 0);
    CU_ASSERT(bits(&r, "acc_used") <= 11);
    att_record_clear(&r);
}

static void a_function_of_its_own_is_a_hole(void)
{
    att_record r = house_case("precision", "linear_elu1", "", 3);

    CU_ASSERT_EQUAL(r.status, ATT_HOLE);
    att_record_clear(&r);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"right kernels use what they declare", right_kernels_use_what_they_declare},
        {"the sums show through a result of 8 bits", the_sums_show_through_a_result_of_8_bits},
        {"an approximation is held to its own keys", an_approximation_is_held_to_its_own_keys},
        {"more slack than is used is shown and passes",
         more_slack_than_is_used_is_shown_and_passes},
        {"less than is used fails, and the use is named",
         less_than_is_used_fails_and_the_use_is_named},
        {"a bug is no precision", a_bug_is_no_precision},
        {"a scale rounded to half shows as coarse sums",
         a_scale_rounded_to_half_shows_as_coarse_sums},
        {"a function of its own is a hole", a_function_of_its_own_is_a_hole},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("precision", tests);
}
