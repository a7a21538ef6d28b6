/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that change the heads: pool_kv against a plain f64 loop on the pooled problem. */
#include "base/tests/suite.h"
#include "loop.h"

#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV

static const try_spec SPECS[] = {
    {SHAPE(1, 2, 2, 70, 70, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(2, 6, 2, 13, 150, 20, 12), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .sinks = 1, .alibi = 1},
    {SHAPE(2, 4, 2, 9, 40, 8, 8)},
    {SHAPE(1, 4, 2, 20, 80, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .left1 = 31, .mask = 4},
    {SHAPE(3, 2, 2, 12, 50, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .lengths = 1, .block = 7},
    {SHAPE(1, 6, 2, 1, 600, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .layout = TRY_BSHD},
};
#define N_SPECS ((int)(sizeof SPECS / sizeof *SPECS))

/* pool_kv on a problem = flash_f32 on the pooled problem, by the plain loop. */
static void pool_kv_attends_to_the_mean_of_heads(void)
{
    const att_kernel *k = try_kernel("pool_kv");
    for (int c = 0; c < N_SPECS; c++) {
        const att_value v[] = {{.i = 1}};
        try_problem t;
        att_host host;
        try_make(&t, &SPECS[c], 4);
        CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
        CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, v, &host, NULL), ATT_OK);
        att_tensor k1 = try_tensor(&t, ATT_F32, TRY_DENSE, t.p.batch, 1, t.p.kv_len, t.p.head_dim);
        att_tensor v1 = try_tensor(&t, ATT_F32, TRY_DENSE, t.p.batch, 1, t.p.kv_len, t.p.value_dim);
        for (int64_t b = 0; b < t.p.batch; b++)
            for (int64_t j = 0; j < t.p.kv_len; j++) {
                for (int64_t d = 0; d < t.p.head_dim; d++)
                    try_put(&k1, b, 0, j, d,
                            (try_get(&t.p.k, b, 0, j, d) + try_get(&t.p.k, b, 1, j, d)) / 2);
                for (int64_t d = 0; d < t.p.value_dim; d++)
                    try_put(&v1, b, 0, j, d,
                            (try_get(&t.p.v, b, 0, j, d) + try_get(&t.p.v, b, 1, j, d)) / 2);
            }
        t.p.k = k1, t.p.v = v1, t.p.heads_kv = 1;
        CU_ASSERT(try_worst(&t, NULL) <= 1);
        att_host_drop(&host);
        try_drop(&t);
    }
    try_problem t;
    att_reason why = {""};
    try_make(&t, &(try_spec){SHAPE(1, 6, 3, 4, 4, 8, 8)}, 1);
    CU_ASSERT_EQUAL(k->supports(k, ATT_OP_ATTEND, &t.p, (att_value[]){{.i = 2}}, &why),
                    ATT_UNSUPPORTED);
    CU_ASSERT(strstr(why.text, "3 KV heads") != NULL);
    try_drop(&t);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"pool_kv_attends_to_the_mean_of_heads", pool_kv_attends_to_the_mean_of_heads},
        CU_TEST_INFO_NULL};
    return att_suite_run("heads", tests);
}
