/* SPDX-License-Identifier: Apache-2.0 */
/* The quantise eval: a right quantiser passes everywhere, each way of being wrong is told. */
#include "evals/tests/house.h"

#include "common/quantise.h"

/* ---------------------------------------------------------------- kernels made for it */

/* Scales without the range of the group: everything clips. */
static att_scaling choose_one(const att_range *r, bool zeros, float last)
{
    (void)r, (void)zeros, (void)last;
    return (att_scaling){0x1p-7f, 0.0f};
}

/* Twice the step that is needed. */
static att_scaling choose_wide(const att_range *r, bool zeros, float last)
{
    (void)zeros;
    return (att_scaling){2 * fmaxf(-r->lo, r->hi) / last, 0.0f};
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_quantise(op, p, why);
}

static att_status quantise_one(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    att_quantise(p, choose_one);
    return ATT_OK;
}

static att_status quantise_wide(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    att_quantise(p, choose_wide);
    return ATT_OK;
}

/* Reads codes without their zeros. */
static att_status dequantise_off(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t *n = p->k.shape;
    att_quant q = p->k_quant;
    float row[256];

    (void)self, (void)s;
    q.zeros = (att_tensor){0};
    for (int64_t r = 0; r < n[0] * n[1] * n[2] && n[3] <= 256; r++) {
        const int64_t b = r / n[2] / n[1], h = r / n[2] % n[1], i = r % n[2];
        att_quant_row(&p->k, &q, b, h, i, n[3], row);
        att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, 0),
                      p->out.stride[3], n[3], row);
    }
    return ATT_OK;
}

#define MADE(what, op, function)                                                                   \
    static const att_kernel what = {.struct_size = sizeof(att_kernel),                             \
                                    .abi = ATT_ABI,                                                \
                                    .name = #what,                                                 \
                                    .family = "made",                                              \
                                    .summary = "made",                                             \
                                    .precision = {.acc = ATT_F32, .out = ATT_DTYPES},              \
                                    .supports = supports,                                          \
                                    .op = function}

MADE(one_scale, quantise, quantise_one);
MADE(wide_step, quantise, quantise_wide);
MADE(no_zeros, dequantise, dequantise_off);

static const att_kernel *const made[] = {&one_scale, &wide_step, &no_zeros, NULL};

static void open_house(void)
{
    house_open(1, made);
}

/* ------------------------------------------------------------------------------ tests */

static bool breaks(const char *kernel, const char *params, const char *metric)
{
    att_record r = house_case("quantise", kernel, params, 3);
    const att_metric *m = att_record_metric(&r, metric);
    bool broken = r.status == ATT_FAIL && m && m->verdict == 0;

    if (!broken && r.status != ATT_PASS)
        printf("%s: %s\n", r.line, r.reason ? r.reason : "");
    att_record_clear(&r);
    return broken;
}

static bool passes(const char *kernel, const char *params)
{
    att_record r = house_case("quantise", kernel, params, 3);
    bool passed = r.status == ATT_PASS;

    if (!passed)
        printf("%s: %s\n", r.line, r.reason ? r.reason : "");
    att_record_clear(&r);
    return passed;
}

static void a_right_quantiser_passes_every_scheme_and_family(void)
{
    static const char *const schemes[] = {"i8tok", "i8chan", "i8group", "i8run",
                                          "q8_0",  "q4_0",   "e4m3",    "e5m2"};
    static const char *const values[] = {"normal", "constant", "zeros", "subnormal", "outlier",
                                         "large",  "onesided", "mixed", "nan"};
    char params[160];

    for (size_t q = 0; q < sizeof schemes / sizeof *schemes; q++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (int zeros = 0; zeros < (q < 4 ? 2 : 1); zeros++) {
                snprintf(params, sizeof params,
                         "scheme=%s values=%s zeros=%d b=2 d=40 layout=padded to=bshd", schemes[q],
                         values[v], zeros);
                CU_ASSERT(passes("quant_groups", params));
            }
}

static void strided_sources_and_results_are_read_and_written_where_they_lie(void)
{
    static const char *const lines[] = {"layout=stepped to=padded scheme=i8group",
                                        "layout=reversed to=reversed scheme=q4_0 d=40",
                                        "layout=broadcast b=2 scheme=i8run",
                                        "layout=bshd to=padded place=flush scheme=e4m3",
                                        "s=0",
                                        "b=0 scheme=q8_0"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CU_ASSERT(passes("quant_groups", lines[i]));
}

static void wrong_scales_and_steps_are_told(void)
{
    CU_ASSERT(breaks("one_scale", "values=large", "step_ratio"));
    CU_ASSERT(breaks("wide_step", "values=normal", "step_ratio"));
    CU_ASSERT(breaks("no_zeros", "zeros=1", "back_ratio"));
    CU_ASSERT(passes("no_zeros", "zeros=0"));
}

static void a_constant_channel_is_named(void)
{
    att_record r = house_case("quantise", "constant_channel_scale",
                              "scheme=i8chan zeros=1 values=constant", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(r.n_diagnoses > 0 && strcmp(r.diagnoses[0].fault, "constant_channel_scale") == 0);
    att_record_clear(&r);
    CU_ASSERT(passes("constant_channel_scale", "scheme=i8chan zeros=1 values=normal"));
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"a right quantiser passes every scheme and family",
         a_right_quantiser_passes_every_scheme_and_family},
        {"strided sources and results are read and written where they lie",
         strided_sources_and_results_are_read_and_written_where_they_lie},
        {"wrong scales and steps are told", wrong_scales_and_steps_are_told},
        {"a constant channel is named", a_constant_channel_is_named},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("quantise", tests);
}
