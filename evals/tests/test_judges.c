/* SPDX-License-Identifier: Apache-2.0 */
/* Other people's rules: each passes at its own limit and not beyond; what they say of a case. */
#include "evals/tests/house.h"

#include <string.h>

#include "evals/numeric/judges.h"

static void open_house(void)
{
    house_open(1, NULL);
}

/* What rule `name` says of four ones that are off by e, beside a reference off by `low`. */
static double says(const char *name, int32_t dtype, double e, double low)
{
    const double want[4] = {1, 1, 1, 1}, got[4] = {1 + e, 1, 1, 1}, plain[4] = {1 + low, 1, 1, 1};
    const judge_pair pair = {4, got, want, plain, dtype};

    for (const judge *j = judges; j->name; j++)
        if (strcmp(j->name, name) == 0)
            return j->rule(&pair);
    CU_FAIL_FATAL("no such judge");
    return -1;
}

static void each_rule_passes_at_its_limit_and_not_beyond(void)
{
    static const struct {
        const char *name;
        int32_t dtype;
        double limit;
    } rules[] = {{"torch_close", ATT_F32, 1e-5 + 1.3e-6},
                 {"torch_close", ATT_F16, 1e-5 + 1e-3},
                 {"torch_close", ATT_BF16, 1e-5 + 1.6e-2},
                 {"ort_close", ATT_F32, 1e-5 + 1e-4},
                 {"ort_close", ATT_F16, 2.5e-3 + 1e-3},
                 {"ort_close", ATT_BF16, 2e-2 + 1e-2},
                 {"plain_1e3", ATT_F32, 2e-3},
                 {"plain_15e3", ATT_F32, 1.5e-2},
                 {"rms_5e3", ATT_F32, 0.01},            /* one of four: sqrt(4) 0.005 */
                 {"ggml_nmse", ATT_F32, 0.04472135955}, /* sqrt(4 * 5e-4) */
                 {"max_ratio", ATT_F32, 1.5 * 1e-3},
                 {"mean_ratio", ATT_F32, 1.1 * 1e-3}};

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        CU_ASSERT(says(rules[i].name, rules[i].dtype, 0.999 * rules[i].limit, 1e-3) <= 1);
        CU_ASSERT(says(rules[i].name, rules[i].dtype, 1.001 * rules[i].limit, 1e-3) > 1);
    }
    /* twice the reference's error, and a rounding or two of 1.3 */
    CU_ASSERT(says("flash_2x", ATT_F32, 2e-3, 1e-3) <= 1);
    CU_ASSERT(says("flash_2x", ATT_F32, 2.01e-3, 1e-3) > 1);
    CU_ASSERT(says("flash_2x", ATT_BF16, 2.01e-3, 1e-3) <= 1);
}

static void what_equals_the_answer_passes_everywhere_and_a_nan_nowhere(void)
{
    for (const judge *j = judges; j->name; j++)
        CU_ASSERT_EQUAL(says(j->name, ATT_BF16, 0, 0), 0);
    att_record r = house_case("judges", "lse_never_written", "sq=8 sk=33", 3);
    CU_ASSERT_EQUAL(r.status, ATT_PASS); /* nothing here is a verdict */
    const att_metric *own = att_record_metric(&r, "attest");
    const att_metric *other = att_record_metric(&r, "torch_close");
    CU_ASSERT_PTR_NOT_NULL_FATAL(own);
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    CU_ASSERT(!(own->value <= 1)); /* the LSE is looked at */
    CU_ASSERT(other->value <= 1);  /* and here it is not */
    CU_ASSERT_EQUAL(own->verdict, -1);
    att_record_clear(&r);
}

/* Keys outside the window hold NaN only where there are traps. */
static void without_traps_a_bug_that_multiplies_unseen_keys_hides(void)
{
    att_record trapped = house_case("judges", "zero_times_nan", "sq=8 sk=65 d=40 wl=7", 3);
    att_record loose =
        house_case("judges", "zero_times_nan", "sq=8 sk=65 d=40 wl=7 place=loose", 3);
    const att_metric *seen = att_record_metric(&trapped, "plain_1e3");
    const att_metric *unseen = att_record_metric(&loose, "attest");

    CU_ASSERT(seen && !(seen->value <= 1));
    CU_ASSERT(unseen && unseen->value <= 1);
    att_record_clear(&trapped);
    att_record_clear(&loose);
}

static void loose_memory_is_still_watched(void)
{
    att_record r =
        house_case("parity", "flash_f32", "sq=8 sk=65 d=40 lens=both b=3 place=loose", 3);
    const att_metric *changed = att_record_metric(&r, "redzone");

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT(changed && changed->value == 0);
    att_record_clear(&r);
}

static void right_kernels_pass_this_rule_in_every_storage_type(void)
{
    static const char *const params[] = {"sq=8 sk=65 d=64", "sq=8 sk=65 d=64 dtype=f16",
                                         "sq=8 sk=65 d=64 dtype=bf16 causal=br sinks=mixed"};

    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        for (const att_kernel *const *k = att_kernel_table(NULL)->different; *k; k++) {
            att_record r = house_case("judges", (*k)->name, params[i], 3);
            const att_metric *own = att_record_metric(&r, "attest");
            CU_ASSERT(own && own->value <= 1);
            att_record_clear(&r);
        }
}

int main(void)
{
    const CU_TestInfo tests[] = {{"the kernels of the house come together", open_house},
                                 {"each rule passes at its limit and not beyond",
                                  each_rule_passes_at_its_limit_and_not_beyond},
                                 {"what equals the answer passes everywhere and a NaN nowhere",
                                  what_equals_the_answer_passes_everywhere_and_a_nan_nowhere},
                                 {"without traps a bug that multiplies unseen keys hides",
                                  without_traps_a_bug_that_multiplies_unseen_keys_hides},
                                 {"loose memory is still watched", loose_memory_is_still_watched},
                                 {"right kernels pass this rule in every storage type",
                                  right_kernels_pass_this_rule_in_every_storage_type},
                                 {"the house closes", house_close},
                                 CU_TEST_INFO_NULL};

    return att_suite_run("judges", tests);
}
