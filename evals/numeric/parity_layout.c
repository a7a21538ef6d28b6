/* SPDX-License-Identifier: Apache-2.0 */
/* Where tensors lie: the strides of a layout, and the rows of packed and paged sequences. */
#include "evals/numeric/parity.h"

#include <string.h>

#include "base/fp.h"

/* Strides by name; gaps are left by padded (3, 5, 7 elements after a row, head, batch) and stepped.
 * In inverted the first dimension is the contiguous one. */
static void strides(const char *layout, const int64_t *n, int64_t *stride)
{
    int64_t step = parity_is(layout, "stepped") ? 2 : 1;
    bool padded = parity_is(layout, "padded");
    int64_t row = n[3] * step + (padded ? 3 : 0);

    stride[3] = step;
    if (parity_is(layout, "inverted")) {
        stride[0] = 1;
        for (int a = 1; a < 4; a++)
            stride[a] = n[a - 1] * stride[a - 1];
        return;
    }
    if (parity_is(layout, "bshd") || parity_is(layout, "pooled")) {
        stride[1] = row;
        stride[2] = n[1] * row;
        stride[0] = n[2] * stride[2];
        return;
    }
    stride[2] = row;
    stride[1] = n[2] * row + (padded ? 5 : 0);
    stride[0] = n[1] * stride[1] + (padded ? 7 : 0);
}

parity_shape parity_shape_of(const char *layout, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    parity_shape s = {.n = {n0, n1, n2, n3}};

    strides(layout, s.n, s.stride);
    if (parity_is(layout, "reversed") && n2 > 0) {
        s.offset = (n2 - 1) * s.stride[2];
        s.stride[2] = -s.stride[2];
    }
    if (parity_is(layout, "broadcast"))
        s.stride[0] = 0;
    s.extent = n0 > 0 && n1 > 0 && n2 > 0 && n3 > 0;
    for (int a = 0; s.extent && a < 4; a++)
        s.extent += s.stride[a] > 0 ? (s.n[a] - 1) * s.stride[a] : 0;
    if (s.extent)
        s.extent += s.offset;
    return s;
}

att_tensor parity_tensor(const parity_shape *s, void *data, int32_t dtype)
{
    att_tensor t = {.data = (unsigned char *)data + s->offset * (int64_t)att_dtype_size(dtype),
                    .dtype = dtype};

    memcpy(t.shape, s->n, sizeof t.shape);
    memcpy(t.stride, s->stride, sizeof t.stride);
    return t;
}

void parity_query_row(const parity_inputs *in, int64_t b, int64_t i, int64_t *i0, int64_t *i2)
{
    bool packed = in->cu_q != NULL;

    *i0 = packed ? 0 : b;
    *i2 = packed ? in->cu_q[b] + i : i;
}

bool parity_shares_pages(const parity_spec *s)
{
    return parity_is(s->store, "page3s") || parity_is(s->store, "page16s");
}

void parity_key_row(const parity_inputs *in, int64_t b, int64_t j, int64_t *i0, int64_t *i2)
{
    if (in->table) {
        *i0 = in->table[b * in->pages + j / in->spec.page];
        *i2 = j % in->spec.page;
        return;
    }
    *i0 = in->cu_k ? 0 : b;
    *i2 = in->cu_k ? in->cu_k[b] + j : j;
}

parity_shape parity_query_shape(const parity_inputs *in, const char *layout, int64_t width)
{
    const parity_spec *s = &in->spec;

    if (in->cu_q)
        return parity_shape_of(layout, 1, s->hq, in->cu_q[s->b], width);
    return parity_shape_of(layout, s->b, s->hq, s->sq, width);
}

parity_shape parity_key_shape(const parity_inputs *in, const char *layout, int64_t width)
{
    const parity_spec *s = &in->spec;

    if (in->table)
        return parity_shape_of(layout, s->b * in->pages * in->page_step + 1, s->hkv, s->page,
                               width);
    if (in->cu_k)
        return parity_shape_of(layout, 1, s->hkv, in->cu_k[s->b], width);
    return parity_shape_of(layout, s->b, s->hkv, s->sk, width);
}

void parity_store_row(const att_tensor *t, int64_t i0, int64_t h, int64_t i2, int64_t n,
                      const double *x)
{
    for (int64_t d = 0; d < n; d++)
        att_fp_store(t->data, t->dtype, att_tensor_at(t, i0, h, i2, d), x[d]);
}

void parity_load_row(const att_tensor *t, int64_t i0, int64_t h, int64_t i2, int64_t n, double *x)
{
    for (int64_t d = 0; d < n; d++)
        x[d] = att_fp_load(t->data, t->dtype, att_tensor_at(t, i0, h, i2, d));
}

int64_t parity_position(const parity_inputs *in, int64_t b, int64_t i)
{
    const att_problem *p = &in->plain;

    if (p->q_positions.data && (p->causal == ATT_CAUSAL_POSITIONS || p->causal == ATT_CAUSAL_NONE))
        return ((const int64_t *)p->q_positions.data)[b * in->spec.sq + i];
    return p->causal == ATT_CAUSAL_TOP_LEFT ? i : i + in->nk[b] - in->nq[b];
}

double parity_work(const parity_spec *s)
{
    return (double)s->b * (double)s->hq * (double)s->sq * (double)s->sk * (double)(s->d + s->dv);
}
