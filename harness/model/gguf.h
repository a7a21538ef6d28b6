/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF v3 files, read without trust: every length, count, offset, type and alignment is checked
 * against the bytes that are there before it is used.  Messages name the file, the byte offset and
 * the key or tensor. */
#ifndef ATT_GGUF_H
#define ATT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"

typedef struct att_gguf att_gguf;

/* Text inside the file, not terminated. */
typedef struct att_gguf_text {
    const char *data;
    size_t length;
} att_gguf_text;

/* Numbers as the file format writes them; those outside the table are refused by name. */
typedef enum att_gguf_type {
    ATT_GGUF_F32 = 0,
    ATT_GGUF_F16 = 1,
    ATT_GGUF_Q4_0 = 2, /* blocks of 32: f16 d, 16 bytes of nibbles;        x = d (q - 8) */
    ATT_GGUF_Q4_1 = 3, /* blocks of 32: f16 d, f16 m, 16 bytes of nibbles; x = d q + m */
    ATT_GGUF_Q8_0 = 8, /* blocks of 32: f16 d, 32 x int8;                  x = d q */
    ATT_GGUF_F64 = 28,
    ATT_GGUF_BF16 = 30
} att_gguf_type;

typedef struct att_gguf_tensor {
    att_gguf_text name;
    int32_t type;     /* att_gguf_type */
    int32_t dims;     /* 1..4 */
    int64_t shape[4]; /* as in the file: shape[0] is contiguous; 1 from `dims` on */
    int64_t rows;     /* shape[1] * shape[2] * shape[3] */
    size_t row_bytes;
    const uint8_t *data; /* rows * row_bytes bytes, inside the file */
    size_t place;        /* byte offset of data in the file */
} att_gguf_tensor;

/* Maps the file (which must not be cut short while it is open).  IO, CORRUPT or UNSUPPORTED. */
att_status att_gguf_open(const char *path, att_gguf **out, att_why *why);
/* The same of bytes in memory, which must outlive the object; `name` opens the messages. */
att_status att_gguf_parse(const void *data, size_t size, const char *name, att_gguf **out,
                          att_why *why);
void att_gguf_close(att_gguf *g);
const char *att_gguf_name(const att_gguf *g);

/* Values of keys.  With `need` an absent key is CORRUPT; otherwise *out is left as it was and the
 * answer is OK.  A value of another kind, or one that does not fit, is CORRUPT. */
att_status att_gguf_int(const att_gguf *g, const char *key, bool need, int64_t *out, att_why *why);
att_status att_gguf_real(const att_gguf *g, const char *key, bool need, double *out, att_why *why);
att_status att_gguf_flag(const att_gguf *g, const char *key, bool need, bool *out, att_why *why);
att_status att_gguf_string(const att_gguf *g, const char *key, bool need, att_gguf_text *out,
                           att_why *why);
/* Arrays: *out is malloc'd, *n elements.  Absent: NULL and 0. */
att_status att_gguf_strings(const att_gguf *g, const char *key, bool need, att_gguf_text **out,
                            size_t *n, att_why *why);
att_status att_gguf_ints(const att_gguf *g, const char *key, bool need, int64_t **out, size_t *n,
                         att_why *why);
bool att_gguf_has(const att_gguf *g, const char *key);
bool att_gguf_text_is(att_gguf_text text, const char *want);

size_t att_gguf_tensors(const att_gguf *g);
const att_gguf_tensor *att_gguf_tensor_at(const att_gguf *g, size_t i);
const att_gguf_tensor *att_gguf_tensor_named(const att_gguf *g, const char *name); /* NULL: none */

/* ---- quants.c */
/* Block size in elements and bytes; false for a type that is not read. */
bool att_gguf_block(int32_t type, int64_t *elements, size_t *bytes);
/* "Q4_K" and so on, "?" for a number nobody uses. */
const char *att_gguf_type_name(uint32_t type);
/* Rows [first, first + count) of t as f32 into out[count][shape[0]]. */
void att_gguf_dequantise(const att_gguf_tensor *t, int64_t first, int64_t count, float *out);

#endif
