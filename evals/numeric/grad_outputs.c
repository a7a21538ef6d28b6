/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel writes: the gradients in guarded memory, laid out as what they are gradients of,
 * all NaN at first. */
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/grad.h"

/* Gradients never share memory, so layouts that make inputs share it have dense ones. */
static const char *layout_of(const parity_spec *s)
{
    static const char *const shared[] = {"broadcast", "stepped", "shared"};

    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (parity_is(s->layout, shared[i]))
            return "bhsd";
    return s->layout;
}

static parity_shape shape_of(const grad_inputs *g, grad_of of)
{
    const parity_spec *s = &g->in->spec;
    const int64_t *n = g->in->plain.bias.shape;
    const char *layout = layout_of(s);

    if (of == GRAD_DBIAS)
        return parity_shape_of(parity_is(layout, "pooled") ? "bhsd" : layout, n[0], n[1], n[2],
                               n[3]);
    if (of == GRAD_DQ)
        return parity_query_shape(g->in, layout, s->d);
    return parity_key_shape(g->in, layout, of == GRAD_DK ? s->d : s->dv);
}

bool grad_outputs_make(const grad_inputs *g, att_grad *section, grad_outputs *o)
{
    att_tensor *const to[GRADS] = {&section->dq, &section->dk, &section->dv, &section->dbias};

    *o = (grad_outputs){0};
    *section = (att_grad){.dout = g->dout};
    for (int of = 0; of < GRADS; of++) {
        const size_t size = att_dtype_size(g->dtype[of]);
        if (of == GRAD_DBIAS && !g->in->plain.bias.data)
            continue;
        const parity_shape shape = shape_of(g, of);
        if (!att_guard_make(&o->guard[of], (size_t)shape.extent * size, g->in->spec.place))
            return false;
        parity_arm(&o->guard[of], g->dtype[of]);
        o->at[of] = *to[of] = parity_tensor(&shape, o->guard[of].data, g->dtype[of]);
        o->got[of] = att_tensor_dense(malloc((size_t)(g->n[of] + 1) * size), g->dtype[of], 1, 1, 1,
                                      g->n[of]);
        if (!o->got[of].data)
            return false;
        memset(o->got[of].data, 0xff, (size_t)(g->n[of] + 1) * size);
    }
    return true;
}

/* `n` elements from (i0,i1,i2,0) on into the dense copy from `cell` on. */
static void take(grad_outputs *o, grad_of of, int64_t i0, int64_t i1, int64_t i2, int64_t n,
                 int64_t cell)
{
    const att_tensor *t = &o->at[of];
    const size_t size = att_dtype_size(t->dtype);

    for (int64_t d = 0; d < n; d++) {
        unsigned char *at = (unsigned char *)t->data +
                            att_tensor_at(t, i0, i1, i2, d) * (int64_t)size;
        memcpy((unsigned char *)o->got[of].data + (size_t)(cell + d) * size, at, size);
        memset(at, 0xff, size);
    }
}

void grad_outputs_collect(const grad_inputs *g, grad_outputs *o)
{
    const parity_inputs *in = g->in;
    const parity_spec *s = &in->spec;
    const int64_t *n = o->at[GRAD_DBIAS].shape;
    int64_t i0, i2;

    for (int64_t b = 0; b < s->b; b++) {
        for (int64_t i = 0; i < in->nq[b]; i++) {
            parity_query_row(in, b, i, &i0, &i2);
            for (int64_t h = 0; h < s->hq; h++)
                take(o, GRAD_DQ, i0, h, i2, s->d, ((b * s->hq + h) * s->sq + i) * s->d);
        }
        for (int64_t j = 0; j < in->nk[b]; j++) {
            parity_key_row(in, b, j, &i0, &i2);
            for (int64_t h = 0; h < s->hkv; h++) {
                const int64_t row = (b * s->hkv + h) * s->sk + j;
                take(o, GRAD_DK, i0, h, i2, s->d, row * s->d);
                take(o, GRAD_DV, i0, h, i2, s->dv, row * s->dv);
            }
        }
    }
    for (int64_t r = 0; o->at[GRAD_DBIAS].data && n[3] > 0 && r < n[0] * n[1] * n[2]; r++)
        take(o, GRAD_DBIAS, r / n[2] / n[1], r / n[2] % n[1], r % n[2], n[3], r * n[3]);
}

size_t grad_outputs_changed(const grad_outputs *o)
{
    size_t n = 0;

    for (int of = 0; of < GRADS; of++)
        n += att_guard_written(&o->guard[of]);
    return n;
}

bool grad_outputs_row_before(const grad_outputs *o, grad_of *of)
{
    size_t farthest, n;

    for (int g = 0; g < GRADS; g++) {
        const att_tensor *t = &o->at[g];
        n = att_guard_changed_before(&o->guard[g], &farthest);
        if (n > 0 && n == grad_outputs_changed(o) && t->stride[2] > 0 &&
            farthest <= (size_t)t->stride[2] * att_dtype_size(t->dtype)) {
            *of = g;
            return true;
        }
    }
    return false;
}

void grad_outputs_drop(grad_outputs *o)
{
    for (int of = 0; of < GRADS; of++) {
        att_guard_drop(&o->guard[of]);
        free(o->got[of].data);
    }
}
