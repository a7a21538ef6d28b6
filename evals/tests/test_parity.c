/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include <sys/wait.h>
#include <unistd.h>

#include "evals/tests/made_kernels.h"
#include "evals/tests/parity_sweep.h"

/* ------------------------------------------------------------------ running a case */

static const att_kernel *const made[] = {&plain,  &beyond, &idle,  &boast, &mute,
                                         &spills, &strays, &stays, NULL};

static void open_house(void)
{
    house_open(2, made);
}

/* Measured and judged; the caller clears it. */
static att_record run_case(const char *kernel, const char *params, uint64_t seed)
{
    return house_case("parity", kernel, params, seed);
}

static att_outcome outcome(const char *kernel, const char *params)
{
    att_record r = run_case(kernel, params, 7);
    att_outcome status = r.status;

    att_record_clear(&r);
    return status;
}

static double number(const char *kernel, const char *params, const char *metric)
{
    att_record r = run_case(kernel, params, 7);
    const att_metric *m = att_record_metric(&r, metric);
    double value = m ? m->value : (double)NAN;

    att_record_clear(&r);
    return value;
}

/* ------------------------------------------------------------------------------- tests */

static void right_kernels_raise_no_alarm(void)
{
    static const char *const kernels[] = {"flash_f32",   "flash_bf16", "split_kv", "topk{k=8}",
                                          "linear_elu1", "pool_kv",    "plain",    NULL};
    sweep s = sweep_kernels(kernels, false);

    CU_ASSERT_EQUAL(s.failed, 0);
    CU_ASSERT(s.measured >= 300);
}

/* The zoo's bugs are the plain loop with one step wrong: it must be right wherever they are tried.
 */
static void the_plain_loop_is_right_everywhere(void)
{
    static const char *const kernels[] = {"plain", NULL};
    sweep s = {.kernels = kernels};

    sweep_rows(&kinds[2], 9003, &s);
    CU_ASSERT_EQUAL(s.failed, 0);
    CU_ASSERT(s.measured >= 100);
}

/* In a process of its own: some of the bugs read where nothing is. */
static bool caught(const char *kernel)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();

    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        close(1);
        close(2);
        const char *const alone[] = {kernel, NULL};
        sweep s = sweep_kernels(alone, true);
        _exit(s.failed > 0);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Bugs whose results are right, or wrong on lying or very large problems alone: memory, work and
 * refusals show them, and tests of the evals that look there. */
static bool is_found_elsewhere(const char *kernel)
{
    static const char *const kernels[] = {
        "mask_offset_32bit",    "page_offset_32bit",    "mla_latent_scale", /* parity_far */
        "use_after_free",       "group_size_forgotten", "kv_recopied_per_token",
        "dequant_buffers_grow", "block_table_overrun",  "past_overread",
        "window_masked_only",   "blocks_masked_only", /* cost */
        "cascade_unweighted",                         /* cascade */
        "grid_65535",           "stale_scale_plan",   /* calls in sequence */
        "stale_custom_mask",    "dangling_scale",       "future_leak_by_scale" /* laws */,
        "favor_two_projections" /* converge */};

    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(kernel, kernels[i]) == 0)
            return true;
    return false;
}

static void every_bug_of_the_zoo_is_caught(void)
{
    const att_kernel *const *zoo = att_kernel_table(NULL)->zoo;
    size_t bugs = 0;

    for (; zoo[bugs]; bugs++) {
        if (!zoo[bugs]->attend || is_found_elsewhere(zoo[bugs]->name))
            continue;
        bool found = caught(zoo[bugs]->name);
        if (!found)
            printf("missed: %s\n", zoo[bugs]->name);
        CU_ASSERT(found);
        CU_ASSERT_PTR_NOT_NULL(strchr(zoo[bugs]->summary, ':'));
        CU_ASSERT_PTR_NOT_NULL(zoo[bugs]->source);
    }
    CU_ASSERT(bugs >= 12);
}

static void the_first_case_of_the_issue_runs(void)
{
    CU_ASSERT_EQUAL(outcome("flash_f32", "b=2 hq=6 hkv=2 sq=40 sk=17 d=48 causal=br"), ATT_PASS);
}

static void the_same_case_gives_the_same_numbers(void)
{
    const char *params = "b=2 hq=6 hkv=2 sq=40 sk=17 d=48 causal=br";
    double first = number("flash_f32", params, "sigma_ratio");

    att_shelf_keep(&shelf, NULL); /* another worker's */
    CU_ASSERT_EQUAL(number("flash_f32", params, "sigma_ratio"), first);
    CU_ASSERT(first > 0);
}

static void a_write_past_the_output_is_counted(void)
{
    CU_ASSERT_EQUAL(number("beyond", "hq=2 sq=5 sk=9", "redzone"), 4);
    CU_ASSERT_EQUAL(outcome("beyond", "hq=2 sq=5 sk=9"), ATT_FAIL);
    CU_ASSERT_EQUAL(outcome("plain", "hq=2 sq=5 sk=9"), ATT_PASS);
}

