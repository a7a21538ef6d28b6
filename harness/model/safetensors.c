/* SPDX-License-Identifier: Apache-2.0 */
/* Reader and writer of .safetensors.  The header's length is compared with the file before it is
 * parsed; every shape is multiplied with overflow checks and must give exactly the bytes of its
 * range; the ranges, sorted, must tile the data from end to end, which excludes overlap, holes and
 * a tail.
 * Source: the format description in the safetensors project. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "model/map.h"
#include "model/safetensors.h"

enum { HEADER_MAX = 64 << 20, COUNT_MAX = 1 << 16 };

static const struct {
    const char *name;
    int32_t dtype;
} dtypes[] = {{"F32", ATT_F32},   {"F64", ATT_F64},         {"F16", ATT_F16},
              {"BF16", ATT_BF16}, {"F8_E4M3", ATT_F8_E4M3}, {"F8_E5M2", ATT_F8_E5M2},
              {"I8", ATT_I8},     {"I32", ATT_I32},         {"I64", ATT_I64},
              {"U8", ATT_U8},     {"BOOL", ATT_U8}};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

struct att_safetensors {
    char *name;
    const void *map;
    size_t map_bytes;
    const uint8_t *data;
    size_t bytes;  /* of the data */
    cJSON *header; /* owns the texts */
    att_st_tensor *tensors;
    size_t n_tensors;
    att_st_pair *pairs;
    size_t n_pairs;
};

static att_status says(const att_safetensors *f, att_status st, att_why *why, const char *tensor,
                       const char *what)
{
    att_why_set(why, "%s: header: tensor %s %s", f->name, tensor, what);
    return st;
}

/* A JSON number as a size. */
static bool as_size(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 0x1p53))
        return false;
    *out = (int64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static att_status read_dtype(const att_safetensors *f, const cJSON *item, att_st_tensor *t,
                             att_why *why)
{
    const char *text;
    char what[160];
    if (!att_json_text(item, "dtype", &text))
        return says(f, ATT_CORRUPT, why, t->name, "has no dtype");
    for (size_t i = 0; i < DTYPES; i++)
        if (!strcmp(dtypes[i].name, text)) {
            t->dtype = dtypes[i].dtype;
            return ATT_OK;
        }
    snprintf(what, sizeof what, "has dtype %.40s, which is not read", text);
    return says(f, ATT_UNSUPPORTED, why, t->name, what);
}

static att_status read_tensor(const att_safetensors *f, const cJSON *item, att_st_tensor *t,
                              att_why *why)
{
    const cJSON *x;
    int64_t range[2] = {0}, n = 0;
    t->name = item->string;
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 3)
        return says(f, ATT_CORRUPT, why, t->name, "is not { dtype, shape, data_offsets }");
    att_status st = read_dtype(f, item, t, why);
    if (st)
        return st;
    const cJSON *shape = att_json_get(item, "shape"), *offsets = att_json_get(item, "data_offsets");
    if (!cJSON_IsArray(shape) || !cJSON_IsArray(offsets))
        return says(f, ATT_CORRUPT, why, t->name, "has no shape or no data_offsets");
    size_t bytes = att_dtype_size(t->dtype);
    cJSON_ArrayForEach(x, shape)
    {
        if (t->dims == ATT_SAFETENSORS_DIMS)
            return says(f, ATT_UNSUPPORTED, why, t->name, "has more than 8 dimensions");
        if (!as_size(x, &t->shape[t->dims]))
            return says(f, ATT_CORRUPT, why, t->name, "has a size that is not a whole number");
        if (__builtin_mul_overflow(bytes, (size_t)t->shape[t->dims], &bytes))
            return says(f, ATT_CORRUPT, why, t->name, "has a size that overflows");
        t->dims++;
    }
    cJSON_ArrayForEach(x, offsets)
    {
        if (n == 2 || !as_size(x, &range[n]))
            return says(f, ATT_CORRUPT, why, t->name,
                        "has data_offsets that are not two whole numbers");
        n++;
    }
    if (n != 2 || range[1] < range[0] || (size_t)range[1] > f->bytes)
        return says(f, ATT_CORRUPT, why, t->name, "lies outside the data of the file");
    if ((size_t)(range[1] - range[0]) != bytes)
        return says(f, ATT_CORRUPT, why, t->name,
                    "has a range that its shape and dtype contradict");
    t->data = f->data + range[0];
    t->bytes = bytes;
    return ATT_OK;
}

