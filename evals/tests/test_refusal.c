/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "evals/numeric/refusal.h"

static void open_house(void)
{
    house_open(2, NULL);
}

/* Measured and judged; the caller clears it. */
static att_record run_lie(const char *kernel, const char *lie)
{
    char params[128];

    snprintf(params, sizeof params, "lie=%s", lie);
    return house_case("refusal", kernel, params, 1);
}

static void every_lie_is_refused_by_the_houses_kernels(void)
{
    static const char *const kernels[] = {"reference_f64", "flash_f32",   "naive_blas", "topk",
                                          "linear_elu1",   "gated_delta", "ssd",        "based",
                                          "pool_kv",       "uniform",     "random"};

    for (const refusal_lie *l = refusal_lies; l->name; l++)
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
            att_record r = run_lie(kernels[k], l->name);
            if (r.status != ATT_PASS && r.status != ATT_HOLE)
                printf("%s: %s\n", r.line, r.reason ? r.reason : "");
            CU_ASSERT(r.status == ATT_PASS || r.status == ATT_HOLE);
            att_record_clear(&r);
        }
}

static void the_oracle_can_be_asked_every_lie(void)
{
    for (const refusal_lie *l = refusal_lies; l->name; l++) {
        att_record r = run_lie("reference_f64", l->name);
        CU_ASSERT_EQUAL(r.status, ATT_PASS);
        att_record_clear(&r);
    }
}

static void a_kernel_that_believes_a_length_fails_and_is_named(const char *kernel, const char *lie)
{
    att_record r = run_lie(kernel, lie);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_EQUAL_FATAL(r.n_diagnoses, 1);
    CU_ASSERT_STRING_EQUAL(r.diagnoses[0].fault, kernel);
    CU_ASSERT(att_record_metric(&r, "accepted")->value == 1);
    CU_ASSERT(att_record_metric(&r, "touched")->value > 0);
    att_record_clear(&r);
}

static void a_length_past_its_memory_is_named(void)
{
    a_kernel_that_believes_a_length_fails_and_is_named("block_table_overrun", "length_over_table");
    a_kernel_that_believes_a_length_fails_and_is_named("past_overread", "kv_length_over");
}

static void the_last_sequences_length_reads_into_the_guard(void)
{
    /* where nothing lies behind: a crash, in workers; here only that the check comes before */
    att_record r = run_lie("gqa_tile_order", "length_over_table_last");

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    att_record_clear(&r);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"every lie is refused by the house's kernels", every_lie_is_refused_by_the_houses_kernels},
        {"the oracle can be asked every lie", the_oracle_can_be_asked_every_lie},
        {"a length past its memory is named", a_length_past_its_memory_is_named},
        {"the last sequence's length is looked at before it is read",
         the_last_sequences_length_reads_into_the_guard},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("refusal", tests);
}
