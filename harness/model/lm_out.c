/* SPDX-License-Identifier: Apache-2.0 */
/* The output matrix, for the rows that want it and no others:  logits = E rms(x).
 *
 * Rows go through in blocks, so that wanting the log probability of every token of a long text
 * holds 64 rows of logits at a time and not all.   ln P(t) = logit_t - max - ln sum exp(logit -
 * max), the sum in f64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/lm_parts.h"

enum { BLOCK_ROWS = 64 };

typedef struct wish {
    const float *x;  /* row of the residual stream */
    float *logits;   /* where the row goes; NULL = nowhere */
    double *logprob; /* NULL = not wanted */
    int32_t target;
} wish;

typedef struct block {
    const att_lm *lm;
    const wish *wishes;
    float *norm, *logits;
} block;

static void norm_row(void *arg, int64_t i, int thread)
{
    const block *b = arg;
    int64_t w = b->lm->shape.width;
    (void)thread;
    b->lm->rows->rms_norm(b->wishes[i].x, b->lm->output_norm.data, w, b->lm->shape.rms_eps,
                          b->norm + i * w);
}

static void fulfil(void *arg, int64_t i, int thread)
{
    const block *b = arg;
    const wish *h = &b->wishes[i];
    int64_t v = b->lm->shape.vocabulary;
    const float *row = b->logits + i * v;
    (void)thread;
    if (h->logits)
        memcpy(h->logits, row, (size_t)v * sizeof *row);
    if (h->logprob) {
        float top;
        double sum;
        b->lm->rows->log_sum(row, v, &top, &sum);
        *h->logprob = (double)row[h->target] - (double)top - log(sum);
    }
}

static size_t list_wishes(const att_lm *lm, const float *x, const att_lm_segment *segments,
                          size_t n_segments, wish *out)
{
    size_t n = 0;
    int64_t w = lm->shape.width, v = lm->shape.vocabulary;
    for (size_t i = 0; i < n_segments; i++) {
        const att_lm_segment *g = &segments[i];
        for (int64_t t = 0; t < g->n; t++, x += w) {
            bool logits = g->logits && t >= g->logits_from;
            bool target = g->targets && g->targets[t] >= 0;
            if (!logits && !target)
                continue;
            if (out)
                out[n] = (wish){x, logits ? g->logits + (t - g->logits_from) * v : NULL,
                                target ? &g->logprob[t] : NULL, target ? g->targets[t] : 0};
            n++;
        }
    }
    return n;
}

att_status att_lm_heads(const att_lm *lm, const float *x, att_lm_segment *segments,
                        size_t n_segments, att_why *why)
{
    int64_t w = lm->shape.width, v = lm->shape.vocabulary;
    size_t n = list_wishes(lm, x, segments, n_segments, NULL);
    size_t room = n < BLOCK_ROWS ? n : BLOCK_ROWS;
    if (n == 0)
        return ATT_OK;
    wish *wishes = malloc(n * sizeof *wishes);
    float *norm = malloc(room * (size_t)(w + v) * sizeof *norm);
    att_status st = ATT_OK;
    if (!wishes || !norm) {
        att_why_set(why, "no memory for %zu rows of logits", room);
        st = ATT_NO_MEMORY;
        goto done;
    }
    list_wishes(lm, x, segments, n_segments, wishes);
    for (size_t at = 0; at < n; at += room) {
        int64_t rows = (int64_t)(n - at < room ? n - at : room);
        block b = {lm, wishes + at, norm, norm + room * (size_t)w};
        lm->host->parallel_for(lm->host, rows, norm_row, &b);
        att_matmul(lm, &lm->output, norm, w, rows, b.logits, v, false);
        lm->host->parallel_for(lm->host, rows, fulfil, &b);
    }
done:
    free(norm);
    free(wishes);
    return st;
}
