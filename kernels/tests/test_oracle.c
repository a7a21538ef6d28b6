/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/host.h"
#include "table.h"

/* One stored case as a problem; its arrays are calloc'ed. */
typedef struct stored {
    att_problem p;
    double *array[6]; /* q k v bias out lse */
    float *sinks;
    int64_t n_out, n_lse;
    double *want, *want_lse;
} stored;

static int64_t integer(const cJSON *row, const char *key)
{
    int64_t x = 0;

    CU_ASSERT_FATAL(att_json_int(row, key, &x));
    return x;
}

static double *numbers(const cJSON *row, const char *key, int64_t n)
{
    const cJSON *list = att_json_get(row, key), *at;
    double *x = calloc((size_t)n + 1, sizeof *x);
    int64_t i = 0;

    CU_ASSERT_FATAL(x && cJSON_GetArraySize(list) == n);
    for (at = list->child; at; at = at->next)
        CU_ASSERT(att_json_number(at, &x[i++]));
    return x;
}

static int32_t causal_of(const cJSON *row)
{
    const char *text = "";

    CU_ASSERT_FATAL(att_json_text(row, "causal", &text));
    return strcmp(text, "top_left") == 0       ? ATT_CAUSAL_TOP_LEFT
           : strcmp(text, "bottom_right") == 0 ? ATT_CAUSAL_BOTTOM_RIGHT
                                               : ATT_CAUSAL_NONE;
}

static void read_case(const cJSON *row, stored *s)
{
    int64_t hq = integer(row, "hq"), hkv = integer(row, "hkv"), sq = integer(row, "sq");
    int64_t sk = integer(row, "sk"), d = integer(row, "d"), dv = integer(row, "dv");

    *s = (stored){.p = att_problem_init(), .n_out = hq * sq * dv, .n_lse = hq * sq};
    att_problem *p = &s->p;
    p->batch = 1, p->heads_q = hq, p->heads_kv = hkv;
    p->q_len = sq, p->kv_len = sk, p->head_dim = d, p->value_dim = dv;
    p->causal = causal_of(row);
    p->window_left = integer(row, "left"), p->window_right = integer(row, "right");
    CU_ASSERT_FATAL(att_json_real(row, "softcap", &p->softcap));
    s->array[0] = numbers(row, "q", hq * sq * d);
    s->array[1] = numbers(row, "k", hkv * sk * d);
    s->array[2] = numbers(row, "v", hkv * sk * dv);
    s->array[4] = calloc((size_t)s->n_out + 1, sizeof(double));
    s->array[5] = calloc((size_t)s->n_lse + 1, sizeof(double));
    s->want = numbers(row, "out", s->n_out);
    s->want_lse = numbers(row, "lse", s->n_lse);
    CU_ASSERT_FATAL(s->array[4] && s->array[5]);
    p->q = att_tensor_dense(s->array[0], ATT_F64, 1, hq, sq, d);
    p->k = att_tensor_dense(s->array[1], ATT_F64, 1, hkv, sk, d);
    p->v = att_tensor_dense(s->array[2], ATT_F64, 1, hkv, sk, dv);
    p->out = att_tensor_dense(s->array[4], ATT_F64, 1, hq, sq, dv);
    p->lse = att_tensor_dense(s->array[5], ATT_F64, 1, 1, hq, sq);
    if (att_json_get(row, "bias")) {
        s->array[3] = numbers(row, "bias", hq * sq * sk);
        p->bias = att_tensor_dense(s->array[3], ATT_F64, 1, hq, sq, sk);
    }
    if (att_json_get(row, "sinks")) {
        double *z = numbers(row, "sinks", hq);
        s->sinks = calloc((size_t)hq + 1, sizeof *s->sinks);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s->sinks);
        for (int64_t h = 0; h < hq; h++)
            s->sinks[h] = (float)z[h];
        free(z);
        p->sinks = att_tensor_dense(s->sinks, ATT_F32, 1, 1, 1, hq);
    }
}

static void drop_case(stored *s)
{
    for (int i = 0; i < 6; i++)
        free(s->array[i]);
    free(s->sinks);
    free(s->want);
    free(s->want_lse);
}

