/* SPDX-License-Identifier: Apache-2.0 */
/* One row of a mix: its softmaxes over their own keys, each with its errors. */
#ifndef ATT_EVALS_MIX_ROW_H
#define ATT_EVALS_MIX_ROW_H

#include "evals/numeric/mix.h"

/* One softmax attention, [wide] each. */
typedef struct mix_part {
    double *o, *variance, *worst, *own;
} mix_part;

/* A row in work, and room for it. */
typedef struct mix_row {
    const mix_spec *s;
    const mix_numbers *n;
    const mix_reading *r;
    const att_units *u;
    int64_t b, h, hk, i;
    int64_t position;
    int parts;
    mix_part part[3];

    int64_t count; /* the keys of the part in work */
    double *logit, *a, *x;
    const double **v;

    double *running, *root, *half; /* [Skv + 1] of decays: C_k; root and half sum of roundings */
    double *pooled[4];             /* [blocks] means of k, |k|, v, |v| of kv head hk */
    double *shift;                 /* [wide] of a part: what pooled values may add */
    mix_score *score;              /* [Skv] */
    uint8_t *chosen;               /* [Skv + 2] */
    double *sums, *memory;
    void *room;
} mix_row;

/* false: no memory (drop all the same). */
bool mix_row_make(mix_row *w);
void mix_row_drop(mix_row *w);
/* Query head h of sequence w->b. */
void mix_row_open(mix_row *w, int64_t h);
/* The parts of row w->i; *tied: rounding may choose other keys. */
void mix_row_parts(mix_row *w, bool *tied);

#endif
