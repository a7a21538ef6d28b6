/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF v3:  "GGUF" u32 version, u64 tensors, u64 keys, { key, u32 type, value }, { name, u32 dims,
 * u64 shape[dims], u32 type, u64 offset }, padding, data.  All little-endian.
 *
 * A cursor hands out bytes only after it has seen that they are there; counts are first compared
 * with the fewest bytes that so many things could take, so that a lying count can neither allocate
 * nor loop.
 * Source: the GGUF specification in ggml's docs/gguf.md. */
#include <stdlib.h>
#include <string.h>

#include "model/gguf_file.h"
#include "model/map.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF files are little-endian; this reader reads numbers in place"
#endif

enum { KEY_MAX = 65535, COUNT_MAX = 1 << 20, HEADER_BYTES = 24 };

/* Fewest bytes of one value of a kind: a string's length field, an array's kind and count. */
static const uint8_t kind_bytes[ATT_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
static const char *const kind_name[ATT_KINDS] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

/* ------------------------------------------------------------------------------ cursor */

size_t att_gguf_left(const att_gguf_cursor *c)
{
    return c->g->size - c->at;
}

att_status att_gguf_corrupt(const att_gguf_cursor *c, size_t at, const char *what)
{
    att_why_set(c->why, "%s: byte %zu: %s", c->g->name, at, what);
    return ATT_CORRUPT;
}

static att_status take(att_gguf_cursor *c, size_t bytes, const char *what, const uint8_t **out)
{
    if (bytes > att_gguf_left(c)) {
        att_why_set(c->why, "%s: byte %zu: %s needs %zu bytes, the file has %zu left", c->g->name,
                    c->at, what, bytes, att_gguf_left(c));
        return ATT_CORRUPT;
    }
    *out = c->g->base + c->at;
    c->at += bytes;
    return ATT_OK;
}

att_status att_gguf_take_u32(att_gguf_cursor *c, const char *what, uint32_t *out)
{
    const uint8_t *p;
    att_status st = take(c, sizeof *out, what, &p);
    if (!st)
        memcpy(out, p, sizeof *out);
    return st;
}

att_status att_gguf_take_u64(att_gguf_cursor *c, const char *what, uint64_t *out)
{
    const uint8_t *p;
    att_status st = take(c, sizeof *out, what, &p);
    if (!st)
        memcpy(out, p, sizeof *out);
    return st;
}

att_status att_gguf_take_text(att_gguf_cursor *c, size_t longest, const char *what,
                              att_gguf_text *out)
{
    size_t at = c->at;
    uint64_t length;
    const uint8_t *p;
    att_status st = att_gguf_take_u64(c, what, &length);
    if (st)
        return st;
    if (length > att_gguf_left(c) || length > longest) {
        att_why_set(c->why, "%s: byte %zu: %s claims %llu bytes (at most %zu can follow)",
                    c->g->name, at, what, (unsigned long long)length,
                    att_gguf_left(c) < longest ? att_gguf_left(c) : longest);
        return ATT_CORRUPT;
    }
    st = take(c, (size_t)length, what, &p);
    if (!st)
        *out = (att_gguf_text){(const char *)p, (size_t)length};
    return st;
}

/* ------------------------------------------------------------------------------ values */

static att_status skip_values(att_gguf_cursor *c, uint32_t kind_, uint64_t count,
                              const att_gguf_text *key)
{
    const uint8_t *p;
    if (count > att_gguf_left(c) / kind_bytes[kind_]) {
        att_why_set(c->why, "%s: byte %zu: key %.*s claims %llu values of kind %s, %zu bytes left",
                    c->g->name, c->at, (int)key->length, key->data, (unsigned long long)count,
                    kind_name[kind_], att_gguf_left(c));
        return ATT_CORRUPT;
    }
    if (kind_ != ATT_KIND_STRING)
        return take(c, (size_t)count * kind_bytes[kind_], "a value", &p);
    for (uint64_t i = 0; i < count; i++) {
        att_gguf_text text;
        att_status st = att_gguf_take_text(c, SIZE_MAX, "a string", &text);
        if (st)
            return st;
    }
    return ATT_OK;
}

static att_status take_entry(att_gguf_cursor *c, att_gguf_entry *e)
{
    size_t at = c->at;
    att_status st = att_gguf_take_text(c, KEY_MAX, "a key", &e->key);
    if (st)
        return st;
    if (e->key.length == 0 || memchr(e->key.data, 0, e->key.length))
        return att_gguf_corrupt(c, at, "a key is empty or holds a NUL");
    if ((st = att_gguf_take_u32(c, "a value's kind", &e->kind)))
        return st;
    e->count = 1;
    if (e->kind == ATT_KIND_ARRAY) {
        e->array = true;
        if ((st = att_gguf_take_u32(c, "an array's kind", &e->kind)) ||
            (st = att_gguf_take_u64(c, "an array's count", &e->count)))
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

int att_gguf_order(att_gguf_text a, att_gguf_text b)
{
    size_t n = a.length < b.length ? a.length : b.length;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int order_entries(const void *a, const void *b)
{
    return att_gguf_order(((const att_gguf_entry *)a)->key, ((const att_gguf_entry *)b)->key);
}

static att_status take_entries(att_gguf_cursor *c, att_gguf *g, uint64_t count)
{
    if (count > att_gguf_left(c) / 13 || count > COUNT_MAX) {
        att_why_set(c->why, "%s: byte 16: the header claims %llu keys in %zu bytes", g->name,
                    (unsigned long long)count, att_gguf_left(c));
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

/* ------------------------------------------------------------------------------- whole */

static att_status read_all(att_gguf *g, att_why *why)
{
    att_gguf_cursor c = {.g = g, .why = why};
    const uint8_t *magic;
    uint32_t version;
    uint64_t tensors, keys;
    att_status st = take(&c, 4, "the magic number", &magic);
    if (st)
        return st;
    if (memcmp(magic, "GGUF", 4))
        return att_gguf_corrupt(&c, 0, "not a GGUF file (the first four bytes are not GGUF)");
    if ((st = att_gguf_take_u32(&c, "the version", &version)))
        return st;
    if (version != 3) {
        att_why_set(why, "%s: byte 4: GGUF version %u; read is version 3", g->name, version);
        return version == 1 || version == 2 ? ATT_UNSUPPORTED : ATT_CORRUPT;
    }
    if ((st = att_gguf_take_u64(&c, "the tensor count", &tensors)) ||
        (st = att_gguf_take_u64(&c, "the key count", &keys)))
        return st;
    if (tensors > att_gguf_left(&c) / 33 || tensors > COUNT_MAX) {
        att_why_set(why, "%s: byte 8: the header claims %llu tensors in %zu bytes", g->name,
                    (unsigned long long)tensors, att_gguf_left(&c));
        return ATT_CORRUPT;
    }
    if ((st = take_entries(&c, g, keys)))
        return st;
    g->tensors = calloc((size_t)tensors + 1, sizeof *g->tensors);
    if (!g->tensors) {
        att_why_set(why, "%s: no memory for %llu tensors", g->name, (unsigned long long)tensors);
        return ATT_NO_MEMORY;
    }
    return att_gguf_take_tensors(&c, g, tensors);
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
    const void *map;
    size_t size;
    *out = NULL;
    att_status st = att_map_open(path, HEADER_BYTES, &map, &size, why);
    if (st)
        return st;
    st = att_gguf_parse(map, size, path, out, why);
    if (st)
        att_map_close(map, size);
    else
        (*out)->map = map;
    return st;
}

void att_gguf_close(att_gguf *g)
{
    if (!g)
        return;
    att_map_close(g->map, g->size);
    free(g->entries);
    free(g->tensors);
    free(g->name);
    free(g);
}

const char *att_gguf_name(const att_gguf *g)
{
    return g->name;
}
