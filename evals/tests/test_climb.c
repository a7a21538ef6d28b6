/* SPDX-License-Identifier: Apache-2.0 */
/* Climb: numbers chosen against a kernel break a wrong one that random numbers spare, and no right
 * one. */
#include "evals/tests/house.h"

#include "common/plain.h"

/* Loses what weighs less than e^-10 of the row's largest. */
static float lossy_weight(float x)
{
    return x < -10.0f ? 0.0f : expf(x);
}

static att_status lossy_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.weight = lossy_weight};
    (void)self;
    return att_plain_attend(p, &way, s);
}

static const att_kernel lossy = {.struct_size = sizeof(att_kernel),
                                 .abi = ATT_ABI,
                                 .name = "lossy",
                                 .family = "made",
                                 .summary = "loses small weights",
                                 .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
                                 .supports = att_plain_supports,
                                 .plan = att_plain_plan_of,
                                 .attend = lossy_attend};
static const att_kernel *const made[] = {&lossy, NULL};

static double value_of(const att_record *r, const char *name)
{
    const att_metric *m = att_record_metric(r, name);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m->value;
}

static void a_kernel_that_random_numbers_spare_falls(void)
{
    house_open(1, made);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        att_record parity = house_case("parity", "lossy", "sq=4 sk=17 d=8", seed);
        CU_ASSERT_EQUAL(parity.status, ATT_PASS);
        att_record_clear(&parity);
    }
    att_record r = house_case("climb", "lossy", "sq=4 sk=17 d=8 steps=200", 1);
    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(value_of(&r, "bound_ratio") > 1);
    CU_ASSERT(value_of(&r, "kept") > 0);
    att_record_clear(&r);
    house_close();
}

static void right_kernels_keep_their_bound(void)
{
    static const char *const kernels[] = {"flash_f32", "naive_blas", "different:tiles_of_17",
                                          "different:dot_in_order"};
    static const char *const cases[] = {"steps=60", "sk=65 d=40 values=equal steps=60",
                                        "sq=1 sk=129 d=1 values=ramp softcap=2 steps=60"};

    house_open(1, NULL);
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            att_record r = house_case("climb", kernels[k], cases[c], 7 + k);
            CU_ASSERT_EQUAL(r.status, ATT_PASS);
            CU_ASSERT(value_of(&r, "bound_ratio") > 0);
            att_record_clear(&r);
        }
    house_close();
}

/* The edits come one by one from the case's stream: more of them begin with the same ones. */
static void more_steps_never_end_lower(void)
{
    double before = 0;

    house_open(1, NULL);
    for (int steps = 1; steps <= 64; steps *= 4) {
        char params[32];
        snprintf(params, sizeof params, "steps=%d", steps);
        att_record r = house_case("climb", "naive_blas", params, 3);
        const double height =
            fmax(fmax(value_of(&r, "bound_ratio"), value_of(&r, "lse_ratio")),
                 fmax(value_of(&r, "sigma_ratio") / 6, value_of(&r, "row_ratio")));
        CU_ASSERT(height >= before);
        before = height;
        att_record_clear(&r);
    }
    CU_ASSERT(before > 0);
    house_close();
}

static void kernels_without_a_bound_are_unsupported(void)
{
    house_open(1, NULL);
    att_record r = house_case("climb", "topk", "", 1);
    CU_ASSERT_EQUAL(r.status, ATT_HOLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.reason, "only kernels that are exact"));
    att_record_clear(&r);
    house_close();
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_kernel_that_random_numbers_spare_falls", a_kernel_that_random_numbers_spare_falls},
        {"right_kernels_keep_their_bound", right_kernels_keep_their_bound},
        {"more_steps_never_end_lower", more_steps_never_end_lower},
        {"kernels_without_a_bound_are_unsupported", kernels_without_a_bound_are_unsupported},
        CU_TEST_INFO_NULL};
    return att_suite_run("climb", tests);
}
