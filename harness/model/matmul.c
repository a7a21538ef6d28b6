/* SPDX-License-Identifier: Apache-2.0 */
/* y = x W^T by OpenBLAS, one thread a call, split into a grid of row tiles and feature panels.
 *
 * OpenBLAS packs both operands anew in every call: x costs 1/panel and W 1/tile of the product, so
 * many rows are cut into tiles of about 192 rows with few panels, and few rows (a question, a
 * decode step) into panels alone.  The grid depends on the shape and never on the number of
 * threads, so that results do not either. */
#include <cblas.h>

#include "model/lm_parts.h"

enum { TILE = 192, PARTS = 8, PANEL_MIN = 64, PANEL_UNIT = 16 };
/* Up to FEW rows go through the blocks: a decode step reads 0.1 GB of them in place of 0.54 GB of
 * f32. From there on OpenBLAS's reuse of W wins. */
enum { FEW = 4, BLOCK = 32, SUMS_MAX = 1 << 14 };

typedef struct grid {
    int64_t tiles, rows; /* rows a tile */
    int64_t panels, features;
} grid;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static grid grid_of(int64_t n, int64_t features)
{
    grid g;
    g.tiles = ceil_div(n, TILE);
    g.rows = ceil_div(n, g.tiles);
    int64_t panels = ceil_div(PARTS, g.tiles);
    if (features / panels < PANEL_MIN)
        panels = features > PANEL_MIN ? features / PANEL_MIN : 1;
    if (panels * 4096 < features)
        panels = ceil_div(features, 4096);
    g.features = ceil_div(ceil_div(features, panels), PANEL_UNIT) * PANEL_UNIT;
    g.panels = ceil_div(features, g.features);
    g.tiles = ceil_div(n, g.rows);
    return g;
}

typedef struct job {
    grid g;
    const att_matrix *w;
    const float *x;
    int64_t ldx, n;
    float *y;
    int64_t ldy;
    bool add;
} job;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One row of x against features [first, first + features). */
static void block_product(const att_matrix *w, int64_t first, int64_t features, const float *x,
                          float *y, bool add)
{
    float sums[SUMS_MAX];
    for (int64_t b = 0; b < w->cols / BLOCK; b++) {
        sums[b] = 0;
        for (int64_t i = 0; i < BLOCK; i++)
            sums[b] += x[b * BLOCK + i];
    }
    for (int64_t f = 0; f < features; f++) {
        float value = w->dot(w->blocks[first + f], x, sums, w->cols);
        y[f] = add ? y[f] + value : value;
    }
}

static void product(const att_matrix *w, int64_t first, int64_t features, const float *x,
                    int64_t ldx, int64_t n, float *y, int64_t ldy, bool add)
{
    const float *data = w->data + first * w->cols;
    float beta = add ? 1.0f : 0.0f;
    if (n <= FEW && w->blocks && w->cols / BLOCK <= SUMS_MAX)
        for (int64_t i = 0; i < n; i++)
            block_product(w, first, features, x + i * ldx, y + i * ldy, add);
    else if (n == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint)features, (blasint)w->cols, 1.0f, data,
                    (blasint)w->cols, x, 1, beta, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)features,
                    (blasint)w->cols, 1.0f, x, (blasint)ldx, data, (blasint)w->cols, beta, y,
                    (blasint)ldy);
}

static void matmul_part(void *arg, int64_t i, int thread)
{
    const job *j = arg;
    int64_t row = i / j->g.panels * j->g.rows, feature = i % j->g.panels * j->g.features;
    (void)thread;
    product(j->w, feature, least(j->g.features, j->w->rows - feature), j->x + row * j->ldx, j->ldx,
            least(j->g.rows, j->n - row), j->y + row * j->ldy + feature, j->ldy, j->add);
}

void att_matmul(const att_lm *lm, const att_matrix *w, const float *x, int64_t ldx, int64_t n,
                float *y, int64_t ldy, bool add)
{
    job j = {grid_of(n, w->rows), w, x, ldx, n, y, ldy, add};
    lm->host->parallel_for(lm->host, j.g.tiles * j.g.panels, matmul_part, &j);
}

/* ------------------------------------------------------------------------ gate and up */

typedef struct gate_job {
    const att_lm *lm;
    const att_layer *layer;
    const float *x;
    int64_t n, rows, panels;
    float *act, *scratch;
} gate_job;

static int64_t gate_rows(int64_t n)
{
    return ceil_div(n, ceil_div(n, TILE));
}

size_t att_gate_scratch(const att_lm *lm, int64_t n)
{
    return (size_t)lm->host->threads * (size_t)gate_rows(n) * 2 * ATT_GATE_PANEL;
}

static void gate_part(void *arg, int64_t i, int thread)
{
    const gate_job *j = arg;
    const att_matrix *w = &j->layer->gate_up;
    int64_t all = w->rows / 2;
    int64_t row = i / j->panels * j->rows, feature = i % j->panels * ATT_GATE_PANEL;
    int64_t n = least(j->rows, j->n - row), width = least(ATT_GATE_PANEL, all - feature);
    float *both = j->scratch + (int64_t)thread * j->rows * 2 * ATT_GATE_PANEL;
    product(w, 2 * feature, 2 * width, j->x + row * w->cols, w->cols, n, both, 2 * width, false);
    for (int64_t r = 0; r < n; r++)
        j->lm->rows->swiglu(both + r * 2 * width, both + r * 2 * width + width, width,
                            j->act + (row + r) * all + feature);
}

void att_gate_up(const att_lm *lm, const att_layer *layer, const float *x, int64_t n, float *act,
                 float *scratch)
{
    gate_job j = {lm,  layer,        x,
                  n,   gate_rows(n), ceil_div(layer->gate_up.rows / 2, ATT_GATE_PANEL),
                  act, scratch};
    lm->host->parallel_for(lm->host, ceil_div(n, j.rows) * j.panels, gate_part, &j);
}
