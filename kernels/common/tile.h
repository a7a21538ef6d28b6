/* SPDX-License-Identifier: Apache-2.0 */
/* The two matrix products of attention on one tile, from packed panels: x = scale Q K^T and
 * o = keep o + P V, for up to 6 query rows and ATT_TILE_KEYS keys.
 *
 * Why: 6 rows x 2 vectors fill the 16 vector registers of AVX2 as in a BLAS micro-kernel; packing
 * turns every stride and storage type into the one layout that the inner loops read, and is paid
 * once a block of rows.
 *   q [Dk][6]    k [panels][Dk][ATT_TILE_COLS]    v [columns / ATT_TILE_COLS][keys][ATT_TILE_COLS]
 * Keys and columns that do not exist are packed as 0; nothing outside the tensors is read.
 * Source: Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication". */
#ifndef ATT_COMMON_TILE_H
#define ATT_COMMON_TILE_H

#include <stdbool.h>

#include "attn.h"
#include "common/mask.h"

#define ATT_TILE_ROWS 6
#define ATT_TILE_COLS (2 * ATT_W)
#define ATT_TILE_KEYS 64

/* Row `at` of t (the offset of its first element) as contiguous floats: in place, or in `room`. */
static inline const float *att_row_floats(const att_tensor *t, int64_t at, int64_t n, float *room)
{
    if (t->dtype == ATT_F32 && t->stride[3] == 1)
        return (const float *)t->data + at;
    att_load_row(t->data, t->dtype, at, t->stride[3], n, room);
    return room;
}

static inline void att_v4_store(float *p, att_v4 x)
{
    memcpy(p, &x, sizeof x);
}

/* Four rows of n floats become four columns of `to`, whose rows are ATT_TILE_COLS apart. */
static inline void att_transpose4(const float *const row[4], int64_t n, float *to)
{
    int64_t d = 0;
    for (; d + 4 <= n; d += 4) {
        att_v4 a, b, c, e;
        memcpy(&a, row[0] + d, sizeof a);
        memcpy(&b, row[1] + d, sizeof b);
        memcpy(&c, row[2] + d, sizeof c);
        memcpy(&e, row[3] + d, sizeof e);
        const att_v4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
        const att_v4 ce = __builtin_shufflevector(c, e, 0, 4, 1, 5);
        const att_v4 ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const att_v4 ce2 = __builtin_shufflevector(c, e, 2, 6, 3, 7);
        float *out = to + d * ATT_TILE_COLS;
        att_v4_store(out, __builtin_shufflevector(ab, ce, 0, 1, 4, 5));
        att_v4_store(out + ATT_TILE_COLS, __builtin_shufflevector(ab, ce, 2, 3, 6, 7));
        att_v4_store(out + 2 * ATT_TILE_COLS, __builtin_shufflevector(ab2, ce2, 0, 1, 4, 5));
        att_v4_store(out + 3 * ATT_TILE_COLS, __builtin_shufflevector(ab2, ce2, 2, 3, 6, 7));
    }
    for (; d < n; d++)
        for (int c = 0; c < 4; c++)
            to[d * ATT_TILE_COLS + c] = row[c][d];
}

/* Keys j0 .. j0 + n (n <= ATT_TILE_KEYS) of a sequence's KV head into panels.  room: 4 Dk floats.
 */
static inline void att_pack_keys(const att_problem *p, const att_seq *s, int64_t head, int64_t j0,
                                 int64_t n, float *room, float *to)
{
    const int64_t dk = p->head_dim;
    for (int64_t c = 0; c < n || c % ATT_TILE_COLS; c += 4) {
        const float *row[4];
        for (int64_t e = 0; e < 4; e++) {
            float *own = room + e * dk;
            row[e] = own;
            if (c + e < n)
                row[e] = att_row_floats(&p->k, att_key_at(p, &p->k, s, head, j0 + c + e), dk, own);
            else
                memset(own, 0, (size_t)dk * sizeof *own);
        }
        att_transpose4(row, dk, to + c / ATT_TILE_COLS * dk * ATT_TILE_COLS + c % ATT_TILE_COLS);
    }
}

/* Values j0 .. j0 + n into panels of `columns` (Dv rounded up) in all; true if all are finite.
 * room: columns floats. */
