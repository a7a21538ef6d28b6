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
    float beta;
} job;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void product(const float *x, int64_t ldx, int64_t n, const float *w, int64_t features,
                    int64_t cols, float *y, int64_t ldy, float beta)
{
    if (n == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint)features, (blasint)cols, 1.0f, w,
                    (blasint)cols, x, 1, beta, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)features,
                    (blasint)cols, 1.0f, x, (blasint)ldx, w, (blasint)cols, beta, y, (blasint)ldy);
}

static void matmul_part(void *arg, int64_t i, int thread)
{
    const job *j = arg;
    int64_t row = i / j->g.panels * j->g.rows, feature = i % j->g.panels * j->g.features;
    (void)thread;
    product(j->x + row * j->ldx, j->ldx, least(j->g.rows, j->n - row),
            j->w->data + feature * j->w->cols, least(j->g.features, j->w->rows - feature),
            j->w->cols, j->y + row * j->ldy + feature, j->ldy, j->beta);
}

void att_matmul(const att_lm *lm, const att_matrix *w, const float *x, int64_t ldx, int64_t n,
                float *y, int64_t ldy, bool add)
{
    job j = {grid_of(n, w->rows), w, x, ldx, n, y, ldy, add ? 1.0f : 0.0f};
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
    product(j->x + row * w->cols, w->cols, n, w->data + 2 * feature * w->cols, 2 * width, w->cols,
            both, 2 * width, 0.0f);
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
