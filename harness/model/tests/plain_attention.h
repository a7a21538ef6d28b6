/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention written out in f64, for tests that come before any kernel; a host of one
 * thread. */
#ifndef ATT_PLAIN_ATTENTION_H
#define ATT_PLAIN_ATTENTION_H

#include <math.h>
#include <stdlib.h>

#include "model/lm.h"

static inline void plain_row(const att_problem *p, int64_t h, int64_t i, double *w)
{
    const float *q = (const float *)p->q.data + att_tensor_at(&p->q, 0, h, i, 0);
    float *out = (float *)p->out.data + att_tensor_at(&p->out, 0, h, i, 0);
    int64_t g = h / (p->heads_q / p->heads_kv), n = p->kv_len - p->q_len + i + 1;
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        const float *k = (const float *)p->k.data + att_tensor_at(&p->k, 0, g, j, 0);
        w[j] = 0;
        for (int64_t d = 0; d < p->head_dim; d++)
            w[j] += (double)q[d] * (double)k[d];
        w[j] *= att_scale(p);
        top = fmax(top, w[j]);
    }
    for (int64_t j = 0; j < n; j++)
        sum += w[j] = exp(w[j] - top);
    for (int64_t d = 0; d < p->value_dim; d++) {
        double x = 0;
        for (int64_t j = 0; j < n; j++)
            x += w[j] * (double)((const float *)p->v.data)[att_tensor_at(&p->v, 0, g, j, d)];
        out[d] = (float)(x / sum);
    }
}

static inline att_status plain_attend(void *arg, int64_t layer, const att_problem *p, att_why *why)
{
    double *w = malloc((size_t)(p->kv_len + 1) * sizeof *w);
    (void)arg;
    (void)layer;
    (void)why;
    for (int64_t h = 0; w && h < p->heads_q; h++)
        for (int64_t i = 0; i < p->q_len; i++)
            plain_row(p, h, i, w);
    free(w);
    return w ? ATT_OK : ATT_NO_MEMORY;
}

static inline void plain_for(const att_host *host, int64_t n,
                             void (*body)(void *arg, int64_t i, int thread), void *arg)
{
    (void)host;
    for (int64_t i = 0; i < n; i++)
        body(arg, i, 0);
}

static inline att_host plain_host(void)
{
    return (att_host){.struct_size = sizeof(att_host), .threads = 1, .parallel_for = plain_for};
}

#endif
