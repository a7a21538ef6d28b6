/* SPDX-License-Identifier: Apache-2.0 */
/* A small attention library as somebody else might have it: its own interface, floats. */
#include "mha.h"

#include <math.h>

static int visible(const mha_shape *s, int row)
{
    const int n = s->causal ? row + 1 + s->keys - s->queries : s->keys;

    return n > s->keys ? s->keys : n;
}

float mha_row(const mha_shape *s, int row, const float *q, const float *k, const float *v,
              float *weights, float *out)
{
    const int n = visible(s, row);
    float top = -INFINITY, sum = 0.0f;

    for (int j = 0; j < n; j++) {
        weights[j] = 0.0f;
        for (int d = 0; d < s->dim; d++)
            weights[j] += q[d] * k[j * s->dim + d];
        weights[j] *= s->scale;
        top = weights[j] > top || isnan(weights[j]) ? weights[j] : top;
    }
    for (int j = 0; j < n; j++)
        sum += weights[j] = expf(weights[j] - top);
    for (int d = 0; d < s->value_dim; d++) {
        float o = 0.0f;
        for (int j = 0; j < n; j++)
            o += weights[j] * v[j * s->value_dim + d];
        out[d] = n > 0 ? o / sum : 0.0f;
    }
    return n > 0 ? top + logf(sum) : -INFINITY;
}
