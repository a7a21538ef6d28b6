/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "common/turn.h"

static void open_house(void)
{
    house_open(1, NULL);
}

static att_record run_case(const char *kernel, const char *params)
{
    return house_case("rope", kernel, params, 7);
}

static att_outcome outcome(const char *kernel, const char *params)
{
    att_record r = run_case(kernel, params);
    att_outcome status = r.status;

    att_record_clear(&r);
    return status;
}

/* The case fails, and `fault` alone explains it. */
static bool names_alone(const char *kernel, const char *params, const char *fault)
{
    att_record r = run_case(kernel, params);
    bool found = r.status == ATT_FAIL && r.n_diagnoses > 0;

    for (size_t d = 0; d < r.n_diagnoses; d++)
        found &= strcmp(r.diagnoses[d].fault, fault) == 0;
    att_record_clear(&r);
    return found;
}

static void the_right_kernel_passes_at_extremes(void)
{
    static const char *const params[] = {
        "b=3 s=1 d=64",
        "b=3 s=17 d=40 rot=8 layout=stepped pos=huge pairing=inter",
        "b=2 s=17 d=128 rot=32 layout=reversed alias=inplace pos=far dtype=bf16",
        "b=2 s=5 d=64 tables=same dtype=f16 values=subnormal layout=padded to=dense",
        "b=2 s=5 d=1 values=nan place=flush",
        "b=2 s=17 d=64 scaling=yarn pos=mixed",
        "s=5 d=128 scaling=yarn_gain pos=far theta=500000 pairing=inter dtype=bf16",
        "s=5 d=40 rot=8 scaling=llama3 pos=huge",
        "s=5 d=64 scaling=yarn tables=f32 pos=far",
        "b=0",
        "s=0 alias=inplace"};

    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        CU_ASSERT_EQUAL(outcome("rope_f32", params[i]), ATT_PASS);
}

static void each_bug_is_caught_and_named_alone(void)
{
    CU_ASSERT(names_alone("rope_offset_ignored", "b=2 s=5 d=64 pos=far", "rope_offset_ignored"));
    CU_ASSERT(names_alone("partial_rope_width", "d=64 rot=32 pos=far", "partial_rope_width"));
    CU_ASSERT(names_alone("rope_one_token_batch", "b=3 s=1 d=64", "rope_one_token_batch"));
    CU_ASSERT(names_alone("rope_tail_noncontig", "b=2 s=5 d=64 rot=32 layout=padded to=dense",
                          "rope_tail_noncontig"));
    CU_ASSERT(names_alone("rope_inplace_strided", "b=2 s=5 d=64 layout=padded alias=inplace",
                          "rope_inplace_strided"));
    CU_ASSERT(names_alone("yarn_ramp_axis", "d=64 pos=far scaling=yarn", "yarn_ramp_axis"));
    CU_ASSERT(
        names_alone("yarn_gain_missing", "d=64 pos=far scaling=yarn_gain", "yarn_gain_missing"));
}

static void a_bug_hides_where_its_condition_is_not_met(void)
{
    CU_ASSERT_EQUAL(outcome("rope_one_token_batch", "b=1 s=1"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("partial_rope_width", "d=64 rot=0 pos=far"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("rope_tail_noncontig", "d=64 rot=0 layout=padded to=dense"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("rope_inplace_strided", "layout=padded"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("yarn_ramp_axis", "d=64 pos=far scaling=llama3"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("yarn_gain_missing", "d=64 pos=far"), ATT_PASS);
}

static void what_contradicts_itself_is_refused(void)
{
    static const char *const lines[] = {"rope rope_f32 d=8 rot=10", "rope rope_f32 rot=3",
                                        "rope rope_f32 layout=broadcast alias=inplace"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        att_case *c = NULL;
        att_why why = {""};
        CU_ASSERT_EQUAL(att_case_parse(registry, lines[i], &c, &why), ATT_INVALID);
        att_case_drop(c);
    }
}

static void a_kernel_without_the_operator_is_a_hole(void)
{
    CU_ASSERT_EQUAL(outcome("flash_f32", "b=1"), ATT_HOLE);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"the right kernel passes at extremes", the_right_kernel_passes_at_extremes},
        {"each bug is caught and named alone", each_bug_is_caught_and_named_alone},
        {"a bug hides where its condition is not met", a_bug_hides_where_its_condition_is_not_met},
        {"what contradicts itself is refused", what_contradicts_itself_is_refused},
        {"a kernel without the operator is a hole", a_kernel_without_the_operator_is_a_hole},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("rope", tests);
}
