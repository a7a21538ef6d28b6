/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include "try.h"

#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV

/* The performer of m features on t; the status. */
static att_status attend(try_problem *t, int64_t m, int64_t seed, int64_t orthogonal, int threads)
{
    const att_value values[] = {{.i = m}, {.i = seed}, {.i = orthogonal}};
    att_host host;

    CU_ASSERT_EQUAL_FATAL(att_host_make(threads, &host), ATT_OK);
    const att_status status =
        try_call(try_kernel("performer"), ATT_OP_ATTEND, &t->p, values, &host, NULL);
    att_host_drop(&host);
    return status;
}

/* The largest difference of two outputs of one shape; NaN stays. */
static double apart(const att_tensor *a, const att_tensor *b)
{
    double most = 0;

    for (int64_t n = 0; n < a->shape[0] * a->shape[1] * a->shape[2] * a->shape[3]; n++) {
        const int64_t d = n % a->shape[3], i = n / a->shape[3] % a->shape[2];
        const int64_t h = n / a->shape[3] / a->shape[2] % a->shape[1];
        const int64_t s = n / a->shape[3] / a->shape[2] / a->shape[1];
        const double e = fabs(try_get(a, s, h, i, d) - try_get(b, s, h, i, d));
        most = e > most || isnan(e) ? e : most;
    }
    return most;
}

static void one_key_is_given_back_whatever_the_features(void)
{
    for (int64_t orthogonal = 0; orthogonal < 2; orthogonal++) {
        const try_spec spec = {SHAPE(2, 4, 2, 5, 1, 8, 12)};
        try_problem t;
        try_make(&t, &spec, 3);
        CU_ASSERT_EQUAL(attend(&t, 32, 5, orthogonal, 2), ATT_OK);
        for (int64_t d = 0; d < 12; d++) {
            const double v = try_get(&t.p.v, 1, 1, 0, d);
            CU_ASSERT(fabs(try_get(&t.p.out, 1, 3, 4, d) - v) <= 64 * FLT_EPSILON * fabs(v));
        }
        try_drop(&t);
    }
}

static void causal_rows_are_those_of_their_prefix(void)
{
    const try_spec whole = {SHAPE(1, 2, 1, 9, 9, 8, 8), .causal = ATT_CAUSAL_TOP_LEFT};
    try_problem t;
    try_make(&t, &whole, 3);
    CU_ASSERT_EQUAL(attend(&t, 48, 1, 1, 1), ATT_OK);
    for (int64_t i = 0; i < 9; i++) {
        try_problem part;
        try_make(&part, &whole, 3); /* the same numbers */
        part.p.causal = ATT_CAUSAL_NONE;
        part.p.kv_len = part.p.k.shape[2] = part.p.v.shape[2] = i + 1;
        CU_ASSERT_EQUAL(attend(&part, 48, 1, 1, 1), ATT_OK);
        for (int64_t d = 0; d < 8; d++)
            CU_ASSERT_EQUAL(try_get(&t.p.out, 0, 1, i, d), try_get(&part.p.out, 0, 1, i, d));
        try_drop(&part);
    }
    try_drop(&t);
}

static void a_seed_is_one_draw_on_any_number_of_threads(void)
{
    const try_spec spec = {SHAPE(2, 6, 3, 7, 33, 8, 8)};
    try_problem a, b;
    try_make(&a, &spec, 3);
    try_make(&b, &spec, 3);
    CU_ASSERT_EQUAL(attend(&a, 40, 5, 1, 1), ATT_OK);
    CU_ASSERT_EQUAL(attend(&b, 40, 5, 1, 3), ATT_OK);
    CU_ASSERT_EQUAL(apart(&a.p.out, &b.p.out), 0);
    CU_ASSERT_EQUAL(attend(&b, 40, 6, 1, 3), ATT_OK);
    CU_ASSERT(apart(&a.p.out, &b.p.out) > 1e-3);
    CU_ASSERT_EQUAL(attend(&b, 40, 5, 0, 3), ATT_OK);
    CU_ASSERT(apart(&a.p.out, &b.p.out) > 1e-3);
    try_drop(&a);
    try_drop(&b);
}

static void huge_logits_stay_finite_and_among_the_values(void)
{
    const try_spec spec = {SHAPE(1, 1, 1, 4, 33, 16, 8), .values = 1};
    try_problem t;
    try_make(&t, &spec, 3);
    CU_ASSERT_EQUAL(attend(&t, 64, 1, 1, 1), ATT_OK);
    for (int64_t i = 0; i < 4; i++)
        for (int64_t d = 0; d < 8; d++) {
            double lo = (double)INFINITY, hi = -(double)INFINITY;
            for (int64_t j = 0; j < 33; j++) {
                lo = fmin(lo, try_get(&t.p.v, 0, 0, j, d));
                hi = fmax(hi, try_get(&t.p.v, 0, 0, j, d));
            }
            const double o = try_get(&t.p.out, 0, 0, i, d), slack = 64 * FLT_EPSILON * (hi - lo);
            CU_ASSERT(o >= lo - slack && o <= hi + slack);
        }
    try_drop(&t);
}

static void rows_without_a_key_are_zero(void)
{
    const try_spec spec = {SHAPE(1, 2, 1, 8, 5, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT};
    try_problem t;
    try_make(&t, &spec, 3);
    CU_ASSERT_EQUAL(attend(&t, 16, 1, 1, 1), ATT_OK);
    for (int64_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(try_get(&t.p.out, 0, 1, i, 3), 0);
        CU_ASSERT_EQUAL(try_get(&t.p.lse, 0, 0, 1, i), -(double)INFINITY);
    }
    CU_ASSERT(isfinite(try_get(&t.p.lse, 0, 0, 1, 3)));
    try_drop(&t);
}

static void masks_and_biases_are_refused(void)
{
    const att_kernel *k = try_kernel("performer");
    const att_value values[] = {{.i = 16}, {.i = 1}, {.i = 1}};
    const try_spec spec = {SHAPE(1, 2, 2, 4, 4, 4, 4), .mask = 1},
                   plain = {SHAPE(1, 1, 1, 2, 2, 4, 4)};
    att_reason why = {""};
    try_problem t;
    try_make(&t, &spec, 3);
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, values, &why), ATT_UNSUPPORTED);
    CU_ASSERT(strlen(why.text) > 0);
    try_drop(&t);
    try_make(&t, &plain, 3);
    t.p.softcap = 2;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, values, &why), ATT_UNSUPPORTED);
    try_drop(&t);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"one key is given back whatever the features",
         one_key_is_given_back_whatever_the_features},
        {"causal rows are those of their prefix", causal_rows_are_those_of_their_prefix},
        {"a seed is one draw on any number of threads",
         a_seed_is_one_draw_on_any_number_of_threads},
        {"huge logits stay finite and among the values",
         huge_logits_stay_finite_and_among_the_values},
        {"rows without a key are zero", rows_without_a_key_are_zero},
        {"masks and biases are refused", masks_and_biases_are_refused},
        CU_TEST_INFO_NULL};
    return att_suite_run("performer", tests);
}