static att_status read_pairs(att_safetensors *f, const cJSON *object, att_why *why)
{
    const cJSON *x;
    if (!cJSON_IsObject(object)) {
        att_why_set(why, "%s: header: __metadata__ is not an object", f->name);
        return ATT_CORRUPT;
    }
    f->pairs = calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof *f->pairs);
    if (!f->pairs)
        return ATT_NO_MEMORY;
    cJSON_ArrayForEach(x, object)
    {
        if (!cJSON_IsString(x)) {
            att_why_set(why, "%s: header: __metadata__ key %s is not a string", f->name, x->string);
            return ATT_CORRUPT;
        }
        f->pairs[f->n_pairs++] = (att_st_pair){x->string, x->valuestring};
    }
    return ATT_OK;
}

static int order_places(const void *a, const void *b)
{
    const att_st_tensor *const *x = a, *const *y = b;
    uintptr_t p = (uintptr_t)(*x)->data, q = (uintptr_t)(*y)->data;
    return p != q ? (p > q) - (p < q) : ((*x)->bytes > (*y)->bytes) - ((*x)->bytes < (*y)->bytes);
}

/* The ranges must follow each other from the first byte of the data to the last. */
static att_status check_tiling(const att_safetensors *f, att_why *why)
{
    att_status st = ATT_OK;
    const uint8_t *at = f->data;
    const att_st_tensor **order = calloc(f->n_tensors + 1, sizeof *order);
    if (!order)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < f->n_tensors; i++)
        order[i] = &f->tensors[i];
    qsort(order, f->n_tensors, sizeof *order, order_places);
    for (size_t i = 0; i < f->n_tensors && !st; i++) {
        if (order[i]->data != at)
            st = says(f, ATT_CORRUPT, why, order[i]->name,
                      "overlaps another, or bytes before it belong to none");
        at = (const uint8_t *)order[i]->data + order[i]->bytes;
    }
    if (!st && at != f->data + f->bytes) {
        att_why_set(why, "%s: %zu bytes at the end belong to no tensor", f->name,
                    (size_t)(f->data + f->bytes - at));
        st = ATT_CORRUPT;
    }
    free(order);
    return st;
}

static att_status read_all(att_safetensors *f, const uint8_t *data, size_t size, att_why *why)
{
    uint64_t length;
    const cJSON *x;
    if (size < sizeof length) {
        att_why_set(why, "%s: byte %zu: the file ends inside the header's length", f->name, size);
        return ATT_CORRUPT;
    }
    memcpy(&length, data, sizeof length);
    if (length > size - sizeof length || length > HEADER_MAX) {
        att_why_set(why,
                    "%s: byte 0: the header claims %llu bytes, %zu follow (at most %d are read)",
                    f->name, (unsigned long long)length, size - sizeof length, HEADER_MAX);
        return ATT_CORRUPT;
    }
    f->data = data + sizeof length + length;
    f->bytes = size - sizeof length - (size_t)length;
    att_status st = att_json_parse((const char *)data + sizeof length, (size_t)length, f->name,
                                   &f->header, why);
    if (st)
        return st;
    if (!cJSON_IsObject(f->header) || cJSON_GetArraySize(f->header) > COUNT_MAX) {
        att_why_set(why, "%s: the header is not an object of at most %d tensors", f->name,
                    COUNT_MAX);
        return ATT_CORRUPT;
    }
    f->tensors = calloc((size_t)cJSON_GetArraySize(f->header) + 1, sizeof *f->tensors);
    if (!f->tensors)
        return ATT_NO_MEMORY;
    cJSON_ArrayForEach(x, f->header)
    {
        if (!strcmp(x->string, "__metadata__"))
            st = read_pairs(f, x, why);
        else
            st = read_tensor(f, x, &f->tensors[f->n_tensors++], why);
        if (st)
            return st;
    }
    return check_tiling(f, why);
}

att_status att_safetensors_parse(const void *data, size_t size, const char *name,
                                 att_safetensors **out, att_why *why)
{
    *out = NULL;
    att_status st = ATT_NO_MEMORY;
    att_safetensors *f = calloc(1, sizeof *f);
    att_why_set(why, "%s: no memory", name);
    if (f && (f->name = strdup(name)))
        st = read_all(f, data, size, why);
    if (st)
        att_safetensors_close(f);
    else
        *out = f;
    return st;
}

att_status att_safetensors_open(const char *path, att_safetensors **out, att_why *why)
{
    const void *map;
    size_t size;
    *out = NULL;
    att_status st = att_map_open(path, 8, &map, &size, why);
    if (st)
        return st;
    st = att_safetensors_parse(map, size, path, out, why);
    if (st) {
        att_map_close(map, size);
        return st;
    }
    (*out)->map = map;
    (*out)->map_bytes = size;
    return ATT_OK;
}

