/* SPDX-License-Identifier: Apache-2.0 */
/* What gguf.c has found in a file; shared with gguf_keys.c and gguf_tensors.c alone. */
#ifndef ATT_GGUF_FILE_H
#define ATT_GGUF_FILE_H

#include "model/gguf.h"

typedef enum att_gguf_kind {
    ATT_KIND_U8 = 0,
    ATT_KIND_I8,
    ATT_KIND_U16,
    ATT_KIND_I16,
    ATT_KIND_U32,
    ATT_KIND_I32,
    ATT_KIND_F32,
    ATT_KIND_BOOL,
    ATT_KIND_STRING,
    ATT_KIND_ARRAY,
    ATT_KIND_U64,
    ATT_KIND_I64,
    ATT_KIND_F64,
    ATT_KINDS
} att_gguf_kind;

typedef struct att_gguf_entry {
    att_gguf_text key;
    uint32_t kind; /* of the value, or of an array's elements */
    bool array;
    uint64_t count; /* elements of an array */
    const uint8_t *data;
    size_t place;
} att_gguf_entry;

struct att_gguf {
    char *name;
    const void *map;
    const uint8_t *base;
    size_t size;
    att_gguf_entry *entries; /* sorted by key */
    size_t n_entries;
    att_gguf_tensor *tensors; /* sorted by name */
    size_t n_tensors;
};

/* A place in the file that hands out bytes only after it has seen that they are there. */
typedef struct att_gguf_cursor {
    const att_gguf *g;
    size_t at;
    att_why *why;
} att_gguf_cursor;

size_t att_gguf_left(const att_gguf_cursor *c);
att_status att_gguf_take_u32(att_gguf_cursor *c, const char *what, uint32_t *out);
att_status att_gguf_take_u64(att_gguf_cursor *c, const char *what, uint64_t *out);
att_status att_gguf_take_text(att_gguf_cursor *c, size_t longest, const char *what,
                              att_gguf_text *out);
/* Says that byte `at` is wrong; CORRUPT. */
att_status att_gguf_corrupt(const att_gguf_cursor *c, size_t at, const char *what);
/* Bytewise order, shorter first. */
int att_gguf_order(att_gguf_text a, att_gguf_text b);

/* ---- gguf_tensors.c: reads `count` rows of the tensor table and places the tensors. */
att_status att_gguf_take_tensors(att_gguf_cursor *c, att_gguf *g, uint64_t count);

#endif