static inline bool att_pack_values(const att_problem *p, const att_seq *s, int64_t head, int64_t j0,
                                   int64_t n, int64_t columns, float *room, float *to)
{
    const int64_t dv = p->value_dim;
    const int64_t panel = ATT_TILE_KEYS * ATT_TILE_COLS;
    att_vf bad = {0};
    for (int64_t j = 0; j < n; j++) {
        const float *row = att_row_floats(&p->v, att_key_at(p, &p->v, s, head, j0 + j), dv, room);
        if (columns != dv) {
            if (row != room)
                memcpy(room, row, (size_t)dv * sizeof *room);
            memset(room + dv, 0, (size_t)(columns - dv) * sizeof *room);
            row = room;
        }
        float *out = to + j * ATT_TILE_COLS;
        for (int64_t c = 0; c < columns; c += ATT_TILE_COLS, out += panel) {
            const att_vf a = att_vf_load(row + c), b = att_vf_load(row + c + ATT_W);
            att_vf_store(out, a);
            att_vf_store(out + ATT_W, b);
            bad += (a - a) + (b - b); /* 0, or NaN for ever */
        }
    }
    return !att_vi_any((att_vi)(bad != (att_vf){0}));
}

/* Always inlined with a constant `rows`, so that the sums live in registers. */
__attribute__((always_inline)) static inline void
att_scores_rows(const int rows, const float *q, const float *k, int64_t dk, float scale, float *x)
{
    att_vf a[ATT_TILE_ROWS][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
        a[r][0] = a[r][1] = (att_vf){0};
    for (int64_t d = 0; d < dk; d++) {
        const att_vf k0 = att_vf_load(k + d * ATT_TILE_COLS);
        const att_vf k1 = att_vf_load(k + d * ATT_TILE_COLS + ATT_W);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const att_vf qr = att_vf_set(q[d * ATT_TILE_ROWS + r]);
            a[r][0] = att_vf_fma(qr, k0, a[r][0]);
            a[r][1] = att_vf_fma(qr, k1, a[r][1]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        att_vf_store(x + r * ATT_TILE_KEYS, a[r][0] * scale);
        att_vf_store(x + r * ATT_TILE_KEYS + ATT_W, a[r][1] * scale);
    }
}

__attribute__((always_inline)) static inline void att_values_rows(const int rows, const float *x,
                                                                  int64_t n, const float *v,
                                                                  const float *keep,
                                                                  int64_t columns, float *o)
{
    for (int64_t c = 0; c < columns; c += ATT_TILE_COLS, v += ATT_TILE_KEYS * ATT_TILE_COLS) {
        att_vf a[ATT_TILE_ROWS][2];
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            a[r][0] = att_vf_load(o + r * columns + c) * keep[r];
            a[r][1] = att_vf_load(o + r * columns + c + ATT_W) * keep[r];
        }
        for (int64_t j = 0; j < n; j++) {
            const att_vf v0 = att_vf_load(v + j * ATT_TILE_COLS);
            const att_vf v1 = att_vf_load(v + j * ATT_TILE_COLS + ATT_W);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                const att_vf p = att_vf_set(x[r * ATT_TILE_KEYS + j]);
                a[r][0] = att_vf_fma(p, v0, a[r][0]);
                a[r][1] = att_vf_fma(p, v1, a[r][1]);
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            att_vf_store(o + r * columns + c, a[r][0]);
            att_vf_store(o + r * columns + c + ATT_W, a[r][1]);
        }
    }
}

/* x[r * ATT_TILE_KEYS + c] = scale q_r . k_c for `rows` rows and n keys rounded up to panels. */
static inline void att_tile_scores(int rows, const float *q, const float *k, int64_t n, int64_t dk,
                                   float scale, float *x)
{
    for (int64_t c = 0; c < n; c += ATT_TILE_COLS, k += dk * ATT_TILE_COLS) {
        switch (rows) {
        case 1:
            att_scores_rows(1, q, k, dk, scale, x + c);
            break;
        case 2:
            att_scores_rows(2, q, k, dk, scale, x + c);
            break;
        case 3:
            att_scores_rows(3, q, k, dk, scale, x + c);
            break;
        case 4:
            att_scores_rows(4, q, k, dk, scale, x + c);
            break;
        default:
            att_scores_rows(6, q, k, dk, scale, x + c);
        }
    }
}

/* o[r * columns + c] = keep[r] o + sum_j x[r * ATT_TILE_KEYS + j] v_j.  5 rows are done as 6: keep,
 * x and o have room for 6 of them. */
static inline void att_tile_values(int rows, const float *x, int64_t n, const float *v,
                                   const float *keep, int64_t columns, float *o)
{
    switch (rows) {
    case 1:
        att_values_rows(1, x, n, v, keep, columns, o);
        break;
    case 2:
        att_values_rows(2, x, n, v, keep, columns, o);
        break;
    case 3:
        att_values_rows(3, x, n, v, keep, columns, o);
        break;
    case 4:
        att_values_rows(4, x, n, v, keep, columns, o);
        break;
    default:
        att_values_rows(6, x, n, v, keep, columns, o);
    }
}

#endif
