/* SPDX-License-Identifier: Apache-2.0 */
/* Dense attention's own answer to a circuit, in float64, weight by weight: what diagnoses are set
 * against. */
#ifndef ATT_PROBES_DENSE_H
#define ATT_PROBES_DENSE_H

#include "evals/probes/circuit.h"

/* The answers to n of a circuit's questions: which[s] is the number of the s-th. */
typedef struct probe_dense {
    int64_t n, len;
    int64_t *which;
    double *weight; /* [n,len], 0 beyond the question's position */
    double *out;    /* [n,PROBE_CODE] */
    /* [n]: H / ln of the keys that may be seen; the fewest keys that hold 95 % of the weight; 1
     * over the sum of squared weights */
    double *entropy, *keys_95, *keys_effective;
    double *longest; /* [contexts] the largest norm of a value's code */
} probe_dense;

/* Of the first attention's questions, at logits match * cos; made once a group and match.  So many
 * questions as keep n * len under 2^22, spread over all. */
att_status probe_dense_answer(att_ctx *x, const probe_circuit *c, double match,
                              const probe_dense **out);

/* sum_j w_j v_j over the code's columns; `chosen` [len] of 0 and 1, NULL = all; to [PROBE_CODE].
 * Returns the sum of the weights. */
double probe_dense_mix(const probe_circuit *c, int64_t context, const double *weight,
                       const uint8_t *chosen, double *to);

#endif