void att_safetensors_close(att_safetensors *f)
{
    if (!f)
        return;
    att_map_close(f->map, f->map_bytes);
    cJSON_Delete(f->header);
    free(f->tensors);
    free(f->pairs);
    free(f->name);
    free(f);
}

const char *att_safetensors_name(const att_safetensors *f)
{
    return f->name;
}

size_t att_safetensors_count(const att_safetensors *f)
{
    return f->n_tensors;
}

const att_st_tensor *att_safetensors_at(const att_safetensors *f, size_t i)
{
    return i < f->n_tensors ? &f->tensors[i] : NULL;
}

const att_st_tensor *att_safetensors_find(const att_safetensors *f, const char *name)
{
    for (size_t i = 0; i < f->n_tensors; i++)
        if (!strcmp(f->tensors[i].name, name))
            return &f->tensors[i];
    return NULL;
}

size_t att_safetensors_pairs(const att_safetensors *f)
{
    return f->n_pairs;
}

const att_st_pair *att_safetensors_pair(const att_safetensors *f, size_t i)
{
    return i < f->n_pairs ? &f->pairs[i] : NULL;
}

/* ------------------------------------------------------------------------------- write */

static const char *dtype_text(int32_t dtype)
{
    for (size_t i = 0; i < DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return NULL;
}

static int order_width(const void *a, const void *b)
{
    const att_st_tensor *const *x = a, *const *y = b;
    size_t p = att_dtype_size((*x)->dtype), q = att_dtype_size((*y)->dtype);
    return p != q ? (p < q) - (p > q) : strcmp((*x)->name, (*y)->name);
}

static void put_header(FILE *f, const att_st_tensor *const *order, size_t n_tensors,
                       const att_st_pair *pairs, size_t n_pairs)
{
    size_t at = 0;
    fputs("{\"__metadata__\":{", f);
    for (size_t i = 0; i < n_pairs; i++) {
        fputs(i ? "," : "", f);
        att_json_put_text(f, pairs[i].key);
        fputc(':', f);
        att_json_put_text(f, pairs[i].value);
    }
    fputc('}', f);
    for (size_t i = 0; i < n_tensors; i++) {
        fputc(',', f);
        att_json_put_text(f, order[i]->name);
        fprintf(f, ":{\"dtype\":\"%s\",\"shape\":[", dtype_text(order[i]->dtype));
        for (int32_t d = 0; d < order[i]->dims; d++)
            fprintf(f, "%s%lld", d ? "," : "", (long long)order[i]->shape[d]);
        fprintf(f, "],\"data_offsets\":[%zu,%zu]}", at, at + order[i]->bytes);
        at += order[i]->bytes;
    }
    fputc('}', f);
    while (ftell(f) % 8)
        fputc(' ', f); /* the data begin aligned */
}

att_status att_safetensors_write(const char *path, const att_st_tensor *tensors, size_t n_tensors,
                                 const att_st_pair *pairs, size_t n_pairs, att_why *why)
{
    att_status st = ATT_NO_MEMORY;
    char *header = NULL;
    size_t length = 0;
    FILE *f = NULL;
    att_buf file = {0};
    const att_st_tensor **order = calloc(n_tensors + 1, sizeof *order);
    if (!order || !(f = open_memstream(&header, &length)))
        goto done;
    for (size_t i = 0; i < n_tensors; i++) {
        order[i] = &tensors[i];
        if (!dtype_text(tensors[i].dtype) || tensors[i].dims < 0 ||
            tensors[i].dims > ATT_SAFETENSORS_DIMS) {
            att_why_set(why, "%s: tensor %s has a type or shape that .safetensors cannot hold",
                        path, tensors[i].name);
            st = ATT_UNSUPPORTED;
            goto done;
        }
    }
    qsort(order, n_tensors, sizeof *order, order_width);
    put_header(f, order, n_tensors, pairs, n_pairs);
    bool whole = !ferror(f);
    if (fclose(f) || !whole) {
        f = NULL;
        goto done;
    }
    f = NULL;
    uint64_t size = length;
    att_buf_add(&file, (const char *)&size, sizeof size);
    att_buf_add(&file, header, length);
    for (size_t i = 0; i < n_tensors; i++)
        att_buf_add(&file, order[i]->data, order[i]->bytes);
    if (file.failed)
        goto done;
    st = ATT_OK;
    if (!att_file_write(path, file.data, file.length)) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        st = ATT_IO;
    }
done:
    if (st == ATT_NO_MEMORY)
        att_why_set(why, "%s: no memory", path);
    if (f)
        fclose(f);
    free(header);
    free(order);
    att_buf_drop(&file);
    return st;
}
