/* SPDX-License-Identifier: Apache-2.0 */
/* What parity's dictionary of faults says of wrong kernels. */
#include "evals/tests/house.h"

#include "core/names.h"
#include "evals/tests/made_kernels.h"

/* ------------------------------------------------------------------- kernels of this test */

/* Calls `change` on every element of a right answer. */
static att_status changed_attend(const att_kernel *self, const att_problem *p, const att_scratch *s,
                                 float (*change)(float x, int64_t d))
{
    att_status status = plain_attend(self, p, s);

    for (int64_t r = 0; r < p->batch * p->heads_q * p->q_len && status == ATT_OK; r++)
        for (int64_t d = 0; d < p->value_dim; d++) {
            const int64_t at = att_tensor_at(&p->out, r / (p->heads_q * p->q_len),
                                             r / p->q_len % p->heads_q, r % p->q_len, d);
            att_store(p->out.data, p->out.dtype, at,
                      change(att_load(p->out.data, p->out.dtype, at), d));
        }
    return status;
}

static float warp(float x, int64_t d)
{
    return d % 2 ? x : 0.3f + 0.7f * x * x;
}

static att_status odd_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return changed_attend(self, p, s, warp);
}

static float drift(float x, int64_t d)
{
    static float calls;

    return x + (d == 0 ? calls += 1.0f : 0.0f);
}

static att_status moody_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return changed_attend(self, p, s, drift);
}

static const att_kernel odd = {.struct_size = sizeof(att_kernel),
                               .abi = ATT_ABI,
                               .name = "odd",
                               .family = "made",
                               .summary = "wrong in a way of its own",
                               .precision = F32_PRECISION,
                               .supports = att_plain_supports,
                               .plan = att_plain_plan_of,
                               .attend = odd_attend};
static const att_kernel moody = {.struct_size = sizeof(att_kernel),
                                 .abi = ATT_ABI,
                                 .name = "moody",
                                 .family = "made",
                                 .summary = "counts its calls in the result",
                                 .precision = F32_PRECISION,
                                 .supports = att_plain_supports,
                                 .plan = att_plain_plan_of,
                                 .attend = moody_attend};

/* ------------------------------------------------------------------------------- tests */

static void open_house(void)
{
    static const att_kernel *const made[] = {&plain, &idle, &odd, &moody, NULL};

    house_open(2, made);
}

static bool names(const char *kernel, const char *params, const char *fault)
{
    att_record r = house_case("parity", kernel, params, 7);
    bool found = false;

    for (size_t d = 0; d < r.n_diagnoses; d++)
        found |= att_fault_same(r.diagnoses[d].fault, fault) && r.diagnoses[d].ratio <= 1;
    att_record_clear(&r);
    return found;
}

static void the_dictionary_names_bugs(void)
{
    const char *heads = "hq=6 hkv=2 sq=9 sk=17 values=coded";

    CU_ASSERT(names("causal_top_left", "hq=2 sq=5 sk=33 causal=br", "causal_top_left"));
    CU_ASSERT(names("causal_per_4_rows", "hq=2 sq=33 sk=33 causal=br", "causal_per_4_rows"));
    CU_ASSERT(names("window_off_by_one", "sq=33 sk=33 wl=7", "window_off_by_one"));
    CU_ASSERT(names("zero_window", "sq=33 sk=33 wl=0 causal=br", "zero_window"));
    CU_ASSERT(names("gqa_tile_order", heads, "gqa_tile_order"));
    CU_ASSERT(names("softcap_ignored", "sq=9 sk=33 softcap=2 values=heavy", "softcap_ignored"));
    CU_ASSERT(names("alibi_nonpow2", "hq=6 sq=9 sk=33 alibi=on", "alibi_nonpow2"));
    CU_ASSERT(names("log2e_missing", "sq=9 sk=33", "log2e_missing"));
    CU_ASSERT(names("lse_never_written", "sq=9 sk=33", "lse_never_written"));
    CU_ASSERT(names("pad_lanes_in_denominator", "sq=9 sk=17", "pad_lanes_in_denominator"));
    CU_ASSERT(names("grid_65535", "hq=65537 hkv=1 sq=1 sk=3 d=2", "grid_65535"));
    CU_ASSERT(names("absent_pos_aliases_out", "hq=2 sq=5 sk=33", "output_read"));
    CU_ASSERT(
        names("mask_head_dim_ignored", "b=2 hq=3 sq=9 sk=33 mask=heads", "mask_head_dim_ignored"));
}

