/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "evals/tests/made_backward.h"

static void open_house(void)
{
    house_open(3, made_backwards());
}

static att_record run_case(const char *kernel, const char *params)
{
    return house_case("grad", kernel, params, 7);
}

static att_outcome outcome(const char *kernel, const char *params)
{
    att_record r = run_case(kernel, params);
    const att_outcome status = r.status;

    if (status != ATT_PASS && r.reason)
        printf("\n%s: %s: %s", kernel, params, r.reason);
    att_record_clear(&r);
    return status;
}

/* The case fails, and `fault` is named first. */
static bool names(const char *kernel, const char *params, const char *fault)
{
    att_record r = run_case(kernel, params);
    const bool found = r.status == ATT_FAIL && r.n_diagnoses > 0 &&
                       strcmp(r.diagnoses[0].fault, fault) == 0 && r.diagnoses[0].ratio <= 1;

    for (size_t d = 0; !found && d < r.n_diagnoses; d++)
        printf("\n%s: %s %g %s", kernel, r.diagnoses[d].fault, r.diagnoses[d].ratio,
               r.diagnoses[d].text);
    att_record_clear(&r);
    return found;
}

static bool violates(const char *kernel, const char *params, const char *metric)
{
    att_record r = run_case(kernel, params);
    const att_metric *m = att_record_metric(&r, metric);
    const bool found = r.status == ATT_FAIL && m && m->verdict == 0;

    att_record_clear(&r);
    return found;
}

static const char *const extremes[] = {
    "b=2 hq=6 hkv=2 sq=17 sk=38 d=40 dv=8 causal=br softcap=2 sinks=mixed alibi=on bias=heads "
    "lens=both",
    "b=3 hq=2 sq=17 sk=65 d=8 dtype=bf16 mask=empty layout=padded place=flush values=heavy",
    "b=2 hq=3 hkv=1 sq=38 sk=17 d=64 causal=tl dtype=f16 place=front layout=bshd values=outlier",
    "b=2 hq=2 sq=17 sk=38 store=packed lens=both causal=br wl=7 bias=inf layout=padded",
    "b=2 hq=2 sq=2 sk=129 d=40 values=deep softcap=50",
    "hq=2 sq=17 sk=17 d=8 values=flat",
    "hq=2 sq=17 sk=38 d=8 values=late sinks=high",
    "hq=2 sq=17 sk=38 d=8 values=subnormal dtype=f16",
    "b=2 hq=2 hkv=1 sq=17 sk=38 d=8 values=nan causal=br",
    "hq=2 sq=17 sk=38 d=8 values=zero dtype=bf16",
    "hq=2 sq=17 sk=38 d=8 values=ones block=heads",
    "hq=2 sq=17 sk=38 d=40 values=equal bias=column layout=shared",
    "b=2 hq=2 sq=17 sk=38 d=8 bias=rows layout=broadcast wr=0 wl=7 causal=pos",
    "hq=2 sq=38 sk=17 causal=br values=captured layout=pooled threads=3",
    "b=0",
    "sq=0 sk=5",
    "sq=5 sk=0 bias=full"};

static void right_kernels_pass_at_extremes(void)
{
    static const char *const kernels[] = {"reference_f64", "flash_backward", "back_plain",
                                          "back_own_sums", "back_rounded"};

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++)
            CU_ASSERT_EQUAL(outcome(kernels[k], extremes[i]), ATT_PASS);
}

static void the_oracles_gradients_are_its_forwards_differences(void)
{
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        att_record r = run_case("reference_f64", extremes[i]);
        const att_metric *m = att_record_metric(&r, "difference_ratio");
        CU_ASSERT_EQUAL(r.status, ATT_PASS);
        CU_ASSERT(strstr(extremes[i], "nan") ? m == NULL : m && m->value <= 1);
        att_record_clear(&r);
    }
}

static void an_f64_element_off_by_a_millionth_is_found_where_it_is(void)
{
    att_record r = run_case("back_bent", "b=1 hq=2 sq=17 sk=17 d=8 dtype=f64");
    const att_metric *m = att_record_metric(&r, "difference_ratio");
    bool found = false;

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(m && m->value > 1);
    for (size_t d = 0; d < r.n_diagnoses; d++)
        found |= strcmp(r.diagnoses[d].fault, "not_the_derivative") == 0 &&
                 strstr(r.diagnoses[d].text, "dv, element 26:") != NULL;
    CU_ASSERT(found); /* key 3, channel 2 of 8 */
    att_record_clear(&r);
}

