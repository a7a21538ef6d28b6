/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"

static void open_house(void)
{
    house_open(1, NULL);
}

/* Measured and judged; the caller clears it. */
static att_record run_case(const char *kernel, const char *params)
{
    return house_case("resources", kernel, params, 3);
}

static double number(const att_record *r, const char *metric)
{
    const att_metric *m = att_record_metric(r, metric);

    return m ? m->value : (double)NAN;
}

static bool names(const att_record *r, const char *fault)
{
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (strcmp(r->diagnoses[d].fault, fault) == 0)
            return true;
    return false;
}

#define WINDOW "wl=64 steps=100"

static void a_window_is_all_that_a_windowed_kernel_reads(void)
{
    att_record r = run_case("flash_f32", WINDOW);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_EQUAL(number(&r, "keys_touched"), 65);
    CU_ASSERT_EQUAL(number(&r, "leak_bytes"), 0);
    att_record_clear(&r);
}

static void a_kernel_may_read_everything_and_say_so(void)
{
    att_record r = run_case("naive_blas", WINDOW);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_EQUAL(number(&r, "keys_touched"), 2048);
    att_record_clear(&r);
}

static void right_kernels_pass(void)
{
    static const char *const kernels[] = {"split_kv", "topk{k=8}",      "linear_elu1", "pool_kv",
                                          "strided",  "sliding_window", "flash_f32",   NULL};

    for (size_t i = 0; kernels[i]; i++) {
        att_record r = run_case(kernels[i], "steps=100");
        if (r.status != ATT_PASS)
            printf("%s: %s\n", kernels[i], r.reason ? r.reason : "");
        CU_ASSERT_EQUAL(r.status, ATT_PASS);
        att_record_clear(&r);
    }
}

static void a_window_counted_in_rows_is_caught_and_named(void)
{
    att_record r = run_case("group_size_forgotten", WINDOW);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(number(&r, "keys_ratio") > 2);
    CU_ASSERT(names(&r, "group_size_forgotten"));
    att_record_clear(&r);
}

static void a_step_that_copies_the_cache_is_caught_and_named(void)
{
    att_record r = run_case("kv_recopied_per_token", WINDOW);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(number(&r, "capacity_ratio") > 3);
    CU_ASSERT(names(&r, "kv_recopied_per_token"));
    att_record_clear(&r);
}

/* Where malloc is not counted the resident set still grows, less exactly. */
static void memory_kept_every_call_is_caught(void)
{
    att_record r = run_case("dequant_buffers_grow", WINDOW);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_EQUAL(names(&r, "dequant_buffers_grow"), att_heap_counts());
    att_record_clear(&r);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the house opens", open_house},
        {"a window is all that a windowed kernel reads",
         a_window_is_all_that_a_windowed_kernel_reads},
        {"a kernel may read everything and say so", a_kernel_may_read_everything_and_say_so},
        {"right kernels pass", right_kernels_pass},
        {"a window counted in rows is caught and named",
         a_window_counted_in_rows_is_caught_and_named},
        {"a step that copies the cache is caught and named",
         a_step_that_copies_the_cache_is_caught_and_named},
        {"memory kept every call is caught", memory_kept_every_call_is_caught},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("resources", tests);
}
