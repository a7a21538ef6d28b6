/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel that answers queries is asked a circuit, whatever its operator and its types, and
 * what comes back is what its mask, its storage and its gates leave. */
#include <math.h>
#include <string.h>

#include "evals/tests/house.h"

static att_record needle(const char *kernel, const char *params)
{
    return house_case("probe.needle", kernel, params, 3);
}

static double number(const att_record *r, const char *name)
{
    const att_metric *m = att_record_metric(r, name);

    return m ? m->value : (double)NAN;
}

/* One case's metric, the case being one that passes. */
static double measured(const char *kernel, const char *params, const char *metric)
{
    att_record r = needle(kernel, params);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    const double x = number(&r, metric);
    att_record_clear(&r);
    return x;
}

static void every_kernel_that_answers_queries_is_asked(void)
{
    const att_kernel_tables *t = att_kernel_table(NULL);
    size_t asked = 0;

    for (const att_kernel *const *k = t->kernels; *k; k++) {
        const bool answers = (*k)->attend || (*k)->mix || (*k)->session || (*k)->recur;
        att_record r = needle((*k)->name, "len=256");
        if (r.status != (answers ? ATT_PASS : ATT_HOLE))
            printf("%s: %s, %s\n", (*k)->name, att_outcome_name(r.status), r.reason);
        CU_ASSERT_EQUAL(r.status, answers ? ATT_PASS : ATT_HOLE);
        CU_ASSERT_EQUAL(r.n_items, answers ? 24 : 0);
        asked += answers;
        att_record_clear(&r);
    }
    CU_ASSERT_TRUE(asked > 40);
}

static void kernels_of_one_type_get_what_they_take(void)
{
    static const char *const kernels[] = {"flash_f16", "flash_bf16", "mla", "cascade"};

    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        CU_ASSERT_EQUAL(measured(kernels[i], "len=500", "accuracy"), 1);
        CU_ASSERT_EQUAL(measured(kernels[i], "len=500", "unexplained"), 0);
        CU_ASSERT_TRUE(fabs(measured(kernels[i], "len=500", "weights_sum") - 1) < 1e-3);
    }
}

static void the_same_numbers_stored_otherwise_give_the_same_answers(void)
{
    static const char *const stores[] = {"f16",  "bf16", "paged", "shared", "i8tok", "i8chan",
                                         "kivi", "q8_0", "q4_0",  "e4m3",   "e5m2"};
    char params[64];

    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        snprintf(params, sizeof params, "len=256 store=%s", stores[i]);
        CU_ASSERT_EQUAL(measured("kv_quant", params, "accuracy"), 1);
        CU_ASSERT_TRUE(fabs(measured("kv_quant", params, "mass") - 1) < 0.02);
    }
}

static void a_store_that_a_kernel_refuses_is_a_hole_with_its_reason(void)
{
    att_record r = needle("flash_f32", "len=256 store=q4_0");

    CU_ASSERT_EQUAL(r.status, ATT_HOLE);
    CU_ASSERT_TRUE(r.reason && *r.reason);
    att_record_clear(&r);
}

static void a_session_with_a_window_finds_what_the_window_holds(void)
{
    CU_ASSERT_EQUAL(measured("kv_ring", "len=256", "accuracy"), 1);
    CU_ASSERT_EQUAL(measured("kv_ring", "len=2048", "unexplained"), 0);
    CU_ASSERT_EQUAL(measured("kv_ring", "len=2048", "accuracy"),
                    measured("sliding_window{left=256}", "len=2048", "accuracy"));
    CU_ASSERT_EQUAL(measured("kv_cache", "len=2048", "accuracy"), 1);
}

static void gates_leave_the_share_that_they_are(void)
{
    /* the even spread, of which half is taken off, holds 1 / len of the needle */
    CU_ASSERT_DOUBLE_EQUAL(measured("differential", "len=256", "weights_sum"), 0.5, 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(measured("differential", "len=256", "mass"), 1 - 0.5 / 256, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(measured("gated", "len=256", "mass"), 1, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(measured("forgetting", "len=256", "mass"), 1, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(measured("knn_gated", "len=4096", "weights_sum"), 1, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(measured("nsa", "len=256", "weights_sum"), 1, 1e-4);
}

/* Asked in all rows: sessions and recurrences answer as the others do. */
static void questions_in_all_rows_reach_every_operator(void)
{
    static const char *const kernels[] = {"kv_cache", "cascade", "mla", "forgetting", "flash_f16"};

    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        att_record r = house_case("probe.mqar", kernels[i], "len=128 facts=8", 3);
        CU_ASSERT_EQUAL(r.status, ATT_PASS);
        CU_ASSERT_EQUAL(number(&r, "accuracy"), 1);
        att_record_clear(&r);
    }
}

static void open_house(void)
{
    house_open(1, NULL);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"every kernel that answers queries is asked", every_kernel_that_answers_queries_is_asked},
        {"kernels of one type get what they take", kernels_of_one_type_get_what_they_take},
        {"the same numbers stored otherwise give the same answers",
         the_same_numbers_stored_otherwise_give_the_same_answers},
        {"a store that a kernel refuses is a hole with its reason",
         a_store_that_a_kernel_refuses_is_a_hole_with_its_reason},
        {"a session with a window finds what the window holds",
         a_session_with_a_window_finds_what_the_window_holds},
        {"gates leave the share that they are", gates_leave_the_share_that_they_are},
        {"questions in all rows reach every operator", questions_in_all_rows_reach_every_operator},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_calls", tests);
}
