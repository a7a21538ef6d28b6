/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF v3:  "GGUF" u32 version, u64 tensors, u64 keys, { key, u32 type, value }, { name, u32 dims,
 * u64 shape[dims], u32 type, u64 offset }, padding, data.  All little-endian.
 *
 * A cursor hands out bytes only after it has seen that they are there; counts are first compared
 * with the fewest bytes that so many things could take, so that a lying count can neither allocate
 * nor loop.  Source: the GGUF specification in ggml's docs/gguf.md. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/gguf_file.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF files are little-endian; this reader reads numbers in place"
#endif

enum { KEY_MAX = 65535, NAME_MAX_BYTES = 127, DIMS_MAX = 4, COUNT_MAX = 1 << 20 };
enum { ALIGN_DEFAULT = 32, ALIGN_MAX = 1 << 20 };

/* Fewest bytes of one value of a kind: a string's length field, an array's kind and count. */
static const uint8_t kind_bytes[ATT_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
static const char *const kind_name[ATT_KINDS] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

typedef struct cursor {
    const att_gguf *g;
    size_t at;
    att_why *why;
} cursor;

/* ------------------------------------------------------------------------------ cursor */

static size_t left(const cursor *c)
{
    return c->g->size - c->at;
}

static att_status corrupt(const cursor *c, size_t at, const char *what)
{
    att_why_set(c->why, "%s: byte %zu: %s", c->g->name, at, what);
    return ATT_CORRUPT;
}

static att_status take(cursor *c, size_t bytes, const char *what, const uint8_t **out)
{
    if (bytes > left(c)) {
        att_why_set(c->why, "%s: byte %zu: %s needs %zu bytes, the file has %zu left", c->g->name,
                    c->at, what, bytes, left(c));
        return ATT_CORRUPT;
    }
    *out = c->g->base + c->at;
    c->at += bytes;
    return ATT_OK;
}

static att_status take_u32(cursor *c, const char *what, uint32_t *out)
{
    const uint8_t *p;
    att_status st = take(c, sizeof *out, what, &p);
    if (!st)
        memcpy(out, p, sizeof *out);
    return st;
}

static att_status take_u64(cursor *c, const char *what, uint64_t *out)
{
    const uint8_t *p;
    att_status st = take(c, sizeof *out, what, &p);
    if (!st)
        memcpy(out, p, sizeof *out);
    return st;
}

static att_status take_text(cursor *c, size_t longest, const char *what, att_gguf_text *out)
{
    size_t at = c->at;
    uint64_t length;
    const uint8_t *p;
    att_status st = take_u64(c, what, &length);
    if (st)
        return st;
    if (length > left(c) || length > longest) {
        att_why_set(c->why, "%s: byte %zu: %s claims %llu bytes (at most %zu can follow)",
                    c->g->name, at, what, (unsigned long long)length,
                    left(c) < longest ? left(c) : longest);
        return ATT_CORRUPT;
    }
    st = take(c, (size_t)length, what, &p);
    if (!st)
        *out = (att_gguf_text){(const char *)p, (size_t)length};
    return st;
}

/* ------------------------------------------------------------------------------ values */

static att_status skip_values(cursor *c, uint32_t kind_, uint64_t count, const att_gguf_text *key)
{
    const uint8_t *p;
    if (count > left(c) / kind_bytes[kind_]) {
        att_why_set(c->why, "%s: byte %zu: key %.*s claims %llu values of kind %s, %zu bytes left",
                    c->g->name, c->at, (int)key->length, key->data, (unsigned long long)count,
                    kind_name[kind_], left(c));
        return ATT_CORRUPT;
    }
    if (kind_ != ATT_KIND_STRING)
        return take(c, (size_t)count * kind_bytes[kind_], "a value", &p);
    for (uint64_t i = 0; i < count; i++) {
        att_gguf_text text;
        att_status st = take_text(c, SIZE_MAX, "a string", &text);
        if (st)
            return st;
    }
    return ATT_OK;
}

static att_status take_entry(cursor *c, att_gguf_entry *e)
{
    size_t at = c->at;
    att_status st = take_text(c, KEY_MAX, "a key", &e->key);
    if (st)
        return st;
    if (e->key.length == 0 || memchr(e->key.data, 0, e->key.length))
        return corrupt(c, at, "a key is empty or holds a NUL");
    if ((st = take_u32(c, "a value's kind", &e->kind)))
        return st;
    e->count = 1;
    if (e->kind == ATT_KIND_ARRAY) {
        e->array = true;
        if ((st = take_u32(c, "an array's kind", &e->kind)) ||
            (st = take_u64(c, "an array's count", &e->count)))
            return st;
    }
    if (e->kind >= ATT_KINDS || (e->array && e->kind == ATT_KIND_ARRAY)) {
        att_why_set(c->why, "%s: byte %zu: key %.*s has values of %s kind %u", c->g->name, at,
                    (int)e->key.length, e->key.data,
                    e->kind == ATT_KIND_ARRAY ? "nested" : "unknown", e->kind);
        return ATT_CORRUPT;
    }
    e->place = c->at;
    e->data = c->g->base + c->at;
    return skip_values(c, e->kind, e->count, &e->key);
}

static int order_text(att_gguf_text a, att_gguf_text b)
{
    size_t n = a.length < b.length ? a.length : b.length;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int order_entries(const void *a, const void *b)
{
    return order_text(((const att_gguf_entry *)a)->key, ((const att_gguf_entry *)b)->key);
}

static int order_tensors(const void *a, const void *b)
{
    return order_text(((const att_gguf_tensor *)a)->name, ((const att_gguf_tensor *)b)->name);
}

static att_status take_entries(cursor *c, att_gguf *g, uint64_t count)
{
    if (count > left(c) / 13 || count > COUNT_MAX) {
        att_why_set(c->why, "%s: byte 16: the header claims %llu keys in %zu bytes", g->name,
                    (unsigned long long)count, left(c));
        return ATT_CORRUPT;
    }
    g->entries = calloc((size_t)count + 1, sizeof *g->entries);
    if (!g->entries) {
        att_why_set(c->why, "%s: no memory for %llu keys", g->name, (unsigned long long)count);
        return ATT_NO_MEMORY;
    }
    for (; g->n_entries < count; g->n_entries++) {
        att_status st = take_entry(c, &g->entries[g->n_entries]);
        if (st)
            return st;
    }
    qsort(g->entries, g->n_entries, sizeof *g->entries, order_entries);
    for (size_t i = 1; i < g->n_entries; i++)
        if (!order_entries(&g->entries[i - 1], &g->entries[i])) {
            att_why_set(c->why, "%s: byte %zu: key %.*s is there twice", g->name,
                        g->entries[i].place, (int)g->entries[i].key.length, g->entries[i].key.data);
            return ATT_CORRUPT;
        }
    return ATT_OK;
}

/* ----------------------------------------------------------------------------- tensors */

static att_status tensor_says(const cursor *c, const att_gguf_tensor *t, size_t at, att_status st,
                              const char *what)
{
    att_why_set(c->why, "%s: byte %zu: tensor %.*s %s", c->g->name, at, (int)t->name.length,
                t->name.data, what);
    return st;
}

static att_status take_shape(cursor *c, att_gguf_tensor *t)
{
    size_t at = c->at;
    uint32_t dims;
    att_status st = take_u32(c, "a tensor's dimensions", &dims);
    if (st)
        return st;
    if (dims < 1 || dims > DIMS_MAX)
        return tensor_says(c, t, at, ATT_CORRUPT, "has no dimensions, or more than 4");
    t->dims = (int32_t)dims;
    int64_t elements = 1;
    for (uint32_t i = 0; i < DIMS_MAX; i++) {
        uint64_t n = 1;
        if (i < dims && (st = take_u64(c, "a tensor's shape", &n)))
            return st;
        if (n == 0 || n > INT64_MAX || __builtin_mul_overflow(elements, (int64_t)n, &elements))
            return tensor_says(c, t, at, ATT_CORRUPT, "has a size that is zero or overflows");
        t->shape[i] = (int64_t)n;
    }
    t->rows = t->shape[1] * t->shape[2] * t->shape[3]; /* divides elements: no overflow */
    return ATT_OK;
}

/* One tensor's row of the table; t->place is still relative to the data. */
static att_status take_tensor(cursor *c, att_gguf_tensor *t)
{
    size_t at = c->at;
    uint32_t type;
    uint64_t offset;
    int64_t block;
    size_t block_bytes;
    att_status st = take_text(c, NAME_MAX_BYTES, "a tensor's name", &t->name);
    if (st)
        return st;
    if (t->name.length == 0 || memchr(t->name.data, 0, t->name.length))
        return corrupt(c, at, "a tensor's name is empty or holds a NUL");
    if ((st = take_shape(c, t)) || (st = take_u32(c, "a tensor's type", &type)) ||
        (st = take_u64(c, "a tensor's offset", &offset)))
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
static att_status place_tensors(cursor *c, att_gguf *g, size_t align)
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
        st = corrupt(c, c->at, "the file ends before its tensors' data begin");
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

static att_status take_tensors(cursor *c, att_gguf *g, uint64_t count)
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

/* ------------------------------------------------------------------------------- whole */

static att_status read_all(att_gguf *g, att_why *why)
{
    cursor c = {.g = g, .why = why};
    const uint8_t *magic;
    uint32_t version;
    uint64_t tensors, keys;
    att_status st = take(&c, 4, "the magic number", &magic);
    if (st)
        return st;
    if (memcmp(magic, "GGUF", 4))
        return corrupt(&c, 0, "not a GGUF file (the first four bytes are not GGUF)");
    if ((st = take_u32(&c, "the version", &version)))
        return st;
    if (version != 3) {
        att_why_set(why, "%s: byte 4: GGUF version %u; read is version 3", g->name, version);
        return version == 1 || version == 2 ? ATT_UNSUPPORTED : ATT_CORRUPT;
    }
    if ((st = take_u64(&c, "the tensor count", &tensors)) ||
        (st = take_u64(&c, "the key count", &keys)))
        return st;
    if (tensors > left(&c) / 33 || tensors > COUNT_MAX) {
        att_why_set(why, "%s: byte 8: the header claims %llu tensors in %zu bytes", g->name,
                    (unsigned long long)tensors, left(&c));
        return ATT_CORRUPT;
    }
    if ((st = take_entries(&c, g, keys)))
        return st;
    g->tensors = calloc((size_t)tensors + 1, sizeof *g->tensors);
    if (!g->tensors) {
        att_why_set(why, "%s: no memory for %llu tensors", g->name, (unsigned long long)tensors);
        return ATT_NO_MEMORY;
    }
    return take_tensors(&c, g, tensors);
}

att_status att_gguf_parse(const void *data, size_t size, const char *name, att_gguf **out,
                          att_why *why)
{
    *out = NULL;
    att_gguf *g = calloc(1, sizeof *g);
    if (!g || !(g->name = strdup(name))) {
        free(g);
        att_why_set(why, "%s: no memory", name);
        return ATT_NO_MEMORY;
    }
    g->base = data;
    g->size = size;
    att_status st = read_all(g, why);
    if (st)
        att_gguf_close(g);
    else
        *out = g;
    return st;
}

att_status att_gguf_open(const char *path, att_gguf **out, att_why *why)
{
    att_status st = ATT_IO;
    void *map = MAP_FAILED;
    size_t size = 0;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    if (fd < 0 || fstat(fd, &s)) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(s.st_mode)) {
        att_why_set(why, "%s: not a regular file", path);
        goto done;
    }
    size = (size_t)s.st_size;
    if (size < 24) {
        att_why_set(why, "%s: byte %zu: the file ends inside the header", path, size);
        st = ATT_CORRUPT;
        goto done;
    }
    map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        goto done;
    }
    st = att_gguf_parse(map, size, path, out, why);
    if (!st) {
        (*out)->map = map;
        map = MAP_FAILED;
    }
done:
    if (map != MAP_FAILED)
        munmap(map, size);
    if (fd >= 0)
        close(fd);
    return st;
}

void att_gguf_close(att_gguf *g)
{
    if (!g)
        return;
    if (g->map)
        munmap(g->map, g->size);
    free(g->entries);
    free(g->tensors);
    free(g->name);
    free(g);
}

const char *att_gguf_name(const att_gguf *g)
{
    return g->name;
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
