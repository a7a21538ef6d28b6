/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/error.h"

/* --------------------------------------------------------------------- whole problems */

#define N 5
#define D 4

/* One head, two queries, N keys; the oracle's answer by plain loops in long double. */
typedef struct toy {
    double q[2 * D], k[N * D], v[N * D], out[2 * D], lse[2], bias[N];
    float sink, slope, got[2 * D], got_lse[2];
    uint8_t allowed[2 * N];
    att_problem p;
} toy;

static double toy_logit(const toy *t, int i, int j)
{
    double s = 0;

    for (int d = 0; d < D; d++)
        s += t->q[i * D + d] * t->k[j * D + d];
    s /= 2;
    if (t->p.softcap > 0)
        s = t->p.softcap * tanh(s / t->p.softcap);
    if (t->p.alibi_slopes.data)
        s -= (double)t->slope * abs(i + N - 2 - j);
    return s + (t->p.bias.data ? t->bias[j] : 0);
}

static void toy_solve(toy *t)
{
    for (int i = 0; i < 2; i++) {
        long double sum = 0, o[D] = {0};
        for (int j = 0; j < N; j++) {
            if (!t->allowed[i * N + j])
                continue;
            long double w = expl((long double)toy_logit(t, i, j));
            sum += w;
            for (int d = 0; d < D; d++)
                o[d] += w * (long double)t->v[j * D + d];
        }
        t->lse[i] = sum > 0 ? (double)logl(sum) : -(double)INFINITY;
        if (t->p.sinks.data)
            sum += expl((long double)t->sink);
        for (int d = 0; d < D; d++) {
            t->out[i * D + d] = t->lse[i] > -(double)INFINITY ? (double)(o[d] / sum) : 0;
            t->got[i * D + d] = (float)t->out[i * D + d];
        }
        t->got_lse[i] = (float)t->lse[i];
    }
}

static void toy_make(toy *t)
{
    att_rng rng = att_rng_make(11, "toy");

    *t = (toy){.sink = 0.5f, .slope = 0.25f, .p = att_problem_init()};
    for (int n = 0; n < N * D; n++) {
        t->k[n] = (double)(float)att_rng_normal(&rng);
        t->v[n] = (double)(float)att_rng_normal(&rng);
        t->q[n % (2 * D)] = (double)(float)att_rng_normal(&rng);
    }
    for (int j = 0; j < N; j++)
        t->bias[j] = (double)(float)att_rng_normal(&rng);
    memset(t->allowed, 1, sizeof t->allowed);
    t->p.batch = t->p.heads_q = t->p.heads_kv = 1;
    t->p.q_len = 2;
    t->p.kv_len = N;
    t->p.head_dim = t->p.value_dim = D;
    t->p.q = att_tensor_dense(t->q, ATT_F64, 1, 1, 2, D);
    t->p.k = att_tensor_dense(t->k, ATT_F64, 1, 1, N, D);
    t->p.v = att_tensor_dense(t->v, ATT_F64, 1, 1, N, D);
}

static const att_units f32 = {0x1p-24,  0x1p-24,         0x1p-150, 0x1p-24,
                              0x1p-126, 0x1.fffffep+127, 0x1p-150};

