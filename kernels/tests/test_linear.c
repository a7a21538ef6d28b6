/* SPDX-License-Identifier: Apache-2.0 */
/* linear_elu1: quadratic form = recurrence = chunks that carry the state. */
#include "base/tests/suite.h"
#include "loop.h"

#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV

/* What the host hands over where nothing is said: form, chunk. */
static const att_value BY_STATE[] = {{.s = "chunked"}, {.i = 64, .f = 64}};
static const att_value BY_PAIRS[] = {{.s = "quadratic"}, {.i = 64, .f = 64}};

static double feature(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

/* o of one element from the quadratic form over keys 0 .. n, and the bound of the recurrence. */
static double quadratic(const att_problem *p, int64_t b, int64_t h, int64_t i, int64_t n, int64_t d,
                        double *bound)
{
    const int64_t kv = h / (p->heads_q / p->heads_kv);
    double sum = 0, norm = 0, size = 0;
    for (int64_t j = 0; j < n; j++) {
        double weight = 0;
        for (int64_t c = 0; c < p->head_dim; c++)
            weight += feature(try_get(&p->q, b, h, i, c)) * feature(try_get(&p->k, b, kv, j, c));
        const double v = try_get(&p->v, b, kv, j, d);
        sum += weight * v, size += weight * fabs(v), norm += weight;
    }
    const double u = 0x1p-24, o = norm > 0 ? sum / norm : 0;
    const double terms = (double)(n * (p->head_dim + 8) + p->head_dim + 2);
    *bound = norm > 0 ? u * terms * (size / norm + fabs(o)) + try_ulp(p->out.dtype, o) : 0;
    return o;
}

static void attend_is_the_quadratic_form(const try_spec *spec)
{
    const att_kernel *k = try_kernel("linear_elu1");
    for (int threads = 1; threads <= 5; threads += 2) {
        try_problem t;
        att_host host;
        try_make(&t, spec, 9);
        t.p.lse.data = NULL;
        CU_ASSERT_EQUAL_FATAL(att_host_make(threads, &host), ATT_OK);
        const att_value *form = threads == 3 ? BY_PAIRS : BY_STATE;
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, form, &host, NULL), ATT_OK);
        for (int64_t b = 0; b < spec->b; b++)
            for (int64_t h = 0; h < spec->hq; h++)
                for (int64_t i = 0; i < spec->sq; i++)
                    for (int64_t d = 0; d < spec->dv; d++) {
                        int64_t n = spec->skv;
                        if (spec->causal == ATT_CAUSAL_TOP_LEFT)
                            n = i + 1 < n ? i + 1 : n;
                        if (spec->causal == ATT_CAUSAL_BOTTOM_RIGHT)
                            n = i + 1 + spec->skv - spec->sq;
                        double bound;
                        const double want = quadratic(&t.p, b, h, i, n > 0 ? n : 0, d, &bound);
                        CU_ASSERT(fabs(try_get(&t.p.out, b, h, i, d) - want) <= bound);
                    }
        att_host_drop(&host);
        try_drop(&t);
    }
}

static void full_attention_reads_the_whole_state(void)
{
    attend_is_the_quadratic_form(&(try_spec){SHAPE(2, 4, 2, 7, 33, 12, 10)});
}

