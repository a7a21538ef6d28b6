/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include "core/case.h"
#include "core/ctx_own.h"
#include "core/host.h"
#include "core/verdict.h"
#include "evals/numeric/refusal.h"
#include "evals/table.h"
#include "kernels/table.h"

static att_registry *registry;
static att_host host;
static att_shelf shelf;

static void open_house(void)
{
    const att_kernel_tables *t = att_kernel_table(NULL);
    const att_tables tables = {.kernels = t->kernels,
                               .zoo = t->zoo,
                               .controls = t->controls,
                               .evals = att_evals,
                               .isa = t->isa,
                               .dense = "flash_f32",
                               .oracle = "reference_f64"};
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_registry_make(&tables, NULL, &registry, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
}

static void close_house(void)
{
    att_shelf_keep(&shelf, NULL);
    att_host_drop(&host);
    att_registry_drop(registry);
}

/* Measured and judged; the caller clears it. */
static att_record run_lie(const char *kernel, const char *lie)
{
    static const att_options options = {.datasets = "datasets"};
    att_record r = {0};
    att_why why = {""};
    att_case *c = NULL;
    char params[128];

    snprintf(params, sizeof params, "lie=%s", lie);
    CU_ASSERT_EQUAL_FATAL(att_case_make(registry, "refusal", kernel, params, NULL, &c, &why),
                          ATT_OK);
    att_ctx_measure(registry, c, &host, &options, &shelf, &r);
    att_verdict_case(c->eval, &r);
    att_case_drop(c);
    return r;
}

static void every_lie_is_refused_by_the_houses_kernels(void)
{
    static const char *const kernels[] = {"reference_f64", "flash_f32", "naive_blas", "topk",
                                          "linear_elu1",   "pool_kv",   "uniform",    "random"};

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
        {"the house closes", close_house},
        CU_TEST_INFO_NULL};

    return att_suite_run("refusal", tests);
}