static att_error toy_judge(const toy *t)
{
    att_profile *f = NULL;
    att_error e = {0};
    att_why why = {""};
    att_tensor out = att_tensor_dense((void *)t->got, ATT_F32, 1, 1, 2, D);
    att_tensor lse = att_tensor_dense((void *)t->got_lse, ATT_F32, 1, 1, 1, 2);

    CU_ASSERT_EQUAL(att_profile_make(&t->p, t->allowed, t->out, t->lse, f32.acc, &f, &why), ATT_OK);
    if (why.text[0])
        printf("%s\n", why.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(att_error_judge(f, &out, &lse, &f32, &e), ATT_OK);
    att_profile_drop(f);
    return e;
}

static bool passes(const att_error *e)
{
    return e->nonfinite == 0 && e->sigma_ratio <= 6 && e->bound_ratio <= 1 && e->row_ratio <= 1 &&
           e->hull == 0 && e->lse_ratio <= 1;
}

static void a_correctly_rounded_answer_passes_with_every_extra(void)
{
    for (int extras = 0; extras < 16; extras++) {
        toy t;
        toy_make(&t);
        t.p.softcap = extras & 1 ? 2 : 0;
        t.p.sinks = extras & 2 ? att_tensor_dense(&t.sink, ATT_F32, 1, 1, 1, 1) : t.p.sinks;
        t.p.alibi_slopes = extras & 4 ? att_tensor_dense(&t.slope, ATT_F32, 1, 1, 1, 1) : t.p.sinks;
        if (!(extras & 4))
            t.p.alibi_slopes.data = NULL;
        t.p.bias = extras & 8 ? att_tensor_dense(t.bias, ATT_F64, 1, 1, 1, N) : t.p.bias;
        toy_solve(&t);
        att_error e = toy_judge(&t);
        CU_ASSERT(passes(&e));
        CU_ASSERT_FALSE(e.bad);
        CU_ASSERT_EQUAL(e.elements, 2 * D);
        CU_ASSERT(e.sigma_ratio > 0 && e.sigma_ratio < 2);
    }
}

static void nan_is_counted_not_folded(void)
{
    toy t;

    toy_make(&t);
    toy_solve(&t);
    t.got[5] = NAN;
    att_error e = toy_judge(&t);
    CU_ASSERT_EQUAL(e.nonfinite, 1);
    CU_ASSERT(e.bad && strcmp(e.what, "nonfinite") == 0);
    CU_ASSERT_EQUAL(e.at[2], 1);
    CU_ASSERT_EQUAL(e.at[3], 1);
    CU_ASSERT(e.sigma_ratio < 6);
    t.got[0] = t.got[1] = t.got[2] = t.got[3] = t.got[4] = t.got[6] = t.got[7] = NAN;
    e = toy_judge(&t);
    CU_ASSERT_EQUAL(e.nonfinite, 8);
    CU_ASSERT_FALSE(passes(&e));
}

static void folding_never_loses_a_nan(void)
{
    CU_ASSERT(isnan(att_error_fold((double)NAN, 1)));
    CU_ASSERT(isnan(att_error_fold(1, (double)NAN)));
    CU_ASSERT_EQUAL(att_error_fold(1, 2), 2);
    CU_ASSERT_EQUAL(att_error_fold(2, 1), 2);
}

static void a_small_step_off_is_named_with_its_place(void)
{
    toy t;

    toy_make(&t);
    toy_solve(&t);
    t.got[6] *= 1 + 0x1p-18f;
    att_error e = toy_judge(&t);
    CU_ASSERT_FALSE(passes(&e));
    CU_ASSERT(e.bad);
    CU_ASSERT_EQUAL(e.at[2], 1);
    CU_ASSERT_EQUAL(e.at[3], 2);
    CU_ASSERT(e.ratio > 1 && e.ratio < 1e3);
    t.got[6] = -t.got[6];
    e = toy_judge(&t);
    CU_ASSERT(e.bound_ratio > 1e3);
}

/* Errors of 2 sigma everywhere stay below every per-element limit; together they are too many. */
static void a_row_of_small_errors_is_caught_by_its_mean(void)
{
    enum { WIDE = 256, KEYS = 64 };
    att_problem p = att_problem_init();
    double *buffer = calloc(KEYS * 9 + (size_t)KEYS * WIDE + WIDE, sizeof *buffer);
    double *q = buffer, *k = q + 8, *v = k + KEYS * 8, *out = v + (size_t)KEYS * WIDE, lse,
           total = 0;
    uint8_t allowed[KEYS];
    att_rng rng = att_rng_make(3, "row");
    att_profile *f = NULL;
    att_error e;
    double bumped[WIDE];

    CU_ASSERT_PTR_NOT_NULL_FATAL(buffer);
    memset(allowed, 1, sizeof allowed);
    q[0] = 1;
    for (size_t j = 0; j < KEYS; j++) { /* distinct logits, much alike */
        k[j * 8] = (double)j / 64;
        double w = exp(k[j * 8] * sqrt(1.0 / 8));
        total += w;
        for (size_t d = 0; d < WIDE; d++) {
            v[j * WIDE + d] = (double)(float)att_rng_normal(&rng);
            out[d] += w * v[j * WIDE + d];
        }
    }
    lse = log(total);
    for (size_t d = 0; d < WIDE; d++)
        out[d] /= total;
    p.batch = p.heads_q = p.heads_kv = p.q_len = 1;
    p.kv_len = KEYS;
    p.head_dim = 8;
    p.value_dim = WIDE;
    p.q = att_tensor_dense(q, ATT_F64, 1, 1, 1, 8);
    p.k = att_tensor_dense(k, ATT_F64, 1, 1, KEYS, 8);
    p.v = att_tensor_dense(v, ATT_F64, 1, 1, KEYS, WIDE);
    CU_ASSERT_EQUAL_FATAL(att_profile_make(&p, allowed, out, &lse, f32.acc, &f, NULL), ATT_OK);
    double step = 1e-9, lo = 0, hi = 1e-3;
    for (int n = 0; n < 60; n++) { /* the size at which the largest is 5.5 sigma */
        step = (lo + hi) / 2;
        for (int d = 0; d < WIDE; d++)
            bumped[d] = out[d] + (d % 2 ? step : -step);
        att_tensor got = att_tensor_dense(bumped, ATT_F64, 1, 1, 1, WIDE);
        att_error_judge(f, &got, NULL, &f32, &e);
        if (e.sigma_ratio < 5.5)
            lo = step;
        else
            hi = step;
    }
    CU_ASSERT(e.sigma_ratio < 6 && e.hull == 0);
    CU_ASSERT(e.row_ratio > 1);
    att_profile_drop(f);
    free(buffer);
}

static void an_empty_row_must_be_exactly_zero_with_an_lse_of_minus_infinity(void)
{
    toy t;

    toy_make(&t);
    memset(t.allowed, 0, N);
    toy_solve(&t);
    att_error e = toy_judge(&t);
    CU_ASSERT(passes(&e));
    t.got[2] = 1e-30f;
    e = toy_judge(&t);
    CU_ASSERT(isinf(e.bound_ratio));
    CU_ASSERT(e.hull == 1);
    t.got[2] = 0;
    t.got_lse[0] = -1e30f;
    e = toy_judge(&t);
    CU_ASSERT_EQUAL(e.nonfinite, 1);
}

static void nan_in_an_allowed_value_is_wanted_in_its_column_only(void)
{
    toy t;

    toy_make(&t);
    toy_solve(&t);
    t.v[2 * D + 1] = (double)NAN;
    t.out[1] = t.out[D + 1] = (double)NAN;
    t.got[1] = t.got[D + 1] = NAN;
    att_error e = toy_judge(&t);
    CU_ASSERT(passes(&e));
    t.got[1] = 0;
    e = toy_judge(&t);
    CU_ASSERT_EQUAL(e.nonfinite, 1);
    t.got[1] = NAN;
    t.got[2] = NAN;
    e = toy_judge(&t);
    CU_ASSERT_EQUAL(e.nonfinite, 1);
}

static void a_wrong_lse_is_caught_alone(void)
{
    toy t;

    toy_make(&t);
    toy_solve(&t);
    t.got_lse[1] *= 1.4426950f;
    att_error e = toy_judge(&t);
    CU_ASSERT(e.lse_ratio > 1e3);
    CU_ASSERT(e.sigma_ratio < 6);
    CU_ASSERT_STRING_EQUAL(e.what, "lse");
}

static void an_oracle_that_disagrees_with_the_judge_is_refused(void)
{
    toy t;
    att_profile *f = NULL;
    att_why why = {""};

    toy_make(&t);
    toy_solve(&t);
    t.out[3] += 1e-12;
    CU_ASSERT_EQUAL(att_profile_make(&t.p, t.allowed, t.out, t.lse, f32.acc, &f, &why), ATT_FAILED);
    CU_ASSERT(strstr(why.text, "oracle") != NULL);
    CU_ASSERT_PTR_NULL(f);
}

#define TEST(x)                                                                                    \
    {                                                                                              \
#x, x                                                                                      \
    }

static void keys_kept_beyond_k_or_short_of_it_are_counted(void)
{
    toy t;
    att_profile *f = NULL;
    uint8_t kept[2 * N] = {0};
    int64_t over = -1;

    toy_make(&t);
    t.allowed[0] = t.allowed[N] = t.allowed[N + 1] = 0; /* N - 1 and N - 2 keys */
    toy_solve(&t);
    CU_ASSERT_EQUAL_FATAL(att_profile_make(&t.p, t.allowed, t.out, t.lse, f32.acc, &f, NULL),
                          ATT_OK);
    kept[1] = kept[2] = kept[N + 2] = 1;
    CU_ASSERT_EQUAL(att_profile_short(f, kept, NULL, 1, &over), 0);
    CU_ASSERT_EQUAL(over, 1);
    CU_ASSERT_EQUAL(att_profile_short(f, kept, NULL, 2, &over), 1);
    CU_ASSERT_EQUAL(over, 0);
    CU_ASSERT_EQUAL(att_profile_short(f, t.allowed, NULL, N, &over), 0);
    CU_ASSERT_EQUAL(over, 0);
    att_profile_drop(f);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        TEST(a_correctly_rounded_answer_passes_with_every_extra),
        TEST(nan_is_counted_not_folded),
        TEST(folding_never_loses_a_nan),
        TEST(a_small_step_off_is_named_with_its_place),
        TEST(a_row_of_small_errors_is_caught_by_its_mean),
        TEST(an_empty_row_must_be_exactly_zero_with_an_lse_of_minus_infinity),
        TEST(nan_in_an_allowed_value_is_wanted_in_its_column_only),
        TEST(a_wrong_lse_is_caught_alone),
        TEST(an_oracle_that_disagrees_with_the_judge_is_refused),
        TEST(keys_kept_beyond_k_or_short_of_it_are_counted),
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("error", tests);
}
