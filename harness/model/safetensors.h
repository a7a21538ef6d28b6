/* SPDX-License-Identifier: Apache-2.0 */
/* .safetensors: u64 length of a JSON header, the header { name: { dtype, shape, data_offsets } ...,
 * "__metadata__": { text: text } }, then the data without holes or overlaps. */
#ifndef ATT_SAFETENSORS_H
#define ATT_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"

enum { ATT_SAFETENSORS_DIMS = 8 };

typedef struct att_st_tensor {
    const char *name;
    int32_t dtype; /* att_dtype; BOOL is read as ATT_U8 */
    int32_t dims;  /* 0..8 */
    int64_t shape[ATT_SAFETENSORS_DIMS];
    const void *data; /* not aligned */
    size_t bytes;
} att_st_tensor;

typedef struct att_st_pair {
    const char *key, *value;
} att_st_pair;

typedef struct att_safetensors att_safetensors;

/* Maps and checks a file.  IO, CORRUPT, or UNSUPPORTED for a dtype that is not read; the message
 * names file, byte and tensor. */
att_status att_safetensors_open(const char *path, att_safetensors **out, att_why *why);
/* The same of bytes in memory, which must outlive the object; `name` opens the messages. */
att_status att_safetensors_parse(const void *data, size_t size, const char *name,
                                 att_safetensors **out, att_why *why);
void att_safetensors_close(att_safetensors *f);
const char *att_safetensors_name(const att_safetensors *f);

size_t att_safetensors_count(const att_safetensors *f);
const att_st_tensor *att_safetensors_at(const att_safetensors *f, size_t i);
const att_st_tensor *att_safetensors_find(const att_safetensors *f,
                                          const char *name); /* NULL: none */
size_t att_safetensors_pairs(const att_safetensors *f);
const att_st_pair *att_safetensors_pair(const att_safetensors *f, size_t i);

/* Writes a file through a temporary one.  Data are laid out by element size, the widest first, so
 * that each tensor is aligned in the file. */
att_status att_safetensors_write(const char *path, const att_st_tensor *tensors, size_t n_tensors,
                                 const att_st_pair *pairs, size_t n_pairs, att_why *why);

#endif
