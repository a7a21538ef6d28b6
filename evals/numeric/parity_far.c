/* SPDX-License-Identifier: Apache-2.0 */
/* Far tensors: rows 2^28 to 2^33 elements apart in a reservation, of which only the rows are memory
 * and the places that their offsets come to when 32 bits hold them.  Those hold decoys (the
 * opposite of a mask's row, other numbers), so that a wrapped offset reads something wrong that can
 * be read again to name the fault; everything else traps.  Costs a few pages a row. */
#include "evals/numeric/parity_far.h"

#include <stdlib.h>
#include <string.h>

#include "base/fp.h"

#define SKEW       12288 /* beyond the power of two: no two rows wrap to one place */
#define WIDEST     4096  /* elements of a row */
#define MOST_ROWS  512
#define MOST_BYTES ((int64_t)1 << 44)

#define KINDS(way, text)                                                                           \
    {way, false, false, text " in elements wrap at 2^32"},                                         \
        {way, true, false, text " in elements wrap at 2^31"},                                      \
        {way, false, true, text " in bytes wrap at 2^32"},                                         \
    {                                                                                              \
        way, true, true, text " in bytes wrap at 2^31"                                             \
    }

const parity_wrap parity_wraps[PARITY_WRAPS] = {
    KINDS(PARITY_WRAP_SUM, "offsets"), KINDS(PARITY_WRAP_ROW, "row offsets"),
    KINDS(PARITY_WRAP_EACH, "products of index and stride"), KINDS(PARITY_WRAP_STRIDE, "strides")};

static int64_t cut(const parity_wrap *w, int64_t x)
{
    return w->has_sign ? (int64_t)(int32_t)(uint32_t)x : (int64_t)(uint32_t)x;
}

int64_t parity_wrapped(const att_tensor *t, const parity_wrap *w, const int64_t row[3])
{
    int64_t size = (int64_t)att_dtype_size(t->dtype), unit = w->bytes ? size : 1, product[3];

    for (int a = 0; a < 3; a++) {
        int64_t stride = t->stride[a] * unit;
        product[a] = row[a] * (w->way == PARITY_WRAP_STRIDE ? cut(w, stride) : stride);
        if (w->way == PARITY_WRAP_EACH || (w->way == PARITY_WRAP_ROW && a == 2))
            product[a] = cut(w, product[a]);
    }
    int64_t sum = product[0] + product[1] + product[2];
    return (w->way == PARITY_WRAP_SUM ? cut(w, sum) : sum) * (size / unit);
}

bool parity_is_far(const parity_spec *s, const char *what)
{
    return s->far && (parity_is(s->far, what) ||
                      (parity_is(s->far, "kv") && (parity_is(what, "k") || parity_is(what, "v"))));
}

/* ------------------------------------------------------------------------------ shapes */

int64_t parity_far_pages(const parity_spec *s)
{
    int64_t page = s->hkv * s->page * (s->d < s->dv ? s->d : s->dv);

    return page > 0 ? ((int64_t)1 << s->apart) / page + SKEW / page + 1 : 1;
}

parity_shape parity_far_shape(const parity_spec *s, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    parity_shape shape = {.n = {n0, n1, n2, n3}};

    shape.stride[3] = 1;
    shape.stride[2] = ((int64_t)1 << s->apart) + SKEW;
    shape.stride[1] = n2 * shape.stride[2];
    shape.stride[0] = n1 * shape.stride[1];
    if (n0 > 0 && n1 > 0 && n2 > 0 && n3 > 0)
        shape.extent = (n0 * n1 * n2 - 1) * shape.stride[2] + n3;
    return shape;
}

const char *parity_far_nonsense(const parity_spec *s)
{
    int64_t longest = s->sq > s->sk ? s->sq : s->sk, wide = s->d > s->dv ? s->d : s->dv;
    int64_t pages = s->page ? s->b * ((s->sk + s->page - 1) / s->page) : 0;

    if (!s->far || parity_is(s->far, "none"))
        return NULL;
    if (!parity_is(s->layout, "bhsd"))
        return "far tensors come in layout bhsd";
    if ((parity_is_far(s, "mask") && parity_is(s->mask, "none")) ||
        (parity_is_far(s, "bias") && parity_is(s->bias, "none")) ||
        (parity_is_far(s, "lse") && !s->lse))
        return "there is no such tensor to be far";
    if (wide > WIDEST || longest > WIDEST || s->b * s->hq * longest > MOST_ROWS)
        return "far tensors have at most 512 rows of 4096";
    if (s->quant && !parity_is(s->quant, "none") &&
        (parity_is_far(s, "k") || parity_is_far(s, "v")))
        return "quantised keys and values are not far apart";
    if (s->page && (parity_is_far(s, "k") || parity_is_far(s, "v")) &&
        (!parity_is(s->far, "kv") || pages * parity_far_pages(s) >= INT32_MAX))
        return "pages are far together, by numbers that 32 bits hold";
    if (s->b * s->hq * longest * (((int64_t)1 << s->apart) + SKEW) > MOST_BYTES / 8)
        return "far tensors lie within 2^44 bytes";
    return NULL;
}

