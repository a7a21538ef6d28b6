/* SPDX-License-Identifier: Apache-2.0 */
/* lm.drift: how far a kernel moves the model's predictions from dense, on the suite's own prose.
 *
 * KL(dense || kernel) and the largest logit difference over the last ROWS positions of a text of
 * `len` tokens, and the share of positions whose top token stays.  Sees what accuracy can't: an
 * exact kernel moves logits by rounding alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lm_session.h"

#define ROWS 64

/* Logits of the last ROWS positions, with a kernel; malloc'd. */
static att_status run_text(att_ctx *x, att_lm *lm, const att_variant *variant, const lm_ids *text,
                           int64_t rows, float **out)
{
    lm_glue glue = {.x = x, .variant = variant};
    att_lm_attention attention = lm_attention(&glue);
    att_kv *kv = NULL;
    int64_t vocabulary = att_lm_shape_of(lm).vocabulary, n = (int64_t)text->n;
    att_status status = att_kv_make(lm, n, &kv, att_ctx_why_buffer(x));

    *out = malloc((size_t)(rows * vocabulary) * sizeof **out);
    if (status == ATT_OK && !*out)
        status = ATT_NO_MEMORY;
    if (status == ATT_OK) {
        att_lm_segment s = {
            .kv = kv, .tokens = text->id, .n = n, .logits = *out, .logits_from = n - rows};
        status = att_lm_forward(lm, &attention, &s, 1, att_ctx_why_buffer(x));
    }
    att_kv_close(kv);
    if (status != ATT_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static double log_sum(const float *row, int64_t n, int64_t *best)
{
    double sum = 0;

    *best = 0;
    for (int64_t i = 1; i < n; i++)
        if (row[i] > row[*best])
            *best = i;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)row[i] - (double)row[*best]);
    /* cppcheck-suppress invalidFunctionArg ; of an empty row the logarithm is -inf, as it should be
     */
    return (double)row[*best] + log(sum);
}

static void compare(att_ctx *x, const float *a, const float *b, int64_t rows, int64_t vocabulary)
{
    double kl = 0, drift = 0;
    int64_t same = 0, top_a, top_b;

    for (int64_t r = 0; r < rows; r++) {
        const float *p = a + r * vocabulary, *q = b + r * vocabulary;
        double lp = log_sum(p, vocabulary, &top_a), lq = log_sum(q, vocabulary, &top_b), sum = 0;
        for (int64_t i = 0; i < vocabulary; i++) {
            double d = (double)p[i] - (double)q[i], moved = fabs(d);
            sum += exp((double)p[i] - lp) * (d - lp + lq);
            drift = isnan(moved) || moved > drift ? moved : drift; /* a NaN stays */
        }
        kl += sum / (double)rows;
        same += top_a == top_b;
    }
    att_ctx_record(x, "kl_to_dense", kl);
    att_ctx_record(x, "logit_drift", drift);
    att_ctx_record_n(x, "top1_same", (double)same / (double)rows, rows, (double)NAN, (double)NAN);
}

att_status lm_drift(att_ctx *x)
{
    att_rng rng = att_ctx_group_rng(x, "drift");
    size_t n = (size_t)att_ctx_int(x, "len");
    float *dense = NULL, *own = NULL;
    lm_lines prose = {0};
    lm_ids text = {0};
    att_lm *lm = NULL;
    const att_variant *reference = att_ctx_find(x, "dense");
    att_status status = reference ? lm_model(x, &lm) : ATT_INVALID;

    if (status == ATT_OK)
        status = lm_lines_read(x, "prose", &prose);
    while (status == ATT_OK && text.n < n) {
        status = lm_ids_add(x, lm, &text, prose.line[att_rng_below(&rng, prose.n)]);
        if (status == ATT_OK)
            status = lm_ids_add(x, lm, &text, " ");
    }
    text.n = n;
    int64_t rows = n < ROWS ? (int64_t)n : ROWS;
    if (status == ATT_OK)
        status = run_text(x, lm, reference, &text, rows, &dense);
    if (status == ATT_OK)
        status = run_text(x, lm, att_ctx_variant(x), &text, rows, &own);
    if (status == ATT_OK)
        compare(x, dense, own, rows, att_lm_shape_of(lm).vocabulary);
    free(dense);
    free(own);
    free(text.id);
    lm_lines_drop(&prose);
    return status;
}
