/* SPDX-License-Identifier: Apache-2.0 */
/* Row-wise arithmetic of the forward pass, everything but matrix products and attention.  Written
 * with vector extensions and built for two levels; the level is picked once. */
#ifndef ATT_ROWS_H
#define ATT_ROWS_H

#include <stddef.h>
#include <stdint.h>

typedef struct att_rows {
    const char *isa;
    /* out = x * weight / sqrt(mean(x^2) + eps); the sum of squares in f64. */
    void (*rms_norm)(const float *x, const float *weight, int64_t n, double eps, float *out);
    /* out = gate * sigmoid(gate) * up.  Relative error of the sigmoid below 3e-7. */
    void (*swiglu)(const float *gate, const float *up, int64_t n, float *out);
    /* Turns the pairs (2i, 2i + 1) of x[0..2 pairs) by the angles whose cosines and sines are
     * given, into out (which may be x). */
    void (*rope)(const float *x, const float *cosine, const float *sine, int64_t pairs, float *out);
    /* max x, and sum exp(x - max) as f64 of f32 parts; n > 0.  A NaN anywhere gives *sum NaN. */
    void (*log_sum)(const float *x, int64_t n, float *top, double *sum);
} att_rows;

/* The best level of this machine; ATT_ISA=plain in the environment asks for the plain one. */
const att_rows *att_rows_best(void);

#endif
