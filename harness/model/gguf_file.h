/* SPDX-License-Identifier: Apache-2.0 */
/* What gguf.c has found in a file; shared with gguf_keys.c alone. */
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
    void *map;
    const uint8_t *base;
    size_t size;
    att_gguf_entry *entries; /* sorted by key */
    size_t n_entries;
    att_gguf_tensor *tensors; /* sorted by name */
    size_t n_tensors;
};

#endif
