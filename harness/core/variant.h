/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel with its parameters, as written on the command line: `sink_window{sinks=4,left=252}`,
 * `plugin:./my.so#flash`, or one kernel a range of layers: `plan:0-3=dense;4-29=topk{k=64}`. */
#ifndef ATT_VARIANT_H
#define ATT_VARIANT_H

#include "attn.h"

/* Layers first..last (inclusive) use `kernel` with `values` (declared order; NULL = none). */
typedef struct att_variant_part {
    int64_t first, last;
    const att_kernel *kernel;
    const att_value *values;
} att_variant_part;

typedef struct att_variant {
    const char *text; /* canonical: defaults left out, declared order */
    size_t parts;     /* 1 unless a plan; a single part covers all layers */
    const att_variant_part *part;
} att_variant;

/* The part for a layer; NULL where a plan leaves it out. */
const att_variant_part *att_variant_layer(const att_variant *variant, int64_t layer);

#endif