static void an_output_never_written_is_all_not_finite(void)
{
    CU_ASSERT_EQUAL(number("idle", "hq=2 sq=5 sk=9 d=8", "nonfinite"), 2 * 5 * 8 + 2 * 5);
    CU_ASSERT_EQUAL(outcome("idle", "hq=2 sq=5 sk=9"), ATT_FAIL);
}

static void kept_pairs_that_are_not_allowed_are_counted(void)
{
    CU_ASSERT_EQUAL(number("boast", "hq=1 sq=4 sk=4 causal=tl", "select_illegal"), 6);
    CU_ASSERT_EQUAL(outcome("boast", "hq=1 sq=4 sk=4 causal=tl"), ATT_FAIL);
    CU_ASSERT_EQUAL(outcome("boast", "hq=1 sq=4 sk=4"), ATT_PASS);
}

static void a_select_that_writes_nothing_is_counted(void)
{
    CU_ASSERT_EQUAL(number("mute", "sq=2 sk=5 causal=br", "select_illegal"), 10);
    CU_ASSERT_EQUAL(outcome("mute", "sq=2 sk=5"), ATT_FAIL);
    CU_ASSERT_EQUAL(number("spills", "sq=2 sk=5 causal=br", "select_illegal"), 1);
}

/* A head whose logits are all -inf, one with a tile of NaN keys, one with a NaN first key: the
 * first two of 17 keys and the rows that see the third's first key must not be finite. */
static void logits_without_a_maximum_must_show(void)
{
    static const char *const right[] = {"naive_blas",   "flash_f32", "split_kv",
                                        "plain",        "topk{k=8}", "sink_window{sinks=1,left=0}",
                                        "reference_f64"};
    static const char *const cases[] = {
        "hq=3 sq=3 sk=17 values=dark", "hq=3 sq=1 sk=1 values=dark",
        "b=2 hq=6 hkv=3 sq=17 sk=129 causal=br mask=hole values=dark"};

    for (size_t k = 0; k < sizeof right / sizeof *right; k++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            CU_ASSERT_EQUAL(outcome(right[k], cases[i]), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("idle", cases[0]), ATT_PASS); /* nothing but NaN is wanted */
    CU_ASSERT(number("idle", "hq=3 sq=3 sk=129 mask=tile values=dark", "nonfinite") > 0);
}

static void packed_queries_over_pages_and_inverted_strides_are_taken(void)
{
    static const char *const right[] = {"naive_blas",  "flash_f32", "split_kv",
                                        "plain",       "topk{k=8}", "strided{stride=5,local=3}",
                                        "linear_elu1", "pool_kv"};
    static const char *const cases[] = {
        "b=3 hq=2 sq=7 sk=38 store=page16q lens=both causal=br lse=0",
        "b=2 hq=4 hkv=2 sq=5 sk=17 d=6 dv=3 store=page16q lse=0",
        "b=3 hq=4 hkv=2 sq=5 sk=17 d=6 dv=3 layout=inverted lens=keys lse=0"};

    for (size_t k = 0; k < sizeof right / sizeof *right; k++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            CU_ASSERT_EQUAL(outcome(right[k], cases[i]), ATT_PASS);
    CU_ASSERT(number("idle", cases[0], "nonfinite") > 0);
}

/* Its output is exact on the keys that it reports, and these are allowed ones: only the pattern
 * that its parameter promises tells that it is wrong. */
static void a_pattern_other_than_declared_is_counted(void)
{
    static const char *const cases[] = {"sq=9 sk=9 causal=br", "hq=2 hkv=1 sq=3 sk=17",
                                        "sq=9 sk=9 causal=pos", "b=3 sq=9 sk=17 lens=both",
                                        "sq=9 sk=9 causal=tl mask=full store=packed"};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT(number("strays{left=3}", cases[i], "select_pattern") > 0);
        CU_ASSERT_EQUAL(number("strays{left=3}", cases[i], "select_illegal"), 0);
        CU_ASSERT(number("strays{left=3}", cases[i], "bound_ratio") <= 1);
        CU_ASSERT_EQUAL(outcome("strays{left=3}", cases[i]), ATT_FAIL);
        CU_ASSERT_EQUAL(number("stays{left=3}", cases[i], "select_pattern"), 0);
        CU_ASSERT_EQUAL(outcome("stays{left=3}", cases[i]), ATT_PASS);
    }
    /* 9 rows of 9 keys: rows 4 to 8 see a fourth key before their own */
    CU_ASSERT_EQUAL(number("strays{left=3}", "sq=9 sk=9 causal=br", "select_pattern"), 5);
}

static void declared_patterns_are_kept(void)
{
    static const char *const kernels[] = {"sliding_window{left=2}",
                                          "sink_window{sinks=2,left=1}",
                                          "strided{stride=5,local=2}",
                                          "strided{stride=3,local=0}",
                                          "block_sparse{block=4,local=1,global=1,stride=3}",
                                          "block_sparse{block=4,local=2,global=0,stride=0}",
                                          "longformer{global=3,side=2}",
                                          "longformer{global=0,side=0}",
                                          "bigbird{block=4,window=1,random=2,global=1}",
                                          "bigbird{block=3,window=0,random=3,global=0,draw=9}"};
    static const char *const cases[] = {
        "hq=2 sq=38 sk=17", "hq=3 sq=17 sk=38 causal=br", "hq=3 sq=17 sk=65 causal=br wl=7 wr=3",
        "b=3 hq=4 hkv=2 sq=17 sk=17 lens=both store=page3 causal=tl bias=inf block=full"};

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            CU_ASSERT_EQUAL(number(kernels[k], cases[i], "select_pattern"), 0);
            CU_ASSERT_EQUAL(outcome(kernels[k], cases[i]), ATT_PASS);
        }
    CU_ASSERT(isnan(number("topk{k=3}", "sq=9 sk=9", "select_pattern")));
}

