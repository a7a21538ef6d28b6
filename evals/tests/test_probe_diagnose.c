/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnoses: what a selection keeps of dense attention, how far outputs lie from it, and that a
 * kernel which attends to other keys than it selects is caught. */
#include <math.h>
#include <string.h>

#include "evals/probes/diagnose.h"
#include "evals/tests/house.h"

static att_kernel liar, faint, broken;
static att_status (*honest)(const att_kernel *self, const att_problem *p, const att_scratch *s);

static double number(const att_record *r, const char *name)
{
    const att_metric *m = att_record_metric(r, name);

    return m ? m->value : (double)NAN;
}

static double measured(const char *kernel, const char *params, const char *metric)
{
    att_record r = house_case("probe.needle", kernel, params, 3);
    const double x = number(&r, metric);

    att_record_clear(&r);
    return x;
}

/* ----------------------------------------------------------------------- made kernels */

static const att_kernel *kernel_named(const char *name)
{
    for (const att_kernel *const *k = att_kernel_table(NULL)->kernels; *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

static att_status attend_halved(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = honest(self, p, s);
    const int64_t n = p->heads_q * p->q_len * p->value_dim;

    for (int64_t i = 0; i < n && status == ATT_OK; i++)
        ((float *)p->out.data)[i] *= 0.75f;
    return status;
}

static att_status attend_nan(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = honest(self, p, s);

    ((float *)p->out.data)[5] = NAN;
    return status;
}

/* A window that says of itself that it is topk; one whose outputs shrink; one with a NaN. */
static void open_house(void)
{
    const att_kernel *window = kernel_named("sliding_window"), *top = kernel_named("topk");
    static const att_kernel *const made[] = {&liar, &faint, &broken, NULL};

    CU_ASSERT_TRUE_FATAL(window && top);
    liar = faint = broken = *top;
    honest = top->attend;
    liar.name = "liar";
    liar.attend = kernel_named("first_k") ? kernel_named("first_k")->attend : window->attend;
    faint.name = "faint";
    faint.attend = attend_halved;
    broken.name = "broken";
    broken.attend = attend_nan;
    house_open(1, made);
}

/* ------------------------------------------------------------------------ by hand */

static void what_is_kept_is_counted(void)
{
    const double weight[] = {0.5, 0.25, 0.125, 0.0625, 0.0625};
    const uint8_t some[] = {1, 0, 1, 0, 0}, none[5] = {0}, all[] = {1, 1, 1, 1, 1};
    double room[5];
    probe_kept k = probe_kept_of(weight, some, 5, 5, room);

    CU_ASSERT_DOUBLE_EQUAL(k.mass, 0.625, 1e-15);
    CU_ASSERT_EQUAL(k.keys, 2);
    CU_ASSERT_EQUAL(k.recall, 0.5); /* of the two best, the first */
    CU_ASSERT_DOUBLE_EQUAL(k.recall_95, 0.4, 1e-15);
    k = probe_kept_of(weight, all, 5, 5, room);
    CU_ASSERT_DOUBLE_EQUAL(k.mass, 1, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(k.js, 0, 1e-15);
    CU_ASSERT_EQUAL(k.recall, 1);
    k = probe_kept_of(weight, none, 5, 5, room);
    CU_ASSERT_EQUAL(k.mass, 0);
    CU_ASSERT_DOUBLE_EQUAL(k.js, log(2), 1e-15); /* nothing in common */
    CU_ASSERT_EQUAL(k.recall_95, 0);
}

static void the_divergence_is_that_of_the_weights(void)
{
    const double weight[] = {0.5, 0.25, 0.125, 0.0625, 0.0625};
    const uint8_t some[] = {0, 1, 1, 0, 1};
    double room[5], js = 0;
    const probe_kept k = probe_kept_of(weight, some, 5, 5, room);

    for (int j = 0; j < 5; j++) {
        const double q = some[j] ? weight[j] / k.mass : 0, m = (weight[j] + q) / 2;
        js += 0.5 * weight[j] * log(weight[j] / m) + (q > 0 ? 0.5 * q * log(q / m) : 0);
    }
    CU_ASSERT_DOUBLE_EQUAL(k.js, js, 1e-14);
}

static void ties_with_the_last_best_key_count_alike(void)
{
    const double weight[] = {0.4, 0.2, 0.2, 0.2};
    const uint8_t one[] = {1, 0, 0, 1}, other[] = {1, 1, 0, 0};
    double room[4];

    CU_ASSERT_EQUAL(probe_kept_of(weight, one, 4, 4, room).recall, 1);
    CU_ASSERT_EQUAL(probe_kept_of(weight, other, 4, 4, room).recall, 1);
}

/* ------------------------------------------------------------------------- measured */

static void dense_is_near_to_dense_by_its_own_rounding(void)
{
    CU_ASSERT_TRUE(measured("flash_f32", "len=1024", "dense_l2") < 1e-5);
    CU_ASSERT_TRUE(measured("flash_f32", "len=1024", "row_error_max") < 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(measured("flash_f32", "len=1024", "dense_cosine"), 1, 1e-6);
    const double half = measured("flash_f16", "len=1024", "dense_l2");
    CU_ASSERT_TRUE(half > 1e-5 && half < 1e-2);
}

static void weights_that_spread_are_seen_to(void)
{
    /* at logits of 0.001 the weights are all but even */
    CU_ASSERT_TRUE(measured("flash_f32", "len=512 match=0.001", "dense_entropy") > 0.999);
    CU_ASSERT_DOUBLE_EQUAL(measured("flash_f32", "len=512 match=0.001", "dense_keys"), 512, 0.1);
    CU_ASSERT_DOUBLE_EQUAL(measured("flash_f32", "len=512 match=0.001", "dense_keys_95"), 487, 1.5);
    CU_ASSERT_EQUAL(measured("flash_f32", "len=512", "dense_keys_95"), 1);
}

static void a_window_keeps_what_lies_in_it(void)
{
    const char *const even = "len=1000 match=0.001", *const window = "sliding_window{left=99}";

    CU_ASSERT_DOUBLE_EQUAL(measured(window, even, "kept_mass"), 0.1, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(measured(window, even, "kept_share"), 0.1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(measured(window, "len=1000", "coverage"), 0.1, 1e-12);
    CU_ASSERT_EQUAL(measured(window, "len=1000", "selected"),
                    measured(window, "len=1000", "accuracy_predicted"));
    CU_ASSERT_EQUAL(measured("topk{k=9}", "len=1000", "kept_recall"), 1);
}

static void hits_reach_as_far_as_the_window(void)
{
    const double near = measured("sliding_window{left=300}", "len=1000", "reach");
    const double far = measured("sliding_window{left=300}", "len=1000", "nearest_miss");

    CU_ASSERT_TRUE(near <= 300 && far > 300);
    CU_ASSERT_TRUE(isnan(measured("flash_f32", "len=1000", "nearest_miss")));
}

/* No selection is further from dense than what it left out allows, sharp logits or flat ones. */
static void the_bound_of_renormalised_weights_holds(void)
{
    static const char *const params[] = {"len=300", "len=300 match=8", "len=300 match=0.5"};

    for (const att_kernel *const *k = att_kernel_table(NULL)->kernels; *k; k++)
        for (size_t i = 0; i < 3 && probe_selects(*k); i++) {
            const double bad = measured((*k)->name, params[i], "bound_broken");
            if (bad != 0)
                printf("%s %s: %g\n", (*k)->name, params[i], bad);
            CU_ASSERT_EQUAL(bad, 0);
        }
}

static void a_kernel_that_attends_elsewhere_than_it_selects_is_caught(void)
{
    att_record r = house_case("probe.needle", "liar", "len=1024", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_TRUE(number(&r, "bound_broken") > 12);
    CU_ASSERT_TRUE(number(&r, "unexplained_by_select") > 12);
    CU_ASSERT_TRUE(number(&r, "selection_error") > 0.5);
    att_record_clear(&r);
}

static void outputs_that_shrink_break_the_bound(void)
{
    CU_ASSERT_EQUAL(measured("faint", "len=1024", "accuracy"), 1);
    CU_ASSERT_EQUAL(measured("faint", "len=1024", "bound_broken"), 24);
    CU_ASSERT_DOUBLE_EQUAL(measured("faint", "len=1024", "dense_l2"), 0.25, 1e-5);
}

static void theory_is_silent_where_logits_are_flat(void)
{
    CU_ASSERT_TRUE(isnan(measured("flash_f32", "len=2048 match=4", "unexplained")));
    CU_ASSERT_TRUE(isnan(measured("topk", "len=2048 match=4", "unexplained_by_select")));
    CU_ASSERT_EQUAL(measured("topk", "len=2048 match=40", "unexplained_by_select"), 0);
}

static void a_row_with_nan_is_counted_and_left_out(void)
{
    att_record r = house_case("probe.needle", "broken", "len=512", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_EQUAL(number(&r, "rows_nonfinite"), 1);
    CU_ASSERT_TRUE(number(&r, "row_error_max") < 1e-5);
    att_record_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"what is kept is counted", what_is_kept_is_counted},
        {"the divergence is that of the weights", the_divergence_is_that_of_the_weights},
        {"ties with the last best key count alike", ties_with_the_last_best_key_count_alike},
        {"dense is near to dense by its own rounding", dense_is_near_to_dense_by_its_own_rounding},
        {"weights that spread are seen to", weights_that_spread_are_seen_to},
        {"a window keeps what lies in it", a_window_keeps_what_lies_in_it},
        {"hits reach as far as the window", hits_reach_as_far_as_the_window},
        {"the bound of renormalised weights holds", the_bound_of_renormalised_weights_holds},
        {"a kernel that attends elsewhere than it selects is caught",
         a_kernel_that_attends_elsewhere_than_it_selects_is_caught},
        {"outputs that shrink break the bound", outputs_that_shrink_break_the_bound},
        {"theory is silent where logits are flat", theory_is_silent_where_logits_are_flat},
        {"a row with NaN is counted and left out", a_row_with_nan_is_counted_and_left_out},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_diagnose", tests);
}
