/* SPDX-License-Identifier: Apache-2.0 */
/* Captures: what is written is read back as the same problem, what is not known is refused by name,
 * and the committed captures of the real model hold what they say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tests/suite.h"
#include "model/capture.h"
#include "model/safetensors.h"
#include "plain_attention.h"

static void path_of(char path[64])
{
    snprintf(path, 64, "/tmp/attest_test_capture_%ld", (long)getpid());
}

static void same_elements(const att_tensor *a, const att_tensor *b)
{
    size_t size = att_dtype_size(a->dtype);
    CU_ASSERT_EQUAL_FATAL(a->dtype, b->dtype);
    for (int64_t i = 0; i < a->shape[0]; i++)
        for (int64_t j = 0; j < a->shape[1]; j++)
            for (int64_t k = 0; k < a->shape[2]; k++)
                for (int64_t l = 0; l < a->shape[3]; l++)
                    CU_ASSERT(!memcmp(
                        (char *)a->data + att_tensor_at(a, i, j, k, l) * (int64_t)size,
                        (char *)b->data + att_tensor_at(b, i, j, k, l) * (int64_t)size, size));
}

enum { B = 2, H = 4, G = 2, S = 3, T = 5, D = 8, E = 6 };

/* Everything about r is what c holds. */
static void same_capture(const att_capture *c, const att_capture *r)
{
    const att_problem *p = &c->problem, *got = &r->problem;
    CU_ASSERT(got->batch == B && got->heads_q == H && got->heads_kv == G && got->q_len == S);
    CU_ASSERT(got->kv_len == T && got->head_dim == D && got->value_dim == E);
    CU_ASSERT(got->scale == p->scale && got->softcap == p->softcap && got->causal == p->causal);
    CU_ASSERT(got->window_left == p->window_left && got->window_right == p->window_right);
    CU_ASSERT(r->out_dtype == c->out_dtype && r->acc_dtype == c->acc_dtype);
    CU_ASSERT_STRING_EQUAL(r->name, c->name);
    CU_ASSERT_STRING_EQUAL(r->source, c->source);
    same_elements(&p->q, &got->q);
    same_elements(&p->k, &got->k);
    same_elements(&p->v, &got->v);
    same_elements(&p->mask, &got->mask);
    same_elements(&p->sinks, &got->sinks);
    same_elements(&p->alibi_slopes, &got->alibi_slopes);
    same_elements(&c->out, &r->out);
    CU_ASSERT(got->bias.shape[0] == 1 && got->bias.shape[1] == H && got->bias.shape[2] == 1 &&
              got->bias.shape[3] == T);
    same_elements(&got->bias, &p->bias);
    CU_ASSERT_PTR_NULL(r->lse.data);
    CU_ASSERT_PTR_NULL(got->out.data);
}

