/* SPDX-License-Identifier: Apache-2.0 */
/* Memory kernels: `select` against the written definition, and the output against a plain f64 loop
 * over the selected pairs. */
#include "base/tests/suite.h"
#include "loop.h"

#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV

/* Problems of prefixes: each row sees the keys before a place that moves on with the rows. */
static const try_spec SPECS[] = {
    {SHAPE(1, 2, 2, 70, 70, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(2, 6, 2, 13, 150, 20, 12), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .sinks = 1, .alibi = 1},
    {SHAPE(2, 4, 2, 9, 40, 8, 8)},
    {SHAPE(1, 4, 1, 30, 12, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(1, 2, 1, 33, 90, 8, 8), .causal = ATT_CAUSAL_TOP_LEFT, .cap = 5},
    {SHAPE(3, 2, 2, 12, 50, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .lengths = 1},
    {SHAPE(1, 6, 2, 1, 600, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .layout = TRY_BSHD},
    {SHAPE(2, 2, 1, 4, 0, 8, 8)},
    {SHAPE(1, 2, 1, 0, 9, 8, 8)},
};
#define N_SPECS ((int)(sizeof SPECS / sizeof *SPECS))

/* One row of what a kernel selected, and whether it is right. */
typedef void (*row_check)(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                          int64_t i, const att_value *v, const uint8_t *kept);

static void rows_hold(const char *name, const att_value *v, row_check check)
{
    const att_kernel *k = try_kernel(name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(k);
    for (int c = 0; c < N_SPECS; c++)
        for (int threads = 1; threads < 4; threads += 2) {
            try_problem t;
            att_host host;
            try_make(&t, &SPECS[c], (uint64_t)c);
            const att_problem *p = &t.p;
            CU_ASSERT_EQUAL_FATAL(att_host_make(threads, &host), ATT_OK);
            uint8_t *pairs = malloc((size_t)(p->batch * p->heads_q * p->q_len * p->kv_len) + 1);
            CU_ASSERT_EQUAL_FATAL(try_call(k, ATT_OP_SELECT, p, v, &host, pairs), ATT_OK);
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, p, v, &host, NULL), ATT_OK);
            CU_ASSERT(try_worst(&t, pairs) <= 1);
            for (int64_t r = 0; r < p->batch * p->heads_q * p->q_len; r++) {
                const int64_t b = r / p->heads_q / p->q_len, i = r % p->q_len;
                const try_sequence s = try_sequence_of(p, b);
                if (i < s.nq)
                    check(&t, &s, b, r / p->q_len % p->heads_q, i, v, pairs + r * p->kv_len);
            }
            free(pairs);
            att_host_drop(&host);
            try_drop(&t);
        }
}

static void near_and_best_far(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                              int64_t i, const att_value *v, const uint8_t *kept)
{
    const int64_t at = try_position(&t->p, s, b, i);
    int64_t far = 0, have = 0;
    double low = INFINITY, high = -(double)INFINITY;

    for (int64_t j = 0; j < t->p.kv_len; j++) {
        const bool allowed = try_allowed(&t->p, s, b, h, i, j);
        if (!allowed || llabs(at - j) < v[1].i) {
            CU_ASSERT_EQUAL(kept[j], allowed);
            continue;
        }
        const try_key key = try_logit(&t->p, s, b, h, i, j);
        far++, have += kept[j];
        if (kept[j])
            low = fmin(low, key.s - key.b);
        else
            high = fmax(high, key.s - key.b);
    }
    CU_ASSERT_EQUAL(have, far < v[0].i ? far : v[0].i);
    CU_ASSERT(have == 0 || high <= low);
}

static void knn_memory_keeps_near_keys_and_the_best_far_ones(void)
{
    static const int64_t k[] = {1, 4, 32, 4}, local[] = {1, 3, 128, 0};
    for (int c = 0; c < 4; c++)
        rows_hold("knn_memory", (att_value[]){{.i = k[c]}, {.i = local[c]}}, near_and_best_far);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"knn_memory_keeps_near_keys_and_the_best_far_ones",
                                         knn_memory_keeps_near_keys_and_the_best_far_ones},
                                        CU_TEST_INFO_NULL};
    return att_suite_run("memory kernels", tests);
}
