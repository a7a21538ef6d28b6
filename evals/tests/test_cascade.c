/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences that begin with the same pages, and keys met in parts: right kernels pass, wrong merges
 * and wrong ends do not. */
#include "evals/tests/house.h"

static void open_house(void)
{
    house_open(2, NULL);
}

static att_outcome outcome(const char *kernel, const char *params)
{
    att_record r = house_case("parity", kernel, params, 3);
    const att_outcome status = r.status;

    att_record_clear(&r);
    return status;
}

static void every_right_kernel_reads_shared_pages(void)
{
    static const char *const kernels[] = {"cascade",  "ring{ranks=3}", "flash_f32",
                                          "split_kv", "naive_blas",    "reference_f64"};
    static const char *const lens[] = {"none", "keys", "both"};

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t l = 0; l < 3; l++) {
            char params[128];
            snprintf(params, sizeof params,
                     "b=3 hq=4 hkv=2 sq=3 sk=65 d=8 causal=br store=page%ds lens=%s", l ? 3 : 16,
                     lens[l]);
            CU_ASSERT_EQUAL(outcome(kernels[k], params), ATT_PASS);
        }
}

static void a_prefix_merged_without_weights_fails_where_pages_are_shared(void)
{
    const char *shared = "b=3 hq=4 hkv=2 sq=3 sk=65 d=8 causal=br store=page16s";
    const char *apart = "b=3 hq=4 hkv=2 sq=3 sk=65 d=8 causal=br store=page16";

    CU_ASSERT_EQUAL(outcome("cascade_unweighted", shared), ATT_FAIL);
    CU_ASSERT_EQUAL(outcome("cascade_unweighted", apart), ATT_PASS);
}

static void a_suffix_as_long_as_the_longest_fails_where_lengths_differ(void)
{
    const char *ragged = "b=3 hq=4 hkv=2 sq=3 sk=65 d=8 causal=br lens=keys store=page16s";
    const char *even = "b=3 hq=4 hkv=2 sq=3 sk=65 d=8 causal=br store=page16s";

    CU_ASSERT_EQUAL(outcome("cascade_suffix_longest", ragged), ATT_FAIL);
    CU_ASSERT_EQUAL(outcome("cascade_suffix_longest", even), ATT_PASS);
}

static void cascade_refuses_what_has_no_pages(void)
{
    CU_ASSERT_EQUAL(outcome("cascade", "b=2 sq=3 sk=17"), ATT_HOLE);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"every right kernel reads shared pages", every_right_kernel_reads_shared_pages},
        {"a prefix merged without weights fails where pages are shared",
         a_prefix_merged_without_weights_fails_where_pages_are_shared},
        {"a suffix as long as the longest fails where lengths differ",
         a_suffix_as_long_as_the_longest_fails_where_lengths_differ},
        {"cascade refuses what has no pages", cascade_refuses_what_has_no_pages},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("cascade", tests);
}
