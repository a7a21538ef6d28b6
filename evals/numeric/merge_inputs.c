/* SPDX-License-Identifier: Apache-2.0 */
/* A merge's partial results: numbers of a family -> stored in guarded memory (rounded, strided) ->
 * read back, so that the oracle sees exactly what a kernel sees.  What an empty part would hold is
 * never written: it stays NaN. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/merge.h"
#include "evals/numeric/parity.h"

static void *buffer(merge_case *c, size_t bytes)
{
    if (!att_guard_make(&c->guard[c->guards], bytes, c->spec.place))
        return NULL;
    return c->guard[c->guards++].data;
}

/* ---------------------------------------------------------------------------- layouts */

/* {1,B,H,S}: dense, rows padded by 3, or heads innermost.  Returns the extent. */
static int64_t lse_view(const merge_spec *s, const char *layout, att_tensor *t)
{
    int64_t row = s->s + (parity_is(layout, "padded") ? 3 : 0);

    *t = att_tensor_dense(NULL, ATT_F32, 1, s->b, s->h, s->s);
    if (merge_rows(s) == 0)
        return 0;
    if (parity_is(layout, "swapped")) {
        t->stride[2] = 1;
        t->stride[3] = s->h;
        t->stride[1] = s->h * s->s;
    } else {
        t->stride[2] = row;
        t->stride[1] = s->h * row;
    }
    return (s->b - 1) * t->stride[1] + (s->h - 1) * t->stride[2] + (s->s - 1) * t->stride[3] + 1;
}

static bool make_part(merge_case *c, int64_t part)
{
    const merge_spec *s = &c->spec;
    parity_shape shape = parity_shape_of(s->layout, s->b, s->h, s->s, s->dv);
    int64_t lses = lse_view(s, s->lse_layout, &c->lses[part]);
    void *data = buffer(c, (size_t)shape.extent * att_dtype_size(s->from));

    if (!data)
        return false;
    c->outs[part] = parity_tensor(&shape, data, s->from);
    c->lses[part].data = buffer(c, (size_t)lses * sizeof(float));
    return c->lses[part].data != NULL;
}

static bool make_results(merge_case *c)
{
    const merge_spec *s = &c->spec;
    parity_shape shape = parity_shape_of(s->layout, s->b, s->h, s->s, s->dv);
    int64_t lses = lse_view(s, s->lse_layout, &c->given.lse);
    size_t rows = (size_t)merge_rows(s), size = att_dtype_size(s->dtype);

    if (!att_guard_make(&c->out, (size_t)shape.extent * size, s->place) ||
        !att_guard_make(&c->lse, (size_t)lses * sizeof(float), s->place))
        return false;
    c->given.out = parity_tensor(&shape, c->out.data, s->dtype);
    c->given.lse.data = s->lse ? c->lse.data : NULL;
    c->got = att_tensor_dense(malloc(rows * (size_t)s->dv * size + 1), s->dtype, s->b * s->s, s->h,
                              1, s->dv);
    c->got_lse = att_tensor_dense(s->lse ? malloc(rows * sizeof(float) + 1) : NULL, ATT_F32, 1,
                                  s->b * s->s, s->h, 1);
    return c->got.data && (!s->lse || c->got_lse.data);
}

/* ---------------------------------------------------------------------------- numbers */

static double lse_value(const merge_spec *s, att_rng *rng, int64_t part)
{
    double x = att_rng_normal(rng);

    if (parity_is(s->lses, "equal"))
        return 2.833213344056216; /* ln 17 */
    if (parity_is(s->lses, "one"))
        return x + (part == s->parts / 2 ? 60 : 0);
    if (parity_is(s->lses, "wide"))
        return 1e4 * (2 * att_rng_unit(rng) - 1);
    if (parity_is(s->lses, "high"))
        return 1e4 + x;
    if (parity_is(s->lses, "low"))
        return -1e4 + x;
    if (parity_is(s->lses, "ramp"))
        return 0.7 * (double)part - 8;
    return 2 * x;
}

static bool is_empty(const merge_spec *s, att_rng *rng, int64_t row, int64_t part)
{
    uint64_t draw = att_rng_below(rng, 10);

    if (parity_is(s->empty, "some"))
        return draw < 3;
    if (parity_is(s->empty, "rows"))
        return row % 3 == 1 || draw < 2;
    if (parity_is(s->empty, "all"))
        return true;
    if (parity_is(s->empty, "first"))
        return part == 0;
    return parity_is(s->empty, "last") && part == s->parts - 1;
}

static double value_of(const merge_spec *s, att_rng *rng, int64_t row, int64_t part, int64_t d)
{
    double x = att_rng_normal(rng);

    if (parity_is(s->values, "large"))
        return x * pow(10, 2 + 1.3 * att_rng_unit(rng));
    if (parity_is(s->values, "small"))
        return x * 1e-3;
    if (parity_is(s->values, "ones"))
        return 1;
    if (parity_is(s->values, "coded"))
        return (part + 1) >> (d % 7) & 1 ? 1 : -1;
    if (parity_is(s->values, "nan") && part == row % (s->parts + 1) && d == s->dv / 2)
        return row % 2 ? (double)NAN : (double)INFINITY;
    return x;
}

