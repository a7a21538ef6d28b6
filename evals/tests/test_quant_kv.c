/* SPDX-License-Identifier: Apache-2.0 */
/* K and V stored quantised: right kernels pass wherever they lie, wrong ones are named. */
#include "evals/tests/house.h"

static void open_house(void)
{
    house_open(2, NULL);
}

static att_outcome outcome(const char *measure, const char *kernel, const char *params)
{
    att_record r = house_case(measure, kernel, params, 7);
    att_outcome status = r.status;

    if (status != ATT_PASS)
        printf("%s: %s\n", r.line, r.reason ? r.reason : "");
    att_record_clear(&r);
    return status;
}

static bool names(const char *kernel, const char *params, const char *fault)
{
    att_record r = house_case("parity", kernel, params, 7);
    bool found = false;

    for (size_t d = 0; d < r.n_diagnoses; d++)
        found |= strcmp(r.diagnoses[d].fault, fault) == 0 && r.diagnoses[d].ratio <= 1;
    att_record_clear(&r);
    return found;
}

static void every_scheme_passes_in_every_storage(void)
{
    static const char *const schemes[] = {"i8tok", "i8chan", "i8group", "i8run",   "q8_0",   "q4_0",
                                          "e4m3",  "e5m2",   "kivi",    "i8k_q4v", "e5k_i8v"};
    static const char *const stores[] = {
        "b=2 hq=6 hkv=2 sq=5 sk=38 d=40 causal=br layout=reversed",
        "b=2 hq=2 sq=3 sk=33 d=5 dv=33 store=page3 lens=both layout=padded place=flush",
        "b=3 hq=2 sq=9 sk=17 d=8 store=packed lens=both dtype=bf16 values=constant"};

    for (size_t q = 0; q < sizeof schemes / sizeof *schemes; q++)
        for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
            char params[200];
            snprintf(params, sizeof params, "%s quant=%s", stores[i], schemes[q]);
            CU_ASSERT_EQUAL(outcome("parity", "kv_quant", params), ATT_PASS);
        }
}

