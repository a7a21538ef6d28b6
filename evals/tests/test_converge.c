/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "common/favor.h"

/* ----------------------------------------------------------- kernels that do it wrong */

static att_status performer_with(const att_kernel *self, const att_problem *p, const att_scratch *s,
                                 int place, int64_t value)
{
    att_value values[] = {s->params[0], s->params[1], s->params[2]};
    att_scratch other = *s;

    values[place].i = value;
    other.params = values;
    return att_favor_run(self, p, &other, 1, 1);
}

static att_status forgets_seed(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return performer_with(self, p, s, ATT_FAVOR_SEED, 7);
}

/* As if every feature were there four times. */
static att_status repeats(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return performer_with(self, p, s, ATT_FAVOR_M, s->params[ATT_FAVOR_M].i / 4);
}

static att_status stops_at_64(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return performer_with(self, p, s, ATT_FAVOR_M, att_min(64, s->params[ATT_FAVOR_M].i));
}

static att_status draws_twice(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_favor_run(self, p, s, 1, 2);
}

static att_status favor_plan(const att_kernel *self, att_op op, const att_problem *p,
                             const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_favor_plan_for(p, params, 2, out);
}

#define FAVOR(of)                                                                                  \
    static const att_kernel of##_kernel = {                                                        \
        .struct_size = sizeof(att_kernel),                                                         \
        .abi = ATT_ABI,                                                                            \
        .name = #of,                                                                               \
        .family = "made",                                                                          \
        .summary = "random features done wrong",                                                   \
        .class_ = ATT_APPROX,                                                                      \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .params = ATT_FAVOR_PARAMS,                                                                \
        .supports = att_favor_supports,                                                            \
        .plan = favor_plan,                                                                        \
        .attend = of}
FAVOR(forgets_seed);
FAVOR(repeats);
FAVOR(stops_at_64);
FAVOR(draws_twice);

/* topk of another k than asked. */
static const att_kernel *topk(void)
{
    const att_kernel *const *k = att_kernel_table(NULL)->kernels;

    while (*k && strcmp((*k)->name, "topk") != 0)
        k++;
    return *k;
}

static att_scratch with_k(const att_scratch *s, att_value *value, int64_t k)
{
    att_scratch other = *s;

    *value = (att_value){.i = k, .f = (double)k};
    other.params = value;
    return other;
}

static att_status topk_supports(const att_kernel *self, att_op op, const att_problem *p,
                                const att_value *params, att_reason *why)
{
    (void)self;
    return topk()->supports(topk(), op, p, params, why);
}

static att_status topk_plan(const att_kernel *self, att_op op, const att_problem *p,
                            const att_value *params, att_plan *out)
{
    (void)self;
    return topk()->plan(topk(), op, p, params, out);
}

static int64_t one_less(const att_problem *p, const att_scratch *s)
{
    return att_max(1, att_min(s->params[0].i, p->kv_len) - 1);
}

static att_status drops_one(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_value value;
    const att_scratch other = with_k(s, &value, one_less(p, s));

    (void)self;
    return topk()->attend(topk(), p, &other);
}

static att_status drops_one_select(const att_kernel *self, const att_problem *p,
                                   const att_scratch *s, uint8_t *allowed)
{
    att_value value;
    const att_scratch other = with_k(s, &value, one_less(p, s));

    (void)self;
    return topk()->select(topk(), p, &other, allowed);
}

/* From 16 on a larger k keeps fewer, but for all of them. */
static int64_t wrapped(const att_problem *p, const att_scratch *s)
{
    const int64_t k = s->params[0].i;
    return k >= 16 && k < p->kv_len ? 2 : k;
}

static att_status wraps(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_value value;
    const att_scratch other = with_k(s, &value, wrapped(p, s));

    (void)self;
    return topk()->attend(topk(), p, &other);
}

static att_status wraps_select(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    att_value value;
    const att_scratch other = with_k(s, &value, wrapped(p, s));

    (void)self;
    return topk()->select(topk(), p, &other, allowed);
}

static const att_param keys_kept[] = {
    {"k", ATT_PARAM_INT, ATT_ROLE_BUDGET, "keys", "8", "1:1073741824", NULL, "keys kept"}, {0}};

#define TOPK(of)                                                                                   \
    static const att_kernel of##_kernel = {                                                        \
        .struct_size = sizeof(att_kernel),                                                         \
        .abi = ATT_ABI,                                                                            \
        .name = #of,                                                                               \
        .family = "made",                                                                          \
        .summary = "top-k of another k",                                                           \
        .class_ = ATT_APPROX,                                                                      \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .params = keys_kept,                                                                       \
        .supports = topk_supports,                                                                 \
        .plan = topk_plan,                                                                         \
        .attend = of,                                                                              \
        .select = of##_select}