static void the_dictionary_names_block_masks_and_segments(void)
{
    CU_ASSERT(
        names("block_level_causal", "hq=2 sq=40 sk=60 causal=br block=rows", "block_level_causal"));
    CU_ASSERT(names("block_mask_head_broadcast", "hq=3 sq=1 sk=60 block=batch",
                    "block_mask_head_broadcast"));
    CU_ASSERT(names("alibi_half_offset", "hq=6 sq=9 sk=33 alibi=on", "alibi_half_offset"));
    CU_ASSERT(names("nystrom_pad_mask", "b=2 hq=2 sq=9 sk=129 mask=tile", "nystrom_pad_mask"));
    CU_ASSERT_FALSE(names("alibi_nonpow2", "hq=6 sq=9 sk=33 alibi=on", "alibi_half_offset"));
    CU_ASSERT_FALSE(
        names("zero_times_nan", "hq=2 sq=9 sk=33 causal=br mask=rows", "nystrom_pad_mask"));
}

static void the_dictionary_does_not_name_what_is_not_there(void)
{
    CU_ASSERT_FALSE(names("gqa_tile_order", "hq=6 hkv=2 sq=9 sk=17 causal=br", "causal_top_left"));
    CU_ASSERT_FALSE(names("log2e_missing", "hq=6 hkv=2 sq=9 sk=17 wl=7", "window_off_by_one"));
    CU_ASSERT_FALSE(names("flash_f32", "hq=6 hkv=2 sq=9 sk=17 causal=br", "causal_top_left"));
}

/* No other name holds but at its very limit; where the output is wrong comes last. */
static void expect_alone(const char *kernel, const char *params, const char *fault)
{
    att_record r = house_case("parity", kernel, params, 7);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_FATAL(r.n_diagnoses >= 2);
    CU_ASSERT_STRING_EQUAL(r.diagnoses[0].fault, fault);
    CU_ASSERT_STRING_EQUAL(r.diagnoses[r.n_diagnoses - 1].fault, "first_bad");
    for (size_t d = 1; d < r.n_diagnoses; d++)
        CU_ASSERT_FALSE(r.diagnoses[d].ratio < 1);
    att_record_clear(&r);
}

static void what_nothing_explains_is_called_unknown(void)
{
    expect_alone("odd", "hq=2 sq=5 sk=9", ATT_UNKNOWN);
    expect_alone("odd", "b=2 hq=6 hkv=2 sq=17 sk=40 causal=br mask=rows softcap=50", ATT_UNKNOWN);
}

static void what_does_not_repeat_is_called_so_and_nothing_else(void)
{
    expect_alone("moody", "hq=2 sq=5 sk=9", "nondeterministic");
}

static void what_is_not_written_is_told_from_what_is_read_there(void)
{
    expect_alone("idle", "hq=2 sq=5 sk=9 lse=0", "rows_not_written");
    expect_alone("absent_pos_aliases_out", "hq=2 sq=5 sk=9", "output_read");
}

static void the_first_wrong_element_is_said_with_its_place_and_its_limit(void)
{
    att_record r = house_case("parity", "odd", "hq=2 sq=5 sk=9", 7);
    const char *text = r.n_diagnoses == 2 ? r.diagnoses[1].text : "";

    CU_ASSERT_PTR_NOT_NULL(strstr(text, "b=0 h=0 i=0 d=0: got "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ", want "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ", ratio "));
    att_record_clear(&r);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"the dictionary names bugs", the_dictionary_names_bugs},
        {"the dictionary names block masks and segments",
         the_dictionary_names_block_masks_and_segments},
        {"the dictionary does not name what is not there",
         the_dictionary_does_not_name_what_is_not_there},
        {"what nothing explains is called unknown", what_nothing_explains_is_called_unknown},
        {"what does not repeat is called so and nothing else",
         what_does_not_repeat_is_called_so_and_nothing_else},
        {"what is not written is told from what is read there",
         what_is_not_written_is_told_from_what_is_read_there},
        {"the first wrong element is said with its place and its limit",
         the_first_wrong_element_is_said_with_its_place_and_its_limit},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("parity's names", tests);
}