static void fill_row(merge_case *c, att_rng *rng, int64_t row)
{
    const merge_spec *s = &c->spec;
    int64_t b, h, i;

    merge_row(s, row, &b, &h, &i);
    for (int64_t part = 0; part < s->parts; part++) {
        bool empty = is_empty(s, rng, row, part);
        int64_t cell = row * s->parts + part, at = att_tensor_at(&c->lses[part], 0, b, h, i);
        const att_tensor *t = &c->outs[part];
        float l = (float)lse_value(s, rng, part);
        ((float *)c->lses[part].data)[at] = empty ? -INFINITY : l;
        c->mask[cell] = !empty;
        c->k[cell] = empty ? -(double)INFINITY : (double)l;
        for (int64_t d = 0; d < s->dv; d++) {
            double x = value_of(s, rng, row, part, d), *v = &c->v[cell * s->dv + d];
            if (!empty)
                att_fp_store(t->data, t->dtype, att_tensor_at(t, b, h, i, d), x);
            *v = att_fp_load(t->data, t->dtype, att_tensor_at(t, b, h, i, d));
        }
    }
}

static bool make_sinks(merge_case *c)
{
    static const float logits[3] = {-3, 0, 8};
    const merge_spec *s = &c->spec;

    if (parity_is(s->sinks, "none"))
        return true;
    float *z = buffer(c, (size_t)s->h * sizeof *z);
    for (int64_t h = 0; z && h < s->h; h++)
        z[h] = logits[h % 3];
    c->given.sinks = att_tensor_dense(z, ATT_F32, 1, 1, 1, s->h);
    c->plain.sinks = c->given.sinks;
    return z != NULL;
}

static void state_plain(merge_case *c)
{
    const merge_spec *s = &c->spec;
    att_problem *p = &c->plain;
    int64_t batch = s->b * s->s;

    p->batch = batch;
    p->heads_q = p->heads_kv = s->h;
    p->q_len = 1;
    p->kv_len = s->parts;
    p->head_dim = 1;
    p->value_dim = s->dv;
    p->scale = 1;
    c->one = 1;
    p->q = att_tensor_dense(&c->one, ATT_F64, batch, s->h, 1, 1);
    memset(p->q.stride, 0, sizeof p->q.stride);
    p->k = att_tensor_dense(c->k, ATT_F64, batch, s->h, s->parts, 1);
    p->v = att_tensor_dense(c->v, ATT_F64, batch, s->h, s->parts, s->dv);
    p->mask = att_tensor_dense(c->mask, ATT_U8, batch, s->h, 1, s->parts);
    p->out = att_tensor_dense(c->want, ATT_F64, batch, s->h, 1, s->dv);
    p->lse = att_tensor_dense(c->want_lse, ATT_F64, 1, batch, s->h, 1);
}

bool merge_make(merge_case *c, att_rng *rng)
{
    const merge_spec *s = &c->spec;
    size_t rows = (size_t)merge_rows(s), cells = rows * (size_t)s->parts, dv = (size_t)s->dv;

    c->given = c->plain = att_problem_init();
    c->given.batch = s->b;
    c->given.heads_q = c->given.heads_kv = s->h;
    c->given.q_len = s->s;
    c->given.head_dim = c->given.value_dim = s->dv;
    c->section = (att_merge){.parts = s->parts, .outs = c->outs, .lses = c->lses};
    c->given.merge = &c->section;
    c->k = malloc((cells + 1) * sizeof *c->k);
    c->v = malloc((cells * dv + 1) * sizeof *c->v);
    c->mask = malloc(cells + 1);
    c->want = calloc(rows * dv + 1, sizeof *c->want);
    c->want_lse = calloc(rows + 1, sizeof *c->want_lse);
    if (!c->k || !c->v || !c->mask || !c->want || !c->want_lse || !make_results(c))
        return false;
    for (int64_t part = 0; part < s->parts; part++)
        if (!make_part(c, part))
            return false;
    if (!make_sinks(c))
        return false;
    for (int64_t row = 0; row < (int64_t)rows; row++)
        fill_row(c, rng, row);
    for (size_t g = 0; g < c->guards; g++)
        att_guard_freeze(&c->guard[g], true);
    state_plain(c);
    return true;
}

void merge_drop(merge_case *c)
{
    void *owned[] = {c->k, c->v, c->mask, c->want, c->want_lse, c->got.data, c->got_lse.data};

    for (size_t g = 0; g < c->guards; g++)
        att_guard_drop(&c->guard[g]);
    att_guard_drop(&c->out);
    att_guard_drop(&c->lse);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

/* ---------------------------------------------------------------------------- results */

void merge_collect(merge_case *c)
{
    const merge_spec *s = &c->spec;
    size_t size = att_dtype_size(s->dtype);
    int64_t b, h, i;

    for (int64_t row = 0; row < merge_rows(s); row++) {
        merge_row(s, row, &b, &h, &i);
        for (int64_t d = 0; d < s->dv; d++) {
            unsigned char *at = (unsigned char *)c->given.out.data +
                                att_tensor_at(&c->given.out, b, h, i, d) * (int64_t)size;
            memcpy((unsigned char *)c->got.data + (size_t)(row * s->dv + d) * size, at, size);
            memset(at, 0xff, size);
        }
        if (!c->got_lse.data)
            continue;
        float *at = (float *)c->given.lse.data + att_tensor_at(&c->given.lse, 0, b, h, i);
        memcpy((float *)c->got_lse.data + row, at, sizeof *at);
        memset(at, 0xff, sizeof *at);
    }
}

size_t merge_changed(const merge_case *c)
{
    return att_guard_written(&c->out) + att_guard_written(&c->lse);
}