TOPK(drops_one);
TOPK(wraps);

static void open_house(void)
{
    static const att_kernel *const made[] = {&forgets_seed_kernel,
                                             &repeats_kernel,
                                             &stops_at_64_kernel,
                                             &draws_twice_kernel,
                                             &drops_one_kernel,
                                             &wraps_kernel,
                                             NULL};

    house_open(2, made);
}

/* ------------------------------------------------------------------------------- tests */

static void passes(const char *kernel, const char *params)
{
    att_record r = house_case("converge", kernel, params, 3);

    if (r.status != ATT_PASS)
        printf("%s: %s\n", r.line, r.reason ? r.reason : "");
    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    att_record_clear(&r);
}

/* Fails, with `metric` over its limit; the first thing said of it is `fault` (NULL = any). */
static void fails(const char *kernel, const char *params, const char *metric, const char *fault)
{
    att_record r = house_case("converge", kernel, params, 3);
    const att_metric *m = att_record_metric(&r, metric);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->verdict, 0);
    if (fault) {
        CU_ASSERT_FATAL(r.n_diagnoses > 0);
        CU_ASSERT_STRING_EQUAL(r.diagnoses[0].fault, fault);
    }
    att_record_clear(&r);
}

static void random_features_approach_softmax(void)
{
    passes("performer", "values=normal");
    passes("performer{orthogonal=0}", "values=normal");
    passes("performer", "values=self hq=4 hkv=2");
    passes("performer{orthogonal=0}", "values=self causal=br");
    passes("performer", "values=equal causal=tl");
    passes("performer", "b=2 lens=both store=page16 size=0.25");
}

static void the_error_falls_as_the_features_grow(void)
{
    att_record r = house_case("converge", "performer", "values=self size=0.25", 3);
    const att_metric *first = att_record_metric(&r, "error_first");
    const att_metric *last = att_record_metric(&r, "error_last");

    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    CU_ASSERT(last->value > 0.15 * first->value);
    CU_ASSERT(last->value < 0.35 * first->value); /* 16 times the features: a quarter */
    att_record_clear(&r);
}

static void what_is_kept_grows_into_dense_attention(void)
{
    static const char *const kernels[] = {"topk",    "sliding_window", "sink_window",
                                          "strided", "block_sparse",   "block_sparse{block=16}"};

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        passes(kernels[k], "values=normal sk=65 size=16");
        passes(kernels[k], "values=equal causal=br b=2 lens=both");
    }
    passes("pool_kv", "hq=4 hkv=4");
    passes("pool_kv", "hq=4 hkv=2 values=constant");
}

static void features_of_two_draws_fail_and_are_named(void)
{
    fails("draws_twice", "values=self", "bias", "favor_two_projections");
    fails("draws_twice", "values=normal", "rate_short", "favor_two_projections");
    fails("zoo:favor_two_projections", "values=self", "bias", "favor_two_projections");
}

static void a_seed_that_is_ignored_fails_and_is_named(void)
{
    fails("forgets_seed", "values=normal", "bias", "seed_ignored");
}

static void features_that_repeat_fail_and_are_named(void)
{
    fails("repeats", "values=normal size=0.25 draws=96", "variance", "features_repeated");
}

static void features_that_stop_growing_fail(void)
{
    fails("stops_at_64", "values=normal", "variance", "features_repeated");
    fails("stops_at_64", "values=normal base=256", "rate_short", NULL);
}

static void a_full_budget_that_drops_a_key_fails(void)
{
    fails("drops_one", "values=normal", "bound_ratio", "full_budget_not_dense");
}

static void a_budget_that_keeps_less_as_it_grows_fails(void)
{
    fails("wraps", "values=normal sk=65", "mass_fell", "budget_not_nested");
}

static void kernels_without_a_budget_are_left_out(void)
{
    att_record r = house_case("converge", "flash_f32", "sq=1", 3);

    CU_ASSERT_EQUAL(r.status, ATT_HOLE);
    att_record_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"random features approach softmax", random_features_approach_softmax},
        {"the error falls as the features grow", the_error_falls_as_the_features_grow},
        {"what is kept grows into dense attention", what_is_kept_grows_into_dense_attention},
        {"features of two draws fail and are named", features_of_two_draws_fail_and_are_named},
        {"a seed that is ignored fails and is named", a_seed_that_is_ignored_fails_and_is_named},
        {"features that repeat fail and are named", features_that_repeat_fail_and_are_named},
        {"features that stop growing fail", features_that_stop_growing_fail},
        {"a full budget that drops a key fails", a_full_budget_that_drops_a_key_fails},
        {"a budget that keeps less as it grows fails", a_budget_that_keeps_less_as_it_grows_fails},
        {"kernels without a budget are left out", kernels_without_a_budget_are_left_out},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};
    return att_suite_run("converge", tests);
}