/* ------------------------------------------------------------------------------ memory */

/* Bytes of the reservation before element (0,0,0,0): what wraps below 0 is in it. */
static size_t origin(const parity_shape *shape, size_t size, att_placement place)
{
    size_t lead = ((size_t)1 << 31) * size + 4096, row = (size_t)shape->n[3] * size;

    if (place != ATT_PLACE_FLUSH)
        return lead + 128;
    return lead + (4096 - row % 4096) % 4096; /* a row ends where its page does */
}

static size_t place_of(const parity_far *far, int64_t bytes)
{
    return (size_t)((unsigned char *)far->t.data - far->memory.map) + (size_t)bytes;
}

static int64_t own_place(const att_tensor *t, const int64_t row[3])
{
    return att_tensor_at(t, row[0], row[1], row[2], 0) * (int64_t)att_dtype_size(t->dtype);
}

static bool all_rows(parity_far *far)
{
    const int64_t *n = far->t.shape;

    far->rows = n[0] * n[1] * n[2];
    far->row = malloc(((size_t)far->rows + 1) * sizeof *far->row);
    for (int64_t r = 0; far->row && r < far->rows; r++) {
        far->row[r][0] = r / n[2] / n[1];
        far->row[r][1] = r / n[2] % n[1];
        far->row[r][2] = r % n[2];
    }
    return far->row != NULL;
}

static bool in_reach(const parity_far *far, int64_t at, size_t bytes)
{
    int64_t first = (int64_t)((unsigned char *)far->t.data - far->memory.map);

    return at >= -first && (size_t)(first + at) + bytes <= far->memory.bytes;
}

bool parity_far_make(parity_far *far, const parity_shape *shape, int32_t dtype, att_placement place,
                     int64_t (*row)[3], int64_t rows)
{
    size_t size = att_dtype_size(dtype), first = origin(shape, size, place);
    size_t width = (size_t)shape->n[3] * size;
    int64_t most = shape->extent > (int64_t)1 << 32 ? shape->extent : (int64_t)1 << 32;

    *far = (parity_far){.row = row, .rows = rows};
    if (!att_far_make(&far->memory, first + (size_t)most * size + width + 4096))
        return false;
    far->t = parity_tensor(shape, far->memory.map + first, dtype);
    if (!row && !all_rows(far))
        return false;
    for (int64_t r = 0; r < far->rows; r++) {
        if (!att_far_open(&far->memory, place_of(far, own_place(&far->t, far->row[r])), width))
            return false;
        for (int w = 0; w < PARITY_WRAPS; w++) {
            int64_t at = parity_wrapped(&far->t, &parity_wraps[w], far->row[r]);
            if (in_reach(far, at, width) && !att_far_open(&far->memory, place_of(far, at), width))
                return false;
        }
    }
    return true;
}

void parity_far_drop(parity_far *far)
{
    att_far_drop(&far->memory);
    free(far->row);
    *far = (parity_far){0};
}

/* ------------------------------------------------------------------------------ decoys */

static bool meets_a_row(const parity_far *far, int64_t at, int64_t bytes)
{
    for (int64_t r = 0; r < far->rows; r++) {
        int64_t own = own_place(&far->t, far->row[r]);
        if (at < own + bytes && own < at + bytes)
            return true;
    }
    return false;
}

void parity_far_decoys(parity_far *far, att_rng *rng)
{
    const att_tensor *t = &far->t;
    int64_t size = (int64_t)att_dtype_size(t->dtype), n = t->shape[3];

    for (int64_t r = 0; r < far->rows; r++) {
        const unsigned char *own = (unsigned char *)t->data + own_place(t, far->row[r]);
        for (int w = 0; w < PARITY_WRAPS; w++) {
            int64_t at = parity_wrapped(t, &parity_wraps[w], far->row[r]);
            unsigned char *to = (unsigned char *)t->data + at;
            if (!in_reach(far, at, (size_t)(n * size)) || meets_a_row(far, at, n * size))
                continue;
            for (int64_t d = 0; d < n; d++)
                if (t->dtype == ATT_U8)
                    to[d] = own[d] == 0;
                else
                    att_fp_store(to, t->dtype, d, att_rng_normal(rng));
        }
    }
}

bool parity_far_wraps(const parity_far *far, const parity_wrap *w)
{
    for (int64_t r = 0; r < far->rows; r++)
        if (parity_wrapped(&far->t, w, far->row[r]) != own_place(&far->t, far->row[r]))
            return true;
    return false;
}

bool parity_far_read(const parity_far *far, const parity_wrap *w, const int64_t row[3], int64_t n,
                     double *to)
{
    const att_tensor *t = &far->t;
    int64_t at = parity_wrapped(t, w, row);
    size_t width = (size_t)n * att_dtype_size(t->dtype);

    if (!in_reach(far, at, width))
        return false;
    const unsigned char *from = (unsigned char *)t->data + at;
    if (!att_far_holds(&far->memory, from, width))
        return false;
    for (int64_t d = 0; d < n; d++)
        to[d] = t->dtype == ATT_U8 ? (double)from[d] : att_fp_load(from, t->dtype, d);
    return true;
}
