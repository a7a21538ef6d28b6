/* SPDX-License-Identifier: Apache-2.0 */
/* One call of quantise or dequantise: a frozen source with NaN between its rows, results that start
 * as NaN, every buffer between guards. */
#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/quantise.h"

/* A call's memory: the float side, and the quantised one. */
typedef struct memory {
    att_guard floats, codes, scales, zeros;
    att_tensor x, y;
    att_quant q;
} memory;

int64_t quantise_cells(const quantise_case *c)
{
    return c->n[0] * c->n[1] * c->n[2] * c->n[3];
}

static bool make(const quantise_case *c, att_guard *guard, const char *layout, const int64_t n[4],
                 size_t size, parity_shape *shape)
{
    *shape = parity_shape_of(layout, n[0], n[1], n[2], n[3]);
    return att_guard_make(guard, (size_t)shape->extent * size, c->place);
}

/* Blocks are contiguous in their rows, and results have no stride of 0. */
static const char *layout_of(const quantise_case *c, bool codes)
{
    bool block = att_fp_block_bytes(c->how->dtype) > 0;

    return codes && block && parity_is(c->to, "stepped") ? "padded" : c->to;
}

static bool make_all(const quantise_case *c, const char *layout, memory *m)
{
    const parity_scheme *how = c->how;
    size_t block = att_fp_block_bytes(how->dtype);
    int64_t n[4], units[4] = {c->n[0], c->n[1], c->n[2], parity_code_units(how->dtype, c->n[3])};
    parity_shape shape;

    if (!make(c, &m->floats, layout, c->n, att_dtype_size(c->dtype), &shape))
        return false;
    m->x = parity_tensor(&shape, m->floats.data, c->dtype);
    if (!make(c, &m->codes, layout_of(c, true), units, block ? block : 1, &shape))
        return false;
    m->y = parity_code_tensor(&shape, m->codes.data, how->dtype, c->n[3]);
    m->q = parity_quant_of(how, c->n, n);
    if (m->q.scheme != ATT_QUANT_AFFINE)
        return true;
    if (!make(c, &m->scales, layout_of(c, false), n, att_dtype_size(how->scales), &shape))
        return false;
    m->q.scales = parity_tensor(&shape, m->scales.data, how->scales);
    if (!c->zeros)
        return true;
    if (!make(c, &m->zeros, layout_of(c, false), n, sizeof(float), &shape))
        return false;
    m->q.zeros = parity_tensor(&shape, m->zeros.data, ATT_F32);
    return true;
}

static void drop(memory *m)
{
    att_guard_drop(&m->floats);
    att_guard_drop(&m->codes);
    att_guard_drop(&m->scales);
    att_guard_drop(&m->zeros);
}

typedef void (*per_row)(const memory *m, int64_t i0, int64_t h, int64_t i2, double *x);

static void each_row(const quantise_case *c, const memory *m, double *x, per_row visit)
{
    for (int64_t r = 0; r < c->n[0] * c->n[1] * c->n[2]; r++)
        visit(m, r / c->n[2] / c->n[1], r / c->n[2] % c->n[1], r % c->n[2], x + r * c->n[3]);
}

static void put_floats(const memory *m, int64_t i0, int64_t h, int64_t i2, double *x)
{
    parity_store_row(&m->x, i0, h, i2, m->x.shape[3], x);
}

static void get_floats(const memory *m, int64_t i0, int64_t h, int64_t i2, double *x)
{
    parity_load_row(&m->x, i0, h, i2, m->x.shape[3], x);
}

static void put_scales(const memory *m, int64_t i0, int64_t h, int64_t i2, double *x)
{
    parity_scale_row(&m->y, &m->q, i0, h, i2, x);
}

static void put_codes(const memory *m, int64_t i0, int64_t h, int64_t i2, double *x)
{
    parity_code_row(&m->y, &m->q, i0, h, i2, x);
}

static void get_codes(const memory *m, int64_t i0, int64_t h, int64_t i2, double *x)
{
    parity_decode_row(&m->y, &m->q, i0, h, i2, x);
}

static att_problem problem_of(const quantise_case *c, const att_tensor *from, const att_tensor *to,
                              const att_quant *q)
{
    att_problem p = att_problem_init();

    p.batch = c->n[0];
    p.heads_q = p.heads_kv = c->n[1];
    p.q_len = p.kv_len = c->n[2];
    p.head_dim = p.value_dim = c->n[3];
    p.k = *from;
    p.out = *to;
    p.k_quant = *q;
    return p;
}

static att_status call(att_ctx *x, att_op op, const att_problem *p)
{
    return att_ctx_call(x, &att_ctx_variant(x)->part[0], op, p, NULL);
}

/* Bytes of a result that are neither its elements' nor the pattern: the elements go back to it. */
static double outside(const att_tensor *t, const att_guard *guard)
{
    int64_t block = (int64_t)att_fp_block_bytes(t->dtype);
    int64_t size = block ? block : (int64_t)att_dtype_size(t->dtype);
    int64_t step = block ? ATT_FP_BLOCK : 1;
    unsigned char *data = t->data;

    if (!data)
        return 0;
    for (int64_t r = 0; r < t->shape[0] * t->shape[1] * t->shape[2]; r++)
        for (int64_t d = 0; d < t->shape[3]; d += step) {
            int64_t at = att_tensor_at(t, r / t->shape[2] / t->shape[1],
                                       r / t->shape[2] % t->shape[1], r % t->shape[2], d);
            memset(data + at / step * size, 0xff, (size_t)size);
        }
    return (double)att_guard_written(guard);
}

att_status quantise_call(att_ctx *x, const quantise_case *c, const double *from, double *to,
                         double *redzone)
{
    memory m = {0};
    att_status status = ATT_NO_MEMORY;

    memcpy(to, from, (size_t)quantise_cells(c) * sizeof *to);
    if (make_all(c, c->layout, &m)) {
        each_row(c, &m, to, put_floats);
        att_guard_freeze(&m.floats, true);
        att_problem p = problem_of(c, &m.x, &m.y, &m.q);
        status = call(x, ATT_OP_QUANTISE, &p);
    }
    if (status == ATT_OK) {
        each_row(c, &m, to, get_codes);
        *redzone += outside(&m.y, &m.codes) + outside(&m.q.scales, &m.scales) +
                    outside(&m.q.zeros, &m.zeros);
    }
    drop(&m);
    return status;
}

att_status quantise_back(att_ctx *x, const quantise_case *c, const double *from, double *exact,
                         double *got, double *redzone)
{
    const char *layout = parity_is(c->layout, "broadcast") ? "bhsd" : c->layout;
    memory m = {0};
    att_status status = ATT_NO_MEMORY;

    memcpy(exact, from, (size_t)quantise_cells(c) * sizeof *exact);
    if (make_all(c, layout, &m)) {
        for (size_t z = 0; z < m.zeros.bytes / sizeof(float); z++)
            ((float *)m.zeros.data)[z] = (float)(z % 7) - 3;
        each_row(c, &m, exact, put_scales);
        each_row(c, &m, exact, put_codes);
        each_row(c, &m, exact, get_codes);
        att_guard_freeze(&m.codes, true);
        att_guard_freeze(&m.scales, true);
        att_guard_freeze(&m.zeros, true);
        att_problem p = problem_of(c, &m.y, &m.x, &m.q);
        status = call(x, ATT_OP_DEQUANTISE, &p);
    }
    if (status == ATT_OK) {
        each_row(c, &m, got, get_floats);
        *redzone += outside(&m.x, &m.floats);
    }
    drop(&m);
    return status;
}
