/* SPDX-License-Identifier: Apache-2.0 */
/* The backward kernels against a plain f64 loop written apart, and against themselves. */
#include "base/tests/suite.h"
#include "try.h"

enum { DQ, DK, DV, DBIAS, GRADS };

/* A problem with out, LSE and dout, and room for its gradients. */
typedef struct back_problem {
    try_problem t;
    att_grad section;
    att_tensor *grad[GRADS];
} back_problem;

static void make(back_problem *b, const try_spec *spec)
{
    const att_kernel *oracle = try_kernel("reference_f64");
    att_rng rng = att_rng_make(11, "backward test");
    att_host host;

    try_make(&b->t, spec, 7);
    att_problem *p = &b->t.p;
    CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(try_call(oracle, ATT_OP_ATTEND, p, NULL, &host, NULL), ATT_OK);
    att_host_drop(&host);
    b->section = (att_grad){0};
    b->section.dout =
        try_tensor(&b->t, spec->dtype, spec->layout, p->out.shape[0], spec->hq, spec->sq, spec->dv);
    try_fill(&b->section.dout, &rng, 1.0, 0.0);
    b->section.dq =
        try_tensor(&b->t, spec->dtype, spec->layout, p->q.shape[0], spec->hq, spec->sq, spec->dk);
    b->section.dk =
        try_tensor(&b->t, spec->dtype, spec->layout, p->k.shape[0], spec->hkv, spec->skv, spec->dk);
    b->section.dv =
        try_tensor(&b->t, spec->dtype, spec->layout, p->v.shape[0], spec->hkv, spec->skv, spec->dv);
    if (p->bias.data)
        b->section.dbias = try_tensor(&b->t, p->bias.dtype, TRY_DENSE, p->bias.shape[0],
                                      p->bias.shape[1], p->bias.shape[2], p->bias.shape[3]);
    b->grad[DQ] = &b->section.dq;
    b->grad[DK] = &b->section.dk;
    b->grad[DV] = &b->section.dv;
    b->grad[DBIAS] = &b->section.dbias;
    p->grad = &b->section;
}

static int64_t cells(const att_tensor *t)
{
    return t->data ? t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3] : 0;
}

static double at(const att_tensor *t, int64_t c)
{
    const int64_t *n = t->shape;

    return try_get(t, c / n[3] / n[2] / n[1], c / n[3] / n[2] % n[1], c / n[3] % n[2], c % n[3]);
}

/* ------------------------------------------------------------------- a plain f64 loop */

static double dot(const att_tensor *a, const att_tensor *b, int64_t n, const int64_t *i,
                  const int64_t *j)
{
    double sum = 0;

    for (int64_t d = 0; d < n; d++)
        sum += try_get(a, i[0], i[1], i[2], d) * try_get(b, j[0], j[1], j[2], d);
    return sum;
}

/* dq [Hq][Sq][Dk] of a dense, causal (top left) or free problem of one sequence, by exchanging the
 * sum over keys with that of p: dq_i = scale sum_jk p_j p_k (z_j - z_k) k_j. */
static double slow_dq(const att_problem *p, int64_t h, int64_t i, int64_t d)
{
    const int64_t hk = h / (p->heads_q / p->heads_kv), n = p->causal ? i + 1 : p->kv_len;
    const int64_t q[3] = {0, h, i};
    double e[64], z[64], total = 0, sum = 0;

    for (int64_t j = 0; j < n; j++) {
        const int64_t key[3] = {0, hk, j};
        e[j] = exp(att_scale(p) * dot(&p->q, &p->k, p->head_dim, q, key));
        z[j] = dot(&p->grad->dout, &p->v, p->value_dim, q, key);
        total += e[j];
    }
    for (int64_t j = 0; j < n; j++)
        for (int64_t k = 0; k < n; k++)
            sum += e[j] * e[k] / total / total * (z[j] - z[k]) * try_get(&p->k, 0, hk, j, d);
    return att_scale(p) * sum;
}

static void the_oracles_dq_is_that_of_a_loop_written_apart(void)
{
    const try_spec specs[] = {
        {.b = 1, .hq = 4, .hkv = 2, .sq = 9, .skv = 9, .dk = 5, .dv = 7, .dtype = ATT_F64},
        {.b = 1,
         .hq = 3,
         .hkv = 1,
         .sq = 9,
         .skv = 11,
         .dk = 8,
         .dv = 3,
         .dtype = ATT_F64,
         .causal = ATT_CAUSAL_TOP_LEFT,
         .layout = TRY_BSHD}};

    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        back_problem b;
        att_host host;
        make(&b, &specs[s]);
        CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
        CU_ASSERT_EQUAL(try_call(try_kernel("reference_f64"), ATT_OP_ATTEND_BACKWARD, &b.t.p, NULL,
                                 &host, NULL),
                        ATT_OK);
        for (int64_t c = 0; c < cells(b.grad[DQ]); c++) {
            const int64_t h = c / specs[s].dk / specs[s].sq, i = c / specs[s].dk % specs[s].sq;
            const double want = slow_dq(&b.t.p, h, i, c % specs[s].dk);
            CU_ASSERT(fabs(at(b.grad[DQ], c) - want) <= 1e-13 * (1 + fabs(want)));
        }
        att_host_drop(&host);
        try_drop(&b.t);
    }
}

