/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the resources eval: a problem whose keys lie a page apart, so that what a call reads
 * can be counted, and one call with everything it takes counted. */
#ifndef ATT_RESOURCES_H
#define ATT_RESOURCES_H

#include "base/touch.h"
#include "core/ctx.h"

/* A problem: batch 1, f32 or half, K and V rows a page apart or dense. */
typedef struct resources_shape {
    int64_t hq, hkv, sq, capacity, length, d; /* length <= capacity: the used keys */
    int64_t left;                             /* window; -1 = none */
    int32_t dtype;
    bool apart; /* each row of K and V on a page of its own */
} resources_shape;

typedef struct resources_inputs {
    resources_shape shape;
    att_problem p;
    att_touch k, v, scratch; /* scratch: kept between calls, dirty */
    void *q, *out;
    float *lse;
    int32_t length;
} resources_inputs;

/* What one call took. */
typedef struct resources_use {
    int64_t rows_read;     /* rows of K or V, whichever is more, summed over heads; apart only */
    int64_t rows_past;     /* those past the used length */
    int64_t pages;         /* of K, V and scratch touched, and of heap at its most */
    int64_t scratch_bytes; /* as planned */
    int64_t heap_bytes;    /* at most, beyond what was there */
    int64_t written_bytes; /* of scratch touched and heap at its most */
} resources_use;

/* Numbers from the case's stream; NO_MEMORY.  Drop all the same. */
att_status resources_make(att_ctx *x, const resources_shape *shape, resources_inputs *in);
void resources_drop(resources_inputs *in);
/* Does the kernel under test take it? */
att_status resources_support(att_ctx *x, const resources_inputs *in);
/* One call of the kernel under test; use: NULL = nothing is counted. */
att_status resources_call(att_ctx *x, resources_inputs *in, resources_use *use);

#endif
