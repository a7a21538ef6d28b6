/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own interface: one query row against dense keys and values. */
#ifndef MHA_H
#define MHA_H

typedef struct mha_shape {
    int queries, keys, dim, value_dim, causal;
    float scale;
} mha_shape;

/* weights: room for s->keys floats.  Returns ln sum exp of the row's scores. */
float mha_row(const mha_shape *s, int row, const float *q, const float *k, const float *v,
              float *weights, float *out);

#endif