static void a_problem_survives_the_file(void)
{
    float q[B * S * H * D], k[B * G * T * D], bias[H * T], sinks[H] = {0, 1, 2, 3},
                                                           slopes[H] = {4, 3, 2, 1};
    uint16_t v[B * G * T * E];
    uint8_t mask[S * T];
    float out[B * H * S * E];
    att_capture c = {.problem = att_problem_init(),
                     .out_dtype = ATT_BF16,
                     .acc_dtype = ATT_F32,
                     .name = "a name",
                     .source = "made by hand"},
                r;
    att_problem *p = &c.problem;
    att_why why;
    char path[64];
    for (size_t i = 0; i < sizeof q / sizeof q[0]; i++)
        q[i] = (float)i * 0.5f;
    for (size_t i = 0; i < sizeof k / sizeof k[0]; i++)
        k[i] = (float)i - 7;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        v[i] = (uint16_t)(0x3c00 + i);
    for (size_t i = 0; i < sizeof bias / sizeof bias[0]; i++)
        bias[i] = i % 3 ? (float)i : -INFINITY;
    for (size_t i = 0; i < sizeof mask; i++)
        mask[i] = i % 2;
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
        out[i] = (float)i;
    p->batch = B, p->heads_q = H, p->heads_kv = G, p->q_len = S, p->kv_len = T, p->head_dim = D,
    p->value_dim = E;
    p->q = att_tensor_dense(q, ATT_F32, B, H, S, D); /* lies as [B,S,H,D] */
    p->q.stride[1] = D;
    p->q.stride[2] = H * D;
    p->k = att_tensor_dense(k, ATT_F32, B, G, T, D);
    p->v = att_tensor_dense(v, ATT_F16, B, G, T, E);
    p->bias = att_tensor_dense(bias, ATT_F32, B, H, S, T); /* broadcast over batch and rows */
    p->bias.stride[0] = p->bias.stride[2] = 0;
    p->bias.stride[1] = T;
    p->mask = att_tensor_dense(mask, ATT_U8, 1, 1, S, T);
    p->sinks = att_tensor_dense(sinks, ATT_F32, 1, 1, 1, H);
    p->alibi_slopes = att_tensor_dense(slopes, ATT_F32, 1, 1, 1, H);
    p->scale = 0.1;
    p->softcap = 30;
    p->causal = ATT_CAUSAL_TOP_LEFT;
    p->window_left = 4;
    p->window_right = -1;
    c.out = att_tensor_dense(out, ATT_F32, B, H, S, E);
    path_of(path);
    CU_ASSERT_EQUAL_FATAL(att_capture_write(path, &c, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_capture_read(path, &r, &why), ATT_OK);
    unlink(path);
    same_capture(&c, &r);
    att_capture_drop(&r);
}

/* A minimal capture with one more pair, one more tensor, or another shape of k. */
static void variant(const char *key, const char *value, const char *tensor, int64_t keys,
                    att_status want, const char *says)
{
    static const float data[64] = {0};
    att_st_tensor t[4] = {
        {.name = "q",
         .dtype = ATT_F32,
         .dims = 4,
         .shape = {1, 2, 2, 4},
         .data = data,
         .bytes = 64},
        {.name = "k",
         .dtype = ATT_F32,
         .dims = 4,
         .shape = {1, 1, keys, 4},
         .data = data,
         .bytes = (size_t)keys * 16},
        {.name = "v",
         .dtype = ATT_F32,
         .dims = 4,
         .shape = {1, 1, 2, 4},
         .data = data,
         .bytes = 32},
        {.name = tensor, .dtype = ATT_F32, .dims = 1, .shape = {3}, .data = data, .bytes = 12}};
    att_st_pair pairs[4] = {
        {"attest_capture", "1"}, {"op", "attend"}, {"layout", "BHSD"}, {key, value}};
    att_capture c;
    att_why why = {""};
    char path[64];
    path_of(path);
    for (size_t i = 0; i < 3 && key; i++)
        if (!strcmp(pairs[i].key, key)) { /* replaces it */
            pairs[i].value = value;
            key = NULL;
        }
    CU_ASSERT_EQUAL_FATAL(att_safetensors_write(path, t, tensor ? 4 : 3, pairs, key ? 4 : 3, &why),
                          ATT_OK);
    att_status st = att_capture_read(path, &c, &why);
    CU_ASSERT_EQUAL(st, want);
    CU_ASSERT(st == ATT_OK || strstr(why.text, path));
    CU_ASSERT(st == ATT_OK || strstr(why.text, says));
    if (st != want || (st && !strstr(why.text, says)))
        printf("  status %d, message: %s (wanted: %s)\n", (int)st, why.text, says);
    att_capture_drop(&c);
    unlink(path);
}

static void what_is_not_known_is_refused_by_name(void)
{
    variant(NULL, NULL, NULL, 2, ATT_OK, "");
    variant("x_note", "anything", NULL, 2, ATT_OK, "");
    variant("x_note", "anything", "x_more", 2, ATT_OK, "");
    variant("cuasal", "none", NULL, 2, ATT_CORRUPT, "cuasal");
    variant("causal", "diagonal", NULL, 2, ATT_CORRUPT, "diagonal");
    variant("causal", "positions", NULL, 2, ATT_UNSUPPORTED, "positions");
    variant("semantics", "fa2", NULL, 2, ATT_UNSUPPORTED, "semantics");
    variant("scale", "a lot", NULL, 2, ATT_CORRUPT, "a lot");
    variant("scale", "1e999", NULL, 2, ATT_CORRUPT, "1e999");
    variant("scale", "nan", NULL, 2, ATT_CORRUPT, "nan");
    variant("softcap", "-1", NULL, 2, ATT_CORRUPT, "negative");
    variant("window", "4", NULL, 2, ATT_CORRUPT, "window");
    variant("window", "4,-2", NULL, 2, ATT_CORRUPT, "window");
    variant("window", "4,5x", NULL, 2, ATT_CORRUPT, "window");
    variant("layout", "BSHD", NULL, 2, ATT_UNSUPPORTED, "BSHD");
    variant("op", "recur", NULL, 2, ATT_UNSUPPORTED, "recur");
    variant("attest_capture", "2", NULL, 2, ATT_UNSUPPORTED, "only 1");
    variant("out_dtype_unit", "f31", NULL, 2, ATT_CORRUPT, "f31");
    variant(NULL, NULL, "Q", 2, ATT_CORRUPT, "tensor Q");
    variant(NULL, NULL, "block_table", 2, ATT_UNSUPPORTED, "block_table");
    variant(NULL, NULL, "mask", 2, ATT_CORRUPT, "tensor mask");
    variant(NULL, NULL, "sinks", 2, ATT_CORRUPT, "tensor sinks");
    variant(NULL, NULL, NULL, 3, ATT_CORRUPT, "tensor v");
}

static void explicit_positions_cannot_be_written(void)
{
    att_capture c = {.problem = att_problem_init()};
    att_why why;
    c.problem.causal = ATT_CAUSAL_POSITIONS;
    CU_ASSERT_EQUAL(att_capture_write("/tmp/never", &c, &why), ATT_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "positions"));
    CU_ASSERT_NOT_EQUAL(access("/tmp/never", F_OK), 0);
}

