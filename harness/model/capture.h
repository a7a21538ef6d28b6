/* SPDX-License-Identifier: Apache-2.0 */
/* Captures: one attention call, and if known its outputs, in a .safetensors file.
 *
 * Read and written here: op = attend in layout BHSD with tensors q k v, optional bias mask sinks
 * alibi_slopes, expected out and lse; F64 F32 F16 BF16.  What the format knows beyond that is
 * UNSUPPORTED by name; what it does not know is CORRUPT by name, except keys that start with x_. */
#ifndef ATT_CAPTURE_H
#define ATT_CAPTURE_H

#include "attn.h"
#include "base/why.h"

typedef struct att_capture {
    att_problem problem;       /* inputs alone; out and lse are not given */
    att_tensor out, lse;       /* expected; data NULL = not known */
    int32_t out_dtype;         /* whose unit roundoff `out` carries; -1 = not said */
    int32_t acc_dtype;         /* and that of the sums; out_dtype unless said */
    const char *name, *source; /* NULL = not said */
    void *memory;              /* holds all of it */
} att_capture;

/* IO, CORRUPT or UNSUPPORTED, naming file, tensor or key.  Tensors start on 64 bytes. */
att_status att_capture_read(const char *path, att_capture *out, att_why *why);
/* The same of a file in memory. */
att_status att_capture_parse(const void *data, size_t size, const char *name, att_capture *out,
                             att_why *why);
void att_capture_drop(att_capture *c);

/* Writes c: strided views are packed, broadcast dimensions of bias and mask stay 1. */
att_status att_capture_write(const char *path, const att_capture *c, att_why *why);

#endif