static void each_mistake_is_caught_and_named(void)
{
    CU_ASSERT(names("back_dq_unscaled", "hq=2 sq=17 sk=17 d=8", "grad_dq_unscaled"));
    CU_ASSERT(names("back_dk_unscaled", "hq=2 sq=17 sk=17 d=8", "grad_dk_unscaled"));
    CU_ASSERT(names("back_no_mean", "hq=2 sq=17 sk=17 d=8", "grad_mean_missing"));
    CU_ASSERT(names("back_last_head", "hq=6 hkv=2 sq=17 sk=17 d=8", "grad_group_last"));
    CU_ASSERT(names("back_no_slope", "hq=2 sq=17 sk=17 d=8 softcap=2", "grad_softcap_slope"));
    CU_ASSERT(names("back_raw", "hq=2 sq=17 sk=17 d=8", "grad_weights_raw"));
    CU_ASSERT(names("back_no_sink", "hq=2 sq=17 sk=17 d=8 sinks=mixed", "grad_sink_missing"));
    CU_ASSERT(names("back_all_keys", "hq=2 sq=17 sk=17 d=8 causal=br", "grad_causal_ignored"));
    CU_ASSERT(names("back_all_keys", "hq=2 sq=17 sk=17 d=8 mask=rows", "grad_mask_ignored"));
}

static void each_mistake_is_caught_in_half_types_too(void)
{
    static const char *const wrong[] = {"back_dq_unscaled", "back_no_mean", "back_raw",
                                        "back_dk_unscaled"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CU_ASSERT_EQUAL(outcome(wrong[i], "hq=2 sq=17 sk=17 d=8 dtype=bf16"), ATT_FAIL);
        CU_ASSERT_EQUAL(outcome(wrong[i], "hq=2 sq=17 sk=17 d=8 dtype=f16"), ATT_FAIL);
    }
}

static void a_mistake_hides_where_its_condition_is_not_met(void)
{
    CU_ASSERT_EQUAL(outcome("back_dq_unscaled", "hq=2 sq=17 sk=17 d=1"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("back_last_head", "hq=2 sq=17 sk=17 d=8"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("back_no_slope", "hq=2 sq=17 sk=17 d=8"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("back_all_keys", "hq=2 sq=17 sk=17 d=8"), ATT_PASS);
}

static void what_is_written_outside_or_left_unwritten_shows(void)
{
    CU_ASSERT(violates("back_beyond", "hq=2 sq=17 sk=17 d=8", "redzone"));
    CU_ASSERT(violates("back_lazy", "hq=2 sq=5 sk=17 d=8 causal=tl", "unreached"));
}

static void zeros_added_before_a_gradient_show_and_are_named(void)
{
    CU_ASSERT(names("sentinel_scatter", "hq=2 sq=17 sk=17 d=8 mask=rows", "sentinel_scatter"));
    CU_ASSERT(
        names("sentinel_scatter", "hq=2 sq=17 sk=17 d=8 mask=rows dtype=bf16", "sentinel_scatter"));
    CU_ASSERT(names("sentinel_scatter", "hq=2 sq=17 sk=17 d=8 block=heads dtype=f16",
                    "sentinel_scatter"));
    CU_ASSERT_EQUAL(outcome("sentinel_scatter", "hq=2 sq=17 sk=16 d=8 mask=ones"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("sentinel_scatter", "hq=2 sq=17 sk=17 d=8"), ATT_PASS);
}

static void what_has_no_backward_is_a_hole(void)
{
    CU_ASSERT_EQUAL(outcome("flash_f32", "hq=2"), ATT_HOLE);
    CU_ASSERT_EQUAL(outcome("topk{k=8}", "hq=2"), ATT_HOLE);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"right kernels pass at extremes", right_kernels_pass_at_extremes},
        {"the oracle's gradients are its forward's differences",
         the_oracles_gradients_are_its_forwards_differences},
        {"an f64 element off by a millionth is found where it is",
         an_f64_element_off_by_a_millionth_is_found_where_it_is},
        {"each mistake is caught and named", each_mistake_is_caught_and_named},
        {"each mistake is caught in half types too", each_mistake_is_caught_in_half_types_too},
        {"a mistake hides where its condition is not met",
         a_mistake_hides_where_its_condition_is_not_met},
        {"what is written outside or left unwritten shows",
         what_is_written_outside_or_left_unwritten_shows},
        {"zeros added before a gradient show and are named",
         zeros_added_before_a_gradient_show_and_are_named},
        {"what has no backward is a hole", what_has_no_backward_is_a_hole},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("grad", tests);
}
