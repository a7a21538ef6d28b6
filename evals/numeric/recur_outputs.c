/* SPDX-License-Identifier: Apache-2.0 */
/* What a recurrent kernel writes: out, states and normalisers in guarded memory, laid out as the
 * case asks.  All of it starts as one NaN that nothing computed can be (its payload is in no
 * input), so that what was never written is told from what was written wrong. */
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity.h"
#include "evals/numeric/recur.h"

/* The bytes of an element, little-endian: 0xffedc0de, or its upper half (NaN in f16 and bf16). */
static const unsigned char unwritten[] = {0xde, 0xc0, 0xed, 0xff};

static const unsigned char *pattern(size_t size)
{
    return unwritten + sizeof unwritten - size;
}

static bool make_output(const recur_spec *s, int32_t dtype, int64_t n1, int64_t n2, int64_t n3,
                        recur_output *o)
{
    const char *layout = parity_is(s->layout, "broadcast") ? "bhsd" : s->layout;
    const parity_shape shape = parity_shape_of(layout, s->b, n1, n2, n3);
    const size_t size = att_dtype_size(dtype);

    if (!att_guard_make(&o->guard, (size_t)shape.extent * size, s->place))
        return false;
    for (int64_t i = 0; i < shape.extent; i++)
        memcpy((unsigned char *)o->guard.data + (size_t)i * size, pattern(size), size);
    o->at = parity_tensor(&shape, o->guard.data, dtype);
    o->got =
        att_tensor_dense(malloc((size_t)(s->b * n1 * n2 * n3 + 1) * size), dtype, s->b, n1, n2, n3);
    return o->got.data != NULL;
}

/* Element i, in dense order. */
static unsigned char *place_of(const recur_output *o, int64_t i)
{
    const int64_t *n = o->got.shape;
    const int64_t at = att_tensor_at(&o->at, i / n[3] / n[2] / n[1], i / n[3] / n[2] % n[1],
                                     i / n[3] % n[2], i % n[3]);

    return (unsigned char *)o->at.data + at * (int64_t)att_dtype_size(o->at.dtype);
}

static int64_t count(const recur_output *o)
{
    const int64_t *n = o->got.shape;
    return n[0] * n[1] * n[2] * n[3];
}

static size_t collect(recur_output *o)
{
    const size_t size = att_dtype_size(o->at.dtype), cells = o->guard.bytes / size;
    size_t changed = 0;

    for (int64_t i = 0; i < count(o); i++) {
        memcpy((unsigned char *)o->got.data + (size_t)i * size, place_of(o, i), size);
        memcpy(place_of(o, i), pattern(size), size);
    }
    for (size_t i = 0; i < cells; i++)
        if (memcmp((const unsigned char *)o->guard.data + i * size, pattern(size), size) != 0)
            changed += size;
    return changed + att_guard_changed(&o->guard);
}

bool recur_outputs_make(const recur_spec *s, recur_outputs *o)
{
    const int64_t f = recur_features(s);

    *o = (recur_outputs){0};
    if (!make_output(s, s->dtype, s->hq, s->t, s->dv, &o->out) ||
        !make_output(s, ATT_F32, s->hkv, f, s->dv, &o->s) ||
        !make_output(s, ATT_F32, s->hkv, 1, f, &o->z))
        return false;
    for (int i = 0; i < 2; i++)
        if (!make_output(s, ATT_F32, s->hkv, f, s->dv, &o->between_s[i]) ||
            !make_output(s, ATT_F32, s->hkv, 1, f, &o->between_z[i]))
            return false;
    return true;
}

size_t recur_outputs_collect(recur_outputs *o)
{
    size_t changed = collect(&o->out) + collect(&o->s) + collect(&o->z);

    for (int i = 0; i < 2; i++)
        changed += collect(&o->between_s[i]) + collect(&o->between_z[i]);
    return changed;
}

void recur_outputs_drop(recur_outputs *o)
{
    recur_output *all[] = {
        &o->out,          &o->s,           &o->z, &o->between_s[0], &o->between_s[1],
        &o->between_z[0], &o->between_z[1]};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        att_guard_drop(&all[i]->guard);
        free(all[i]->got.data);
    }
}

void recur_output_fill(recur_output *o, const double *x)
{
    for (int64_t i = 0; i < count(o); i++) {
        const float value = (float)x[i]; /* as it was stored: exact */
        memcpy(place_of(o, i), &value, sizeof value);
    }
}

int64_t recur_unwritten(const att_tensor *got)
{
    const size_t size = att_dtype_size(got->dtype);
    const int64_t *n = got->shape;
    int64_t cells = 0;

    for (int64_t i = 0; got->data && i < n[0] * n[1] * n[2] * n[3]; i++)
        cells += memcmp((const unsigned char *)got->data + (size_t)i * size, pattern(size), size) ==
                 0;
    return cells;
}
