/* SPDX-License-Identifier: Apache-2.0 */
/* Typed access to the keys of a GGUF file.  Writers choose integer widths freely, so any integer
 * kind answers for an integer, as long as the value fits. */
#include <stdlib.h>
#include <string.h>

#include "model/gguf_file.h"

static const uint8_t kind_bytes[ATT_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static int order_key(const void *key, const void *element)
{
    const att_gguf_text *a = key, *b = &((const att_gguf_entry *)element)->key;
    size_t n = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, n);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static const att_gguf_entry *find(const att_gguf *g, const char *key)
{
    att_gguf_text want = {key, strlen(key)};
    return bsearch(&want, g->entries, g->n_entries, sizeof *g->entries, order_key);
}

static att_status says(const att_gguf *g, const att_gguf_entry *e, const char *key,
                       const char *what, att_why *why)
{
    if (e)
        att_why_set(why, "%s: byte %zu: key %s %s", g->name, e->place, key, what);
    else
        att_why_set(why, "%s: key %s %s", g->name, key, what);
    return ATT_CORRUPT;
}

/* The entry of a key as a scalar or an array; *out NULL when absent and not needed. */
static att_status entry_of(const att_gguf *g, const char *key, bool need, bool array,
                           const att_gguf_entry **out, att_why *why)
{
    *out = find(g, key);
    if (!*out)
        return need ? says(g, NULL, key, "is missing", why) : ATT_OK;
    if ((*out)->array != array)
        return says(g, *out, key, array ? "is not an array" : "is an array", why);
    return ATT_OK;
}

static bool is_int(uint32_t kind)
{
    return kind <= ATT_KIND_I32 || kind == ATT_KIND_U64 || kind == ATT_KIND_I64;
}

/* Element i as an integer; false if it does not fit. */
static bool load_int(const att_gguf_entry *e, size_t i, int64_t *out)
{
    const uint8_t *p = e->data + i * kind_bytes[e->kind];
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
    } x;
    memcpy(&x, p, kind_bytes[e->kind]);
    switch (e->kind) {
    case ATT_KIND_U8:
        *out = x.u8;
        return true;
    case ATT_KIND_I8:
        *out = x.i8;
        return true;
    case ATT_KIND_U16:
        *out = x.u16;
        return true;
    case ATT_KIND_I16:
        *out = x.i16;
        return true;
    case ATT_KIND_U32:
        *out = x.u32;
        return true;
    case ATT_KIND_I32:
        *out = x.i32;
        return true;
    case ATT_KIND_I64:
        *out = x.i64;
        return true;
    default:
        *out = (int64_t)(x.u64 & INT64_MAX);
        return x.u64 <= INT64_MAX;
    }
}

bool att_gguf_has(const att_gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

bool att_gguf_text_is(att_gguf_text text, const char *want)
{
    return text.length == strlen(want) && !memcmp(text.data, want, text.length);
}

att_status att_gguf_int(const att_gguf *g, const char *key, bool need, int64_t *out, att_why *why)
{
    const att_gguf_entry *e;
    int64_t x;
    att_status st = entry_of(g, key, need, false, &e, why);
    if (st || !e)
        return st;
    if (!is_int(e->kind) || !load_int(e, 0, &x))
        return says(g, e, key, "is not an integer that fits 63 bits", why);
    *out = x;
    return ATT_OK;
}

att_status att_gguf_real(const att_gguf *g, const char *key, bool need, double *out, att_why *why)
{
    const att_gguf_entry *e;
    att_status st = entry_of(g, key, need, false, &e, why);
    if (st || !e)
        return st;
    if (e->kind == ATT_KIND_F32) {
        float x;
        memcpy(&x, e->data, sizeof x);
        *out = (double)x;
        return ATT_OK;
    }
    if (e->kind != ATT_KIND_F64)
        return says(g, e, key, "is not a float", why);
    memcpy(out, e->data, sizeof *out);
    return ATT_OK;
}

att_status att_gguf_flag(const att_gguf *g, const char *key, bool need, bool *out, att_why *why)
{
    const att_gguf_entry *e;
    att_status st = entry_of(g, key, need, false, &e, why);
    if (st || !e)
        return st;
    if (e->kind != ATT_KIND_BOOL || *e->data > 1)
        return says(g, e, key, "is not a bool (0 or 1)", why);
    *out = *e->data == 1;
    return ATT_OK;
}

/* The text at *p, which gguf.c has already seen to lie inside the file. */
static att_gguf_text next_text(const uint8_t **p)
{
    uint64_t length;
    memcpy(&length, *p, sizeof length);
    att_gguf_text text = {(const char *)*p + sizeof length, (size_t)length};
    *p += sizeof length + length;
    return text;
}

att_status att_gguf_string(const att_gguf *g, const char *key, bool need, att_gguf_text *out,
                           att_why *why)
{
    const att_gguf_entry *e;
    att_status st = entry_of(g, key, need, false, &e, why);
    if (st || !e)
        return st;
    if (e->kind != ATT_KIND_STRING)
        return says(g, e, key, "is not a string", why);
    const uint8_t *p = e->data;
    *out = next_text(&p);
    return ATT_OK;
}

att_status att_gguf_strings(const att_gguf *g, const char *key, bool need, att_gguf_text **out,
                            size_t *n, att_why *why)
{
    const att_gguf_entry *e;
    *out = NULL;
    *n = 0;
    att_status st = entry_of(g, key, need, true, &e, why);
    if (st || !e)
        return st;
    if (e->kind != ATT_KIND_STRING)
        return says(g, e, key, "is not an array of strings", why);
    att_gguf_text *texts = malloc(((size_t)e->count + 1) * sizeof *texts);
    if (!texts) {
        says(g, e, key, "does not fit into memory", why);
        return ATT_NO_MEMORY;
    }
    const uint8_t *p = e->data;
    for (size_t i = 0; i < e->count; i++)
        texts[i] = next_text(&p);
    *out = texts;
    *n = (size_t)e->count;
    return ATT_OK;
}

att_status att_gguf_ints(const att_gguf *g, const char *key, bool need, int64_t **out, size_t *n,
                         att_why *why)
{
    const att_gguf_entry *e;
    *out = NULL;
    *n = 0;
    att_status st = entry_of(g, key, need, true, &e, why);
    if (st || !e)
        return st;
    if (!is_int(e->kind))
        return says(g, e, key, "is not an array of integers", why);
    int64_t *values = malloc(((size_t)e->count + 1) * sizeof *values);
    if (!values) {
        says(g, e, key, "does not fit into memory", why);
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < e->count; i++)
        if (!load_int(e, i, &values[i])) {
            free(values);
            return says(g, e, key, "holds a number that does not fit 63 bits", why);
        }
    *out = values;
    *n = (size_t)e->count;
    return ATT_OK;
}
