/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel writes: out and LSE in guarded memory, laid out as the case asks, all NaN at first.
 */
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity_far.h"

static bool far_output(parity_outputs *o, const parity_spec *s, int64_t n0, int64_t n1, int64_t n2,
                       int64_t n3, int32_t dtype, att_tensor *out)
{
    parity_shape shape = parity_far_shape(s, n0, n1, n2, n3);

    o->far = calloc(1, sizeof *o->far);
    if (!o->far || !parity_far_make(o->far, &shape, dtype, s->place, NULL, 0))
        return false;
    *out = o->far->t;
    return true;
}

void parity_arm(att_guard *guard, int32_t dtype)
{
    static const uint64_t f64 = 0x7ff5a5a5a5a5a5a5u;
    static const uint32_t f32 = 0x7fa5a5a5u;
    static const uint16_t f16 = 0x7da5, bf16 = 0x7fa5;

    att_guard_arm(guard,
                  dtype == ATT_F64   ? (const void *)&f64
                  : dtype == ATT_F32 ? (const void *)&f32
                  : dtype == ATT_F16 ? (const void *)&f16
                                     : (const void *)&bf16,
                  att_dtype_size(dtype));
}

bool parity_outputs_make(const parity_inputs *in, att_problem *p, parity_outputs *o)
{
    const parity_spec *s = &in->spec;
    bool apart = parity_is(s->layout, "broadcast") || parity_is(s->layout, "stepped") ||
                 parity_is(s->layout, "shared");
    parity_shape shape = parity_query_shape(in, apart ? "bhsd" : s->layout, s->dv);
    int64_t heads = s->hq, batch = in->cu_q ? 1 : s->b, rows = shape.n[2], pad = 0;
    size_t size = att_dtype_size(s->dtype);

    if (!parity_is(s->layout, "bhsd")) /* gaps in the LSE too */
        pad = 3;
    *o = (parity_outputs){0};
    bool far_out = parity_is_far(s, "out"), far_lse = parity_is_far(s, "lse");
    if (!(far_out ? far_output(o, s, batch, heads, rows, s->dv, s->dtype, &p->out)
                  : att_guard_make(&o->out, (size_t)shape.extent * size, s->place)) ||
        !(far_lse ? far_output(o, s, 1, batch, heads, rows, ATT_F32, &p->lse)
                  : att_guard_make(&o->lse, (size_t)(batch * heads * (rows + pad)) * sizeof(float),
                                   s->place)))
        return false;
    o->out.pattern = far_out ? 0xff : o->out.pattern;
    o->lse.pattern = far_lse ? 0xff : o->lse.pattern;
    if (s->place != ATT_PLACE_LOOSE && !far_out) /* loose: plain memory, and zeros */
        parity_arm(&o->out, s->dtype);
    if (s->place != ATT_PLACE_LOOSE && !far_lse)
        parity_arm(&o->lse, ATT_F32);
    if (!far_out)
        p->out = parity_tensor(&shape, o->out.data, s->dtype);
    if (s->lse && !far_lse) {
        p->lse = att_tensor_dense(o->lse.data, ATT_F32, 1, batch, heads, rows);
        p->lse.stride[2] = rows + pad;
        p->lse.stride[1] = heads * (rows + pad);
    }
    int64_t all = s->b * s->hq * s->sq;
    o->got = att_tensor_dense(malloc((size_t)(all * s->dv + 1) * size), s->dtype, s->b, s->hq,
                              s->sq, s->dv);
    o->got_lse =
        att_tensor_dense(malloc((size_t)(all + 1) * sizeof(float)), ATT_F32, 1, s->b, s->hq, s->sq);
    return o->got.data && o->got_lse.data;
}

void parity_outputs_fill(parity_outputs *o, int byte)
{
    if (o->out.data)
        memset(o->out.data, byte, o->out.bytes);
    if (o->lse.data)
        memset(o->lse.data, byte, o->lse.bytes);
    if (o->far)
        att_far_fill(&o->far->memory, byte);
}

void parity_outputs_drop(parity_outputs *o)
{
    att_guard_drop(&o->out);
    att_guard_drop(&o->lse);
    if (o->far)
        parity_far_drop(o->far);
    free(o->far);
    free(o->got.data);
    free(o->got_lse.data);
}

void parity_outputs_collect(const parity_inputs *in, const att_problem *p, parity_outputs *o)
{
    const parity_spec *s = &in->spec;
    size_t size = att_dtype_size(s->dtype);
    int64_t i0, i2;

    for (int64_t b = 0; b < s->b; b++)
        for (int64_t i = 0; i < in->nq[b]; i++) {
            parity_query_row(in, b, i, &i0, &i2);
            for (int64_t h = 0; h < s->hq; h++) {
                int64_t row = (b * s->hq + h) * s->sq + i;
                for (int64_t d = 0; d < s->dv; d++) {
                    unsigned char *at = (unsigned char *)p->out.data +
                                        att_tensor_at(&p->out, i0, h, i2, d) * (int64_t)size;
                    memcpy((unsigned char *)o->got.data + (size_t)(row * s->dv + d) * size, at,
                           size);
                    memset(at, o->out.pattern, size);
                }
                if (!p->lse.data)
                    continue;
                float *at = (float *)p->lse.data + att_tensor_at(&p->lse, 0, i0, h, i2);
                memcpy((float *)o->got_lse.data + row, at, sizeof *at);
                memset(at, o->lse.pattern, sizeof *at);
            }
        }
}

static size_t changed(const att_guard *guard)
{
    size_t n = att_guard_changed(guard);

    for (size_t i = 0; i < guard->bytes; i++)
        n += ((const unsigned char *)guard->data)[i] != guard->pattern;
    return n;
}

size_t parity_outputs_changed(const parity_outputs *o)
{
    return changed(&o->out) + changed(&o->lse) + (o->far ? att_far_written(&o->far->memory) : 0);
}