static att_status attend(const att_kernel *oracle, const att_problem *p)
{
    att_host host;
    att_plan plan = {0};

    CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(oracle->supports(oracle, ATT_OP_ATTEND, p, NULL, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(oracle->plan(oracle, ATT_OP_ATTEND, p, NULL, &plan), ATT_OK);
    void *room = malloc(plan.scratch_bytes + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    att_scratch scratch = {.data = room, .bytes = plan.scratch_bytes, .host = &host};
    att_status status = oracle->attend(oracle, p, &scratch);
    free(room);
    att_host_drop(&host);
    return status;
}

/* Both sides round some dozen times in f64; sinks are stored in f32. */
static bool near(double got, double want, double slack)
{
    return fabs(got - want) <= slack * (1 + fabs(want));
}

static void the_oracle_gives_numpys_numbers(void)
{
    const att_kernel *oracle = att_kernel_table(NULL)->kernels[0];
    cJSON *file = NULL;
    att_why why = {""};
    const cJSON *row;
    int cases = 0;

    CU_ASSERT_STRING_EQUAL_FATAL(oracle->name, "reference_f64");
    CU_ASSERT_EQUAL_FATAL(att_json_read("datasets/reference/oracle.json", 1 << 20, &file, &why),
                          ATT_OK);
    cJSON_ArrayForEach(row, att_json_get(file, "cases"))
    {
        stored s;
        read_case(row, &s);
        const double slack = s.sinks ? 0x1p-23 : 1e-14;
        CU_ASSERT_EQUAL(attend(oracle, &s.p), ATT_OK);
        for (int64_t i = 0; i < s.n_out; i++)
            CU_ASSERT(near(s.array[4][i], s.want[i], slack));
        for (int64_t i = 0; i < s.n_lse; i++)
            CU_ASSERT(s.want_lse[i] == -1e300 ? s.array[5][i] == -(double)INFINITY
                                              : near(s.array[5][i], s.want_lse[i], 1e-14));
        drop_case(&s);
        cases++;
    }
    CU_ASSERT_EQUAL(cases, 9);
    cJSON_Delete(file);
}

/* select only: 2 batches, 2 heads, 7 queries, 11 keys; blocks of 3 x 4. */
static void a_block_mask_is_a_mask_of_blocks_broadcast_or_not(void)
{
    enum { B = 2, H = 2, Q = 7, K = 11, BQ = 3, BK = 4, ROWS = 3, COLUMNS = 3 };
    const att_kernel *oracle = att_kernel_table(NULL)->kernels[0];
    static double room[B * H * K];

    for (int kind = 0; kind < 16; kind++) {
        const int64_t n[4] = {kind & 1 ? B : 1, kind & 2 ? H : 1, kind & 4 ? ROWS : 1,
                              kind & 8 ? COLUMNS : 1};
        uint8_t blocks[B * H * ROWS * COLUMNS], got[B * H * Q * K];
        att_problem p = att_problem_init();
        p.batch = B, p.heads_q = p.heads_kv = H, p.q_len = Q, p.kv_len = K;
        p.head_dim = p.value_dim = 1;
        p.q = att_tensor_dense(room, ATT_F64, B, H, Q, 1);
        p.k = p.v = att_tensor_dense(room, ATT_F64, B, H, K, 1);
        for (size_t i = 0; i < sizeof blocks; i++)
            blocks[i] = (uint8_t)(i * 7 / 3 % 2);
        p.block_mask = att_tensor_dense(blocks, ATT_U8, n[0], n[1], n[2], n[3]);
        p.block_q = BQ, p.block_k = BK;
        CU_ASSERT_EQUAL_FATAL(oracle->supports(oracle, ATT_OP_SELECT, &p, NULL, NULL), ATT_OK);
        CU_ASSERT_EQUAL_FATAL(oracle->select(oracle, &p, &(att_scratch){0}, got), ATT_OK);
        for (int64_t r = 0; r < B * H * Q * K; r++) {
            const int64_t j = r % K, i = r / K % Q, h = r / K / Q % H, b = r / K / Q / H;
            const int64_t at = ((b % n[0] * n[1] + h % n[1]) * n[2] + i / BQ % n[2]) * n[3] +
                               j / BK % n[3];
            CU_ASSERT_EQUAL(got[r], blocks[at]);
        }
    }
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the oracle gives numpy's numbers", the_oracle_gives_numpys_numbers},
        {"a block mask is a mask of blocks, broadcast or not",
         a_block_mask_is_a_mask_of_blocks_broadcast_or_not},
        CU_TEST_INFO_NULL};

    return att_suite_run("oracle", tests);
}