/* The committed samples: the answer in the file is attention's own, to the rounding of f32. */
static void the_model_s_captures_hold_attention(void)
{
    static const int layers[] = {0, 9, 19, 29};
    double w[256], largest = 0;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char path[80];
        att_capture c;
        att_why why = {""};
        snprintf(path, sizeof path, "datasets/captures/smollm2_layer_%d.safetensors", layers[i]);
        att_status st = att_capture_read(path, &c, &why);
        CU_ASSERT_EQUAL(st, ATT_OK);
        if (st) {
            printf("%s\n", why.text);
            continue;
        }
        att_problem p = c.problem;
        CU_ASSERT(p.heads_q == 9 && p.heads_kv == 3 && p.head_dim == 64 && p.q_len < p.kv_len &&
                  p.kv_len <= 256);
        CU_ASSERT_EQUAL(p.causal, ATT_CAUSAL_BOTTOM_RIGHT);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c.out.data);
        float *got = malloc((size_t)(p.heads_q * p.q_len * 64) * sizeof *got);
        p.out = att_tensor_dense(got, ATT_F32, 1, p.heads_q, p.q_len, 64);
        for (int64_t h = 0; h < p.heads_q; h++)
            for (int64_t r = 0; r < p.q_len; r++)
                plain_row(&p, h, r, w);
        for (int64_t j = 0; j < p.heads_q * p.q_len * 64; j++) {
            double want = (double)((const float *)c.out.data)[j];
            /* Both are f64 answers rounded to f32: they differ by one rounding of each, 2^-24. */
            CU_ASSERT(fabs((double)got[j] - want) <= 0x1p-23 * fabs(want) + 1e-12);
            largest = fmax(largest, fabs(want));
        }
        free(got);
        att_capture_drop(&c);
    }
    CU_ASSERT(largest > 0.1);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_problem_survives_the_file", a_problem_survives_the_file},
        {"what_is_not_known_is_refused_by_name", what_is_not_known_is_refused_by_name},
        {"explicit_positions_cannot_be_written", explicit_positions_cannot_be_written},
        {"the_model_s_captures_hold_attention", the_model_s_captures_hold_attention},
        CU_TEST_INFO_NULL};
    return att_suite_run("capture", tests);
}
