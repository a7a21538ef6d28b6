/* SPDX-License-Identifier: Apache-2.0 */
/* K and V where every row has pages of its own: a stride of whole pages (of whole blocks too, where
 * the type has blocks), so that a page touched is a row touched. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fp.h"
#include "evals/cost/cost.h"

static size_t common_multiple(size_t a, size_t b)
{
    size_t x = a, y = b;

    while (y) {
        const size_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

bool cost_side_make(const att_tensor *t, bool apart, cost_side *out)
{
    const long page = sysconf(_SC_PAGESIZE);
    const size_t block = att_fp_block_bytes(t->dtype);
    const size_t unit = block ? block : att_dtype_size(t->dtype);
    const int64_t per = block ? ATT_FP_BLOCK : 1; /* elements a unit */
    const int64_t units = (t->shape[3] + per - 1) / per;
    const size_t whole = common_multiple(page > 0 ? (size_t)page : 4096, unit);
    size_t bytes;

    *out = (cost_side){.view = *t, .row = (size_t)units * unit, .apart = apart};
    out->memory.slot = -1;
    out->step = apart ? (out->row + whole - 1) / whole * whole : out->row;
    out->rows = t->shape[0] * t->shape[1] * t->shape[2];
    out->bytes = (double)t->shape[3] * (double)unit / (double)per;
    out->seen = calloc((size_t)out->rows + 1, 1);
    if (!out->seen || __builtin_mul_overflow((size_t)out->rows, out->step, &bytes) ||
        !att_touch_make(&out->memory, bytes + 1))
        return false;
    const int64_t step = (int64_t)(out->step / unit) * per;
    const int64_t stride[4] = {t->shape[1] * t->shape[2] * step, t->shape[2] * step, step, 1};
    memcpy(out->view.stride, stride, sizeof stride);
    out->view.data = out->memory.data;
    for (int64_t r = 0; r < out->rows; r++) {
        const int64_t at = att_tensor_at(t, r / t->shape[2] / t->shape[1],
                                         r / t->shape[2] % t->shape[1], r % t->shape[2], 0);
        memcpy((char *)out->memory.data + (size_t)r * out->step,
               (const char *)t->data + at / per * (int64_t)unit, out->row);
    }
    return true;
}

void cost_side_share(const cost_side *k, int64_t width, cost_side *v)
{
    *v = *k;
    v->shared = true;
    v->view.shape[3] = width;
    v->bytes = k->bytes / (double)k->view.shape[3] * (double)width;
}

bool cost_side_close(cost_side *s)
{
    return s->shared || att_touch_close(&s->memory, false);
}

void cost_side_open(cost_side *s)
{
    if (s->shared)
        return;
    att_touch_open(&s->memory);
    for (int64_t r = 0; s->seen && r < s->rows; r++)
        s->seen[r] = att_touch_count(&s->memory, (size_t)r * s->step, s->row) > 0;
}

int64_t cost_side_count(const cost_side *s)
{
    int64_t n = 0;

    for (int64_t r = 0; r < s->rows; r++)
        n += s->seen[r];
    return n;
}

void cost_side_drop(cost_side *s)
{
    if (!s->shared) {
        att_touch_drop(&s->memory);
        free(s->seen);
    }
    *s = (cost_side){0};
}

int64_t cost_row_of(const cost_call *c, int64_t b, int64_t h, int64_t j)
{
    const att_tensor *k = &c->k.view;
    int64_t i0, i2;

    parity_key_row(c->in, b, j, &i0, &i2);
    return (i0 * k->shape[1] + h) * k->shape[2] + i2;
}
