/* SPDX-License-Identifier: Apache-2.0 */
/* The tensor table of a GGUF file and where it says that the data lie: shapes whose products fit,
 * known types, whole blocks, aligned offsets, inside the file, no two over each other. */
#include <stdlib.h>
#include <string.h>

#include "model/gguf_file.h"

enum { NAME_MAX_BYTES = 127, DIMS_MAX = 4 };
enum { ALIGN_DEFAULT = 32, ALIGN_MAX = 1 << 20 };

static int order_tensors(const void *a, const void *b)
{
    return att_gguf_order(((const att_gguf_tensor *)a)->name, ((const att_gguf_tensor *)b)->name);
}

static att_status tensor_says(const att_gguf_cursor *c, const att_gguf_tensor *t, size_t at,
                              att_status st, const char *what)
{
    att_why_set(c->why, "%s: byte %zu: tensor %.*s %s", c->g->name, at, (int)t->name.length,
                t->name.data, what);
    return st;
}

static att_status take_shape(att_gguf_cursor *c, att_gguf_tensor *t)
{
    size_t at = c->at;
    uint32_t dims;
    att_status st = att_gguf_take_u32(c, "a tensor's dimensions", &dims);
    if (st)
        return st;
    if (dims < 1 || dims > DIMS_MAX)
        return tensor_says(c, t, at, ATT_CORRUPT, "has no dimensions, or more than 4");
    t->dims = (int32_t)dims;
    int64_t elements = 1;
    for (uint32_t i = 0; i < DIMS_MAX; i++) {
        uint64_t n = 1;
        if (i < dims && (st = att_gguf_take_u64(c, "a tensor's shape", &n)))
            return st;
        if (n == 0 || n > INT64_MAX || __builtin_mul_overflow(elements, (int64_t)n, &elements))
            return tensor_says(c, t, at, ATT_CORRUPT, "has a size that is zero or overflows");
        t->shape[i] = (int64_t)n;
    }
    t->rows = t->shape[1] * t->shape[2] * t->shape[3]; /* divides elements: no overflow */
    return ATT_OK;
}

/* One tensor's row of the table; t->place is still relative to the data. */
static att_status take_tensor(att_gguf_cursor *c, att_gguf_tensor *t)
{
    size_t at = c->at;
    uint32_t type;
    uint64_t offset;
    int64_t block;
    size_t block_bytes;
    att_status st = att_gguf_take_text(c, NAME_MAX_BYTES, "a tensor's name", &t->name);
    if (st)
        return st;
    if (t->name.length == 0 || memchr(t->name.data, 0, t->name.length))
        return att_gguf_corrupt(c, at, "a tensor's name is empty or holds a NUL");
    if ((st = take_shape(c, t)) || (st = att_gguf_take_u32(c, "a tensor's type", &type)) ||
        (st = att_gguf_take_u64(c, "a tensor's offset", &offset)))
        return st;
    if (type > INT32_MAX || !att_gguf_block((int32_t)type, &block, &block_bytes)) {
        char text[160];
        snprintf(text, sizeof text, "has type %s (%u); read are F32 F16 BF16 F64 Q8_0 Q4_0 Q4_1",
                 att_gguf_type_name(type), type);
        return tensor_says(c, t, at, ATT_UNSUPPORTED, text);
    }
    t->type = (int32_t)type;
    if (t->shape[0] % block)
        return tensor_says(c, t, at, ATT_CORRUPT, "has rows that are not whole blocks");
    size_t all;
    if (__builtin_mul_overflow((size_t)(t->shape[0] / block), block_bytes, &t->row_bytes) ||
        __builtin_mul_overflow((size_t)t->rows, t->row_bytes, &all) || offset > SIZE_MAX)
        return tensor_says(c, t, at, ATT_CORRUPT, "has a size that overflows");
    t->place = (size_t)offset;
    return ATT_OK;
}

static int order_places(const void *a, const void *b)
{
    const att_gguf_tensor *const *x = a, *const *y = b;
    return ((*x)->place > (*y)->place) - ((*x)->place < (*y)->place);
}

/* Places every tensor in the data that begins at the next multiple of the alignment. */
static att_status place_tensors(att_gguf_cursor *c, att_gguf *g, size_t align)
{
    att_status st = ATT_OK;
    size_t start = 0;
    const att_gguf_tensor **order = calloc(g->n_tensors + 1, sizeof *order);
    if (!order) {
        att_why_set(c->why, "%s: no memory", g->name);
        return ATT_NO_MEMORY;
    }
    if (g->n_tensors && (__builtin_add_overflow(c->at, (align - c->at % align) % align, &start) ||
                         start > g->size)) {
        st = att_gguf_corrupt(c, c->at, "the file ends before its tensors' data begin");
        goto done;
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        att_gguf_tensor *t = &g->tensors[i];
        size_t bytes = (size_t)t->rows * t->row_bytes;
        if (t->place % align) {
            st = tensor_says(c, t, start, ATT_CORRUPT, "has an offset that is not aligned");
            goto done;
        }
        if (t->place > g->size - start || bytes > g->size - start - t->place) {
            st = tensor_says(c, t, start, ATT_CORRUPT, "reaches past the end of the file");
            goto done;
        }
        t->place += start;
        t->data = g->base + t->place;
        order[i] = t;
    }
    qsort(order, g->n_tensors, sizeof *order, order_places);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (order[i]->place - order[i - 1]->place <
            (size_t)order[i - 1]->rows * order[i - 1]->row_bytes) {
            st = tensor_says(c, order[i], order[i]->place, ATT_CORRUPT, "overlaps another tensor");
            goto done;
        }
done:
    free(order);
    return st;
}

att_status att_gguf_take_tensors(att_gguf_cursor *c, att_gguf *g, uint64_t count)
{
    for (; g->n_tensors < count; g->n_tensors++) {
        att_status st = take_tensor(c, &g->tensors[g->n_tensors]);
        if (st)
            return st;
    }
    int64_t align = ALIGN_DEFAULT;
    att_status st = att_gguf_int(g, "general.alignment", false, &align, c->why);
    if (st)
        return st;
    if (align < 8 || align > ALIGN_MAX || (align & (align - 1))) {
        att_why_set(c->why, "%s: key general.alignment is %lld, not a power of two from 8 to %d",
                    g->name, (long long)align, ALIGN_MAX);
        return ATT_CORRUPT;
    }
    if ((st = place_tensors(c, g, (size_t)align)))
        return st;
    qsort(g->tensors, g->n_tensors, sizeof *g->tensors, order_tensors);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (!order_tensors(&g->tensors[i - 1], &g->tensors[i]))
            return tensor_says(c, &g->tensors[i], g->tensors[i].place, ATT_CORRUPT,
                               "is there twice");
    return ATT_OK;
}

size_t att_gguf_tensors(const att_gguf *g)
{
    return g->n_tensors;
}

const att_gguf_tensor *att_gguf_tensor_at(const att_gguf *g, size_t i)
{
    return i < g->n_tensors ? &g->tensors[i] : NULL;
}

const att_gguf_tensor *att_gguf_tensor_named(const att_gguf *g, const char *name)
{
    att_gguf_tensor want = {.name = {name, strlen(name)}};
    return bsearch(&want, g->tensors, g->n_tensors, sizeof want, order_tensors);
}