static void what_contradicts_itself_is_a_usage_error(void)
{
    static const char *const lines[] = {
        "parity flash_f32 hq=6 hkv=4", "parity flash_f32 store=page16 layout=pooled",
        "parity flash_f32 d=8 dv=9 layout=shared", "parity flash_f32 sinks=low values=dark"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        att_case *c = NULL;
        att_why why = {""};
        CU_ASSERT_EQUAL(att_case_parse(registry, lines[i], &c, &why), ATT_INVALID);
        att_case_drop(c);
    }
}

static void a_large_case_may_be_asked_for(void)
{
    CU_ASSERT_EQUAL(outcome("flash_f32", "hq=2 sq=300 sk=300 d=64 causal=br"), ATT_PASS);
}

/* 96 equal products drift together: more than any walk of independent roundings. */
static void equal_products_of_a_dot_product_raise_no_alarm(void)
{
    const char *params = "sq=129 sk=64 d=192 dv=128 wl=7 values=flat";
    att_record r = run_case("flash_f32", params, 9002);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    att_record_clear(&r);
}

static void what_a_kernel_lacks_is_a_hole(void)
{
    CU_ASSERT_EQUAL(outcome("flash_f32", "dtype=f16"), ATT_HOLE);
    CU_ASSERT_EQUAL(outcome("linear_elu1", "mask=full"), ATT_HOLE);
    CU_ASSERT_EQUAL(outcome("uniform", ""), ATT_HOLE);
}

static void captured_values_are_those_of_the_capture(void)
{
    CU_ASSERT_EQUAL(outcome("flash_f32", "hq=9 hkv=3 sq=16 sk=96 d=64 causal=br values=captured"),
                    ATT_PASS);
}

static void more_than_65535_heads_or_rows_are_judged(void)
{
    const char *heads = "hq=65537 hkv=1 sq=1 sk=3 d=2";

    CU_ASSERT_EQUAL(outcome("flash_f32", heads), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("split_kv", "sq=65537 sk=3 d=1"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("grid_65535", "hq=2 sq=5 sk=3"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("grid_65535", heads), ATT_FAIL);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"covering arrays of seven kinds are made", make_kinds},
        {"the first case of the issue runs", the_first_case_of_the_issue_runs},
        {"the same case gives the same numbers", the_same_case_gives_the_same_numbers},
        {"right kernels raise no alarm", right_kernels_raise_no_alarm},
        {"the plain loop is right everywhere", the_plain_loop_is_right_everywhere},
        {"every bug of the zoo is caught", every_bug_of_the_zoo_is_caught},
        {"a write past the output is counted", a_write_past_the_output_is_counted},
        {"an output never written is all not finite", an_output_never_written_is_all_not_finite},
        {"kept pairs that are not allowed are counted",
         kept_pairs_that_are_not_allowed_are_counted},
        {"a select that writes nothing is counted", a_select_that_writes_nothing_is_counted},
        {"logits without a maximum must show", logits_without_a_maximum_must_show},
        {"packed queries over pages and inverted strides are taken",
         packed_queries_over_pages_and_inverted_strides_are_taken},
        {"a pattern other than declared is counted", a_pattern_other_than_declared_is_counted},
        {"declared patterns are kept", declared_patterns_are_kept},
        {"what contradicts itself is a usage error", what_contradicts_itself_is_a_usage_error},
        {"a large case may be asked for", a_large_case_may_be_asked_for},
        {"equal products of a dot product raise no alarm",
         equal_products_of_a_dot_product_raise_no_alarm},
        {"what a kernel lacks is a hole", what_a_kernel_lacks_is_a_hole},
        {"captured values are those of the capture", captured_values_are_those_of_the_capture},
        {"more than 65535 heads or rows are judged", more_than_65535_heads_or_rows_are_judged},
        {"the house closes", close_kinds},
        CU_TEST_INFO_NULL};

    return att_suite_run("parity", tests);
}
