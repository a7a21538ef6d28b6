/* SPDX-License-Identifier: Apache-2.0 */
/* The real model against numbers that others computed (datasets/reference/smollm2.json): token ids
 * exactly, logits and logsumexp within 2e-4, mean NLL within 2e-5.  Skipped where the model is not
 * there. */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/suite.h"
#include "core/host.h"
#include "model/lm.h"

#define MODEL        "datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf"
#define REFERENCE    "datasets/reference/smollm2.json"
#define LOGITS_CLOSE 2e-4
#define NLL_CLOSE    2e-5

static void blas_head(void *arg, int64_t h, int thread)
{
    const att_problem *p = arg;
    int64_t g = h / (p->heads_q / p->heads_kv), n = p->q_len, m = p->kv_len, d = p->head_dim;
    float *s = calloc((size_t)(n * m), sizeof *s);
    (void)thread;
    if (!s)
        abort();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)m, (int)d,
                (float)att_scale(p), (const float *)p->q.data + h * p->q.stride[1],
                (int)p->q.stride[2], (const float *)p->k.data + g * p->k.stride[1],
                (int)p->k.stride[2], 0.0f, s, (int)m);
    for (int64_t i = 0; i < n; i++) {
        int64_t visible = m - n + i + 1;
        float top = s[i * m];
        double sum = 0;
        for (int64_t j = 1; j < visible; j++)
            top = fmaxf(top, s[i * m + j]);
        for (int64_t j = 0; j < visible; j++)
            sum += exp((double)s[i * m + j] - (double)top);
        for (int64_t j = 0; j < m; j++)
            s[i * m + j] = j < visible ? (float)(exp((double)s[i * m + j] - (double)top) / sum)
                                       : 0.0f;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)d, (int)m, 1.0f, s, (int)m,
                (const float *)p->v.data + g * p->v.stride[1], (int)p->v.stride[2], 0.0f,
                (float *)p->out.data + h * p->out.stride[1], (int)p->out.stride[2]);
    free(s);
}

/* Attention by two matrix products a head, probabilities in f64: fast enough for 840 tokens. */
static att_status blas_attend(void *arg, int64_t layer, const att_problem *p, att_why *why)
{
    const att_host *host = arg;
    (void)layer;
    (void)why;
    host->parallel_for(host, p->heads_q, blas_head, (void *)(uintptr_t)p);
    return ATT_OK;
}

typedef struct world {
    att_host host;
    att_lm *lm;
    cJSON *reference;
    att_why why;
} world;

static const char *model_path(void)
{
    const char *asked = getenv("ATT_MODEL");
    return asked ? asked : MODEL;
}

