/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels say of themselves, asked by their own supports and cost; for list and show. */
#ifndef ATT_FACTS_H
#define ATT_FACTS_H

#include <stdbool.h>
#include <stdio.h>

#include "attn.h"

enum { ATT_PHASES = 3 }; /* prefill, chunk, decode */

typedef struct att_facts {
    const char *class_; /* "E" exact, "A" approximation, "D" a function of its own */
    unsigned operators; /* 1u << att_op */
    unsigned phases;    /* 1u << index into att_phase_name */
    unsigned dtypes;    /* 1u << att_dtype, of q, k and v */
    /* One head of 64 elements of the first dtype, scales included; NAN where no cost is declared.
     * What one more token of context adds to what is kept, and all that is kept for 131072; keys
     * read by one query after 4096, 32768 and 131072 tokens; useful work of a causal prefill of
     * 4096. */
    double kv_bytes_per_token, state_bytes_128k;
    double keys_read_4k, keys_read_32k, keys_read_128k, flops_4k;
} att_facts;

/* values: the kernel's parameters in declared order.  stored: how K and V are kept, a word of
 * parity's `quant`; NULL = as floats. */
att_facts att_facts_of(const att_kernel *k, const att_value *values, const char *stored);

/* What one query costs after `keys` tokens, of one head of 64 elements of the first dtype; members
 * are NAN where the kernel declares no cost. */
att_cost att_facts_query(const att_kernel *k, const att_value *values, int64_t keys);

const char *att_phase_name(size_t phase);
/* Names of the set bits, printed as `"a", "b"` (json) or `a b`. */
void att_facts_put(FILE *f, unsigned set, size_t n, const char *(*name)(size_t), bool json);
const char *att_facts_op(size_t i);
const char *att_facts_dtype(size_t i);

#endif