/* The oracle reads codes and scales by code of its own: it and the eval's must agree. */
static void the_oracle_reads_codes_as_the_eval_does(void)
{
    CU_ASSERT_EQUAL(
        outcome("parity", "reference_f64", "b=2 sq=3 sk=33 d=40 layout=reversed quant=q4_0"),
        ATT_PASS);
    CU_ASSERT_EQUAL(outcome("parity", "reference_f64", "b=2 sq=3 sk=33 d=40 quant=kivi"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("parity", "reference_f64", "b=2 sq=3 sk=33 d=40 quant=e4m3"), ATT_PASS);
}

static void quantised_kv_lies_as_any_other(void)
{
    static const char *const lines[] = {"b=2 hq=3 sq=2 sk=17 d=40 layout=stepped quant=i8group",
                                        "b=2 hq=3 sq=2 sk=17 d=40 layout=inverted quant=e5m2",
                                        "b=2 hq=2 sq=9 sk=17 d=8 causal=tl values=nan quant=e4m3",
                                        "b=2 hq=2 sq=9 sk=17 layout=broadcast quant=kivi",
                                        "sq=2 sk=17 values=subnormal quant=i8tok",
                                        "b=0 quant=q8_0",
                                        "sk=0 quant=i8chan"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CU_ASSERT_EQUAL(outcome("parity", "kv_quant", lines[i]), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("parity", "flash_p8", "hq=2 sq=17 sk=65 values=ramp"), ATT_PASS);
    CU_ASSERT_EQUAL(outcome("parity", "flash_f32", "quant=i8tok"), ATT_HOLE);
}

static void what_no_storage_holds_is_a_usage_error(void)
{
    static const char *const lines[] = {
        "parity kv_quant quant=q8_0 layout=stepped", "parity kv_quant quant=i8tok layout=pooled",
        "parity kv_quant quant=i8tok values=nan", "laws kv_quant law=v_linear quant=q8_0"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        att_case *c = NULL;
        att_why why = {""};
        CU_ASSERT_EQUAL(att_case_parse(registry, lines[i], &c, &why), ATT_INVALID);
        att_case_drop(c);
    }
}

/* A recorded number; NaN: none of that name. */
static double figure(const char *measure, const char *kernel, const char *params, const char *name)
{
    att_record r = house_case(measure, kernel, params, 7);
    double value = (double)NAN;

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    for (size_t m = 0; m < r.n_metrics; m++)
        if (strcmp(r.metrics[m].name, name) == 0)
            value = r.metrics[m].value;
    att_record_clear(&r);
    return value;
}

static void quantisation_is_reported_as_a_loss_too(void)
{
    const double q8 = figure("parity", "kv_quant", "sq=3 sk=33 d=40 quant=q8_0", "loss_l2");
    const double q4 = figure("parity", "kv_quant", "sq=3 sk=33 d=40 quant=q4_0", "loss_l2");

    CU_ASSERT(q8 > 1e-4 && q8 < 0.02);
    CU_ASSERT(q4 > 4 * q8 && q4 < 0.5);
    CU_ASSERT(isnan(figure("parity", "kv_quant", "sq=3 sk=33 d=40", "loss_l2")));
}

static void a_kernel_that_quantises_inside_is_exact_on_what_it_says(void)
{
    const char *one = "b=3 hq=4 hkv=2 sq=17 sk=65 d=40 causal=br lens=both";
    const double loss = figure("parity", "sage_int8{block=16}", one, "loss_l2");
    const double steps = figure("parity", "sage_int8{block=16}", one, "input_steps");

    CU_ASSERT(loss > 1e-4 && loss < 0.05);
    CU_ASSERT(steps > 0.1 && steps <= 2);
    CU_ASSERT_EQUAL(outcome("parity", "sage_int8", "sq=9 sk=33 values=nan softcap=2 sinks=mixed"),
                    ATT_PASS);
    CU_ASSERT_EQUAL(outcome("parity", "sage_shift_forgotten", one), ATT_FAIL);
}

static void a_session_that_rounds_is_exact_on_what_it_holds(void)
{
    const char *kernel = "kivi{group=4,residual=8}";
    const double k2 = figure("sequence.session", kernel, "sk=40", "held_loss_k");

    CU_ASSERT(k2 > 0.01 && k2 < 0.6);
    CU_ASSERT(
        figure("sequence.session", "kivi{bits=4,group=4,residual=8}", "sk=40", "held_loss_k") < k2);
    CU_ASSERT_EQUAL(figure("sequence.session", "kivi", "sk=40", "held_loss_k"), 0);
    CU_ASSERT_EQUAL(outcome("sequence.session", "kivi_residual_boundary", "sk=40"), ATT_FAIL);
}

static void the_dictionary_names_bugs_of_quantisation(void)
{
    const char *flat = "b=2 hq=2 sq=9 sk=33 d=40 layout=padded quant=q8_0";
    const char *swapped = "hq=2 sq=9 sk=33 d=8 quant=i8k_q4v";
    const char *plain = "hq=2 sq=9 sk=65 d=8";

    CU_ASSERT(names("quant_kv_assumed_flat", flat, "quant_kv_assumed_flat"));
    CU_ASSERT(names("kv_precision_swapped", swapped, "kv_precision_swapped"));
    CU_ASSERT(names("fp8_p_saturation", plain, "fp8_p_saturation"));
    CU_ASSERT_FALSE(names("quant_kv_assumed_flat", flat, "fp8_p_saturation"));
    CU_ASSERT_FALSE(names("kv_precision_swapped", swapped, "quant_kv_assumed_flat"));
    CU_ASSERT_FALSE(names("log2e_missing", plain, "fp8_p_saturation"));
}

/* The scale of a block of 32 values moves with later ones, and every earlier row by a rounding. */
static void a_scale_shared_with_later_values_is_a_leak(void)
{
    att_record r =
        house_case("laws", "future_leak_by_scale", "law=future sq=17 sk=17 causal=br", 7);
    const att_metric *moved = att_record_metric(&r, "law_moved");

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(moved);
    CU_ASSERT(moved->value > 0);
    CU_ASSERT(r.n_diagnoses > 0 && strcmp(r.diagnoses[0].fault, "future_leak_by_scale") == 0);
    att_record_clear(&r);
}

/* Each row has scales of its own: later ones, a thousand times larger, move no bit. */
static void later_keys_move_no_bit_of_quantised_kv(void)
{
    static const char *const schemes[] = {"i8tok", "i8group", "q8_0", "q4_0", "e5m2", "i8k_q4v"};

    for (size_t q = 0; q < sizeof schemes / sizeof *schemes; q++) {
        char params[120];
        snprintf(params, sizeof params, "law=future sq=17 sk=17 d=40 causal=br quant=%s",
                 schemes[q]);
        CU_ASSERT_EQUAL(outcome("laws", "kv_quant", params), ATT_PASS);
    }
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"every scheme passes in every storage", every_scheme_passes_in_every_storage},
        {"the oracle reads codes as the eval does", the_oracle_reads_codes_as_the_eval_does},
        {"quantised K and V lie as any other", quantised_kv_lies_as_any_other},
        {"what no storage holds is a usage error", what_no_storage_holds_is_a_usage_error},
        {"quantisation is reported as a loss too", quantisation_is_reported_as_a_loss_too},
        {"a kernel that quantises inside is exact on what it says",
         a_kernel_that_quantises_inside_is_exact_on_what_it_says},
        {"a session that rounds is exact on what it holds",
         a_session_that_rounds_is_exact_on_what_it_holds},
        {"the dictionary names bugs of quantisation", the_dictionary_names_bugs_of_quantisation},
        {"a scale shared with later values is a leak", a_scale_shared_with_later_values_is_a_leak},
        {"later keys move no bit of quantised K and V", later_keys_move_no_bit_of_quantised_kv},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("quant_kv", tests);
}