/* False where the test must be skipped. */
static bool world_open(world *w)
{
    if (access(model_path(), R_OK)) {
        att_suite_skip("the model is not there (make model)");
        return false;
    }
    *w = (world){0};
    CU_ASSERT_EQUAL_FATAL(att_host_make(2, &w->host), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_json_read(REFERENCE, 1 << 20, &w->reference, &w->why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_lm_open(model_path(), &w->host, &w->lm, &w->why), ATT_OK);
    return true;
}

static void world_close(world *w)
{
    cJSON_Delete(w->reference);
    att_lm_close(w->lm);
    att_host_drop(&w->host);
}

/* The tokens of member `key` of a row, and a cache for them. */
static size_t tokens_of(world *w, const cJSON *row, const char *key, int32_t **ids, att_kv **kv)
{
    const char *text = "";
    size_t n;
    CU_ASSERT_TRUE_FATAL(att_json_text(row, key, &text));
    CU_ASSERT_EQUAL_FATAL(att_lm_tokens(w->lm, text, strlen(text), ids, &n, &w->why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_kv_make(w->lm, (int64_t)n + 1, kv, &w->why), ATT_OK);
    return n;
}

static void all_token_ids_are_the_reference_s(void)
{
    world w;
    const cJSON *row, *id;
    size_t rows = 0;
    if (!world_open(&w))
        return;
    cJSON_ArrayForEach(row, att_json_get(w.reference, "tokens"))
    {
        const char *text = NULL;
        int32_t *ids;
        size_t n, i = 0, bytes = 0;
        att_json_text(row, "text", &text);
        CU_ASSERT_EQUAL(att_lm_tokens(w.lm, text, strlen(text), &ids, &n, &w.why), ATT_OK);
        CU_ASSERT_EQUAL(n, (size_t)cJSON_GetArraySize(att_json_get(row, "ids")));
        cJSON_ArrayForEach(id, att_json_get(row, "ids"))
        {
            if (i < n)
                CU_ASSERT_EQUAL(ids[i], id->valueint);
            i++;
        }
        for (i = 0; i < n; i++) { /* and the pieces give the text back */
            char piece[256];
            size_t length = att_lm_piece(w.lm, ids[i], piece, sizeof piece);
            CU_ASSERT(bytes + length <= strlen(text) && !memcmp(text + bytes, piece, length));
            bytes += length;
        }
        CU_ASSERT_EQUAL(bytes, strlen(text));
        free(ids);
        rows++;
    }
    CU_ASSERT(rows >= 20);
    world_close(&w);
}

static void logits_agree_with_the_reference(void)
{
    world w;
    const cJSON *row, *top;
    size_t rows = 0;
    double worst = 0;
    if (!world_open(&w))
        return;
    float *logits = malloc((size_t)att_lm_shape_of(w.lm).vocabulary * sizeof *logits);
    att_lm_attention attention = {&w.host, blas_attend};
    cJSON_ArrayForEach(row, att_json_get(w.reference, "logits"))
    {
        int32_t *ids;
        att_kv *kv;
        double most = -INFINITY, sum = 0, want = 0;
        int64_t n = (int64_t)tokens_of(&w, row, "prompt", &ids, &kv), n_want = 0;
        att_lm_segment s = {
            .kv = kv, .tokens = ids, .n = n, .logits = logits, .logits_from = n - 1};
        CU_ASSERT(att_json_int(row, "n_tokens", &n_want) && n == n_want);
        CU_ASSERT_EQUAL(att_lm_forward(w.lm, &attention, &s, 1, &w.why), ATT_OK);
        cJSON_ArrayForEach(top, att_json_get(row, "top"))
        {
            double got = (double)logits[cJSON_GetArrayItem(top, 0)->valueint];
            double off = fabs(got - cJSON_GetArrayItem(top, 1)->valuedouble);
            CU_ASSERT(off <= LOGITS_CLOSE);
            worst = fmax(worst, off);
        }
        for (int64_t i = 0; i < att_lm_shape_of(w.lm).vocabulary; i++)
            most = fmax(most, (double)logits[i]);
        for (int64_t i = 0; i < att_lm_shape_of(w.lm).vocabulary; i++)
            sum += exp((double)logits[i] - most);
        CU_ASSERT(att_json_real(row, "logsumexp", &want));
        CU_ASSERT(fabs(most + log(sum) - want) <= LOGITS_CLOSE);
        att_kv_close(kv);
        free(ids);
        rows++;
    }
    CU_ASSERT(rows >= 6);
    printf("largest difference of a logit: %.2g\n", worst);
    free(logits);
    world_close(&w);
}

static void mean_nll_agrees_with_the_reference(void)
{
    world w;
    const cJSON *row;
    double worst = 0;
    if (!world_open(&w))
        return;
    att_lm_attention attention = {&w.host, blas_attend};
    cJSON_ArrayForEach(row, att_json_get(w.reference, "nll"))
    {
        int32_t *ids;
        att_kv *kv;
        double sum = 0, want = 0;
        int64_t n = (int64_t)tokens_of(&w, row, "text", &ids, &kv);
        double *logprob = calloc((size_t)n, sizeof *logprob);
        att_lm_segment s = {
            .kv = kv, .tokens = ids, .n = n - 1, .targets = ids + 1, .logprob = logprob};
        CU_ASSERT_EQUAL(att_lm_forward(w.lm, &attention, &s, 1, &w.why), ATT_OK);
        for (int64_t i = 0; i + 1 < n; i++)
            sum -= logprob[i];
        CU_ASSERT(att_json_real(row, "mean_nll", &want));
        CU_ASSERT(fabs(sum / (double)(n - 1) - want) <= NLL_CLOSE);
        worst = fmax(worst, fabs(sum / (double)(n - 1) - want));
        free(logprob);
        att_kv_close(kv);
        free(ids);
    }
    printf("largest difference of a mean NLL: %.2g\n", worst);
    world_close(&w);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"all_token_ids_are_the_reference_s", all_token_ids_are_the_reference_s},
        {"logits_agree_with_the_reference", logits_agree_with_the_reference},
        {"mean_nll_agrees_with_the_reference", mean_nll_agrees_with_the_reference},
        CU_TEST_INFO_NULL};
    return att_suite_run("smollm2", tests);
}