static void causal_rows_read_the_state_up_to_them(void)
{
    attend_is_the_quadratic_form(&(try_spec){SHAPE(2, 6, 2, 20, 20, 8, 17),
                                             .causal = ATT_CAUSAL_TOP_LEFT, .dtype = ATT_BF16});
    attend_is_the_quadratic_form(&(try_spec){
        SHAPE(1, 2, 1, 5, 40, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .layout = TRY_BSHD});
}

static void rows_before_the_first_key_are_zero(void)
{
    attend_is_the_quadratic_form(
        &(try_spec){SHAPE(1, 2, 1, 12, 5, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT});
    attend_is_the_quadratic_form(&(try_spec){SHAPE(1, 1, 1, 3, 0, 4, 4)});
}

/* Tokens first .. first + n of a problem. */
static att_problem slice(const att_problem *p, int64_t first, int64_t n)
{
    att_problem part = *p;
    att_tensor *t[] = {&part.q, &part.k, &part.v, &part.out};
    for (int c = 0; c < 4; c++) {
        t[c]->data = (float *)t[c]->data + first * t[c]->stride[2];
        t[c]->shape[2] = n;
    }
    part.q_len = part.kv_len = n;
    return part;
}

static void chunks_that_carry_the_state_are_one_call(void)
{
    static const int64_t chunk[] = {1, 16, 7, 50};
    const att_kernel *k = try_kernel("linear_elu1");
    for (int c = 0; c < 4; c++) {
        const try_spec spec = {SHAPE(2, 4, 2, 50, 50, 8, 12), .causal = ATT_CAUSAL_TOP_LEFT};
        try_problem t;
        att_host host;
        try_make(&t, &spec, 9);
        t.p.lse.data = NULL;
        CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
        att_tensor s = try_tensor(&t, ATT_F32, TRY_DENSE, 2, 2, 8, 12);
        att_tensor z = try_tensor(&t, ATT_F32, TRY_DENSE, 2, 2, 1, 8);
        for (int64_t first = 0; first < 50; first += chunk[c]) {
            att_problem part = slice(&t.p, first, first + chunk[c] > 50 ? 50 - first : chunk[c]);
            att_recur r = {.rule = ATT_RULE_LINEAR_ELU1, .state_out = s, .z_out = z};
            if (first)
                r.state_in = s, r.z_in = z;
            part.recur = &r;
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_RECUR, &part, BY_STATE, &host, NULL), ATT_OK);
        }
        for (int64_t i = 0; i < 50; i++)
            for (int64_t d = 0; d < 12; d++) {
                double bound;
                const double want = quadratic(&t.p, 1, 3, i, i + 1, d, &bound);
                CU_ASSERT(fabs(try_get(&t.p.out, 1, 3, i, d) - want) <= bound);
            }
        att_host_drop(&host);
        try_drop(&t);
    }
}

static void what_it_cannot_do_is_refused(void)
{
    const att_kernel *k = try_kernel("linear_elu1");
    const try_spec spec = {SHAPE(1, 2, 2, 4, 4, 4, 4)};
    att_reason why = {""};
    att_recur r = {.rule = ATT_RULE_RETENTION};
    try_problem t;
    try_make(&t, &spec, 9);
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, NULL, &why), ATT_UNSUPPORTED); /* LSE */
    t.p.lse.data = NULL;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, NULL, &why), ATT_OK);
    t.p.recur = &r;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_RECUR, &t.p, NULL, &why), ATT_UNSUPPORTED);
    r.rule = ATT_RULE_LINEAR_ELU1;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_RECUR, &t.p, NULL, &why), ATT_OK);
    r.state_in = t.p.q;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_RECUR, &t.p, NULL, &why),
                    ATT_OK); /* [1,2,4,4] f32 fits */
    r.z_in = t.p.q;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_RECUR, &t.p, NULL, &why), ATT_INVALID);
    t.p.window_left = 3;
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, NULL, &why), ATT_UNSUPPORTED);
    try_drop(&t);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"full_attention_reads_the_whole_state", full_attention_reads_the_whole_state},
        {"causal_rows_read_the_state_up_to_them", causal_rows_read_the_state_up_to_them},
        {"rows_before_the_first_key_are_zero", rows_before_the_first_key_are_zero},
        {"chunks_that_carry_the_state_are_one_call", chunks_that_carry_the_state_are_one_call},
        {"what_it_cannot_do_is_refused", what_it_cannot_do_is_refused},
        CU_TEST_INFO_NULL};
    return att_suite_run("linear attention", tests);
}