/* --------------------------------------------------------------------------- threads */

static uint64_t bits_of(const back_problem *b)
{
    uint64_t bits = 1469598103934665603u;

    for (int g = 0; g < GRADS; g++)
        for (int64_t c = 0; c < cells(b->grad[g]); c++) {
            const double x = at(b->grad[g], c);
            uint64_t word;
            memcpy(&word, &x, sizeof word);
            bits = (bits ^ word) * 1099511628211u;
        }
    return bits;
}

static void flash_backward_gives_the_same_bits_at_any_number_of_threads(void)
{
    static const int threads[] = {1, 2, 5, 1};
    const try_spec specs[] = {
        {.b = 3,
         .hq = 6,
         .hkv = 3,
         .sq = 37,
         .skv = 70,
         .dk = 24,
         .dv = 16,
         .causal = ATT_CAUSAL_BOTTOM_RIGHT},
        {.b = 2, .hq = 4, .hkv = 2, .sq = 33, .skv = 40, .dk = 8, .dv = 8, .bias = 2},
        {.b = 2,
         .hq = 4,
         .hkv = 4,
         .sq = 33,
         .skv = 40,
         .dk = 8,
         .dv = 8,
         .bias = 1,
         .mask = 1,
         .dtype = ATT_BF16,
         .layout = TRY_BACKWARD}};

    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        uint64_t first = 0;
        for (size_t n = 0; n < sizeof threads / sizeof *threads; n++) {
            back_problem b;
            att_host host;
            make(&b, &specs[s]);
            CU_ASSERT_EQUAL_FATAL(att_host_make(threads[n], &host), ATT_OK);
            CU_ASSERT_EQUAL(try_call(try_kernel("flash_backward"), ATT_OP_ATTEND_BACKWARD, &b.t.p,
                                     NULL, &host, NULL),
                            ATT_OK);
            const uint64_t bits = bits_of(&b);
            CU_ASSERT(n == 0 || bits == first);
            first = bits;
            att_host_drop(&host);
            try_drop(&b.t);
        }
    }
}

/* --------------------------------------------------------------------------- refusal */

static att_status answer(const char *kernel, const att_problem *p)
{
    const att_kernel *k = try_kernel(kernel);

    return k->supports(k, ATT_OP_ATTEND_BACKWARD, p, NULL, NULL);
}

static void what_is_missing_or_misshapen_is_refused(void)
{
    static const char *const kernels[] = {"reference_f64", "flash_backward"};
    const try_spec spec = {.b = 1, .hq = 2, .hkv = 1, .sq = 4, .skv = 5, .dk = 8, .dv = 8};

    for (int k = 0; k < 2; k++) {
        back_problem b;
        make(&b, &spec);
        att_problem *p = &b.t.p;
        const att_grad right = b.section;
        CU_ASSERT_EQUAL(answer(kernels[k], p), ATT_OK);
        b.section.dk.shape[2]++;
        CU_ASSERT_EQUAL(answer(kernels[k], p), ATT_INVALID);
        b.section = right;
        b.section.dv.data = NULL;
        CU_ASSERT_EQUAL(answer(kernels[k], p), ATT_INVALID);
        b.section = right;
        b.section.dout.shape[3]--;
        CU_ASSERT_EQUAL(answer(kernels[k], p), ATT_INVALID);
        b.section = right;
        b.section.dbias = b.section.dq; /* of a bias that is not there */
        CU_ASSERT_EQUAL(answer(kernels[k], p), ATT_INVALID);
        b.section = right;
        p->grad = NULL;
        CU_ASSERT_EQUAL(answer(kernels[k], p), ATT_INVALID);
        try_drop(&b.t);
    }
}

static void flash_backward_needs_the_lse_and_refuses_pages(void)
{
    const try_spec spec = {.b = 1, .hq = 2, .hkv = 1, .sq = 4, .skv = 5, .dk = 8, .dv = 8};
    back_problem b;

    make(&b, &spec);
    b.t.p.lse.data = NULL;
    CU_ASSERT_EQUAL(answer("flash_backward", &b.t.p), ATT_UNSUPPORTED);
    CU_ASSERT_EQUAL(answer("reference_f64", &b.t.p), ATT_OK);
    try_drop(&b.t);
    const try_spec paged = {
        .b = 1, .hq = 2, .hkv = 1, .sq = 4, .skv = 5, .dk = 8, .dv = 8, .paged = 4};
    make(&b, &paged);
    CU_ASSERT_EQUAL(answer("flash_backward", &b.t.p), ATT_UNSUPPORTED);
    try_drop(&b.t);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the oracle's dq is that of a loop written apart",
         the_oracles_dq_is_that_of_a_loop_written_apart},
        {"flash_backward gives the same bits at any number of threads",
         flash_backward_gives_the_same_bits_at_any_number_of_threads},
        {"what is missing or misshapen is refused", what_is_missing_or_misshapen_is_refused},
        {"flash_backward needs the LSE and refuses pages",
         flash_backward_needs_the_lse_and_refuses_pages},
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("backward", tests);
}
