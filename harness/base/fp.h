/* SPDX-License-Identifier: Apache-2.0 */
/* Floating-point formats as numbers: rounding to and from storage types, unit roundoffs, ulps.
 * Written apart from the kernels' own conversions (kernels/common/half.h) so that each checks the
 * other. */
#ifndef ATT_FP_H
#define ATT_FP_H

#include <stddef.h>
#include <stdint.h>

#include "attn.h"

/* What a type does to numbers. */
typedef struct att_format {
    double unit;           /* unit roundoff u: 2^-53, 2^-24, 2^-11 (f16), 2^-8 (bf16), 2^-4, 2^-3 */
    double tiny;           /* smallest normal */
    double half_subnormal; /* half the smallest subnormal: what underflow can lose */
    double largest;        /* largest finite */
} att_format;

/* The format of a float dtype; all zeros for others. */
att_format att_fp_format(int32_t dtype);

/* Reads element i of a typed array as double (exact); of block types too. */
double att_fp_load(const void *data, int32_t dtype, int64_t i);
/* Rounds x to nearest even and stores it as element i (beyond the largest: Inf; e4m3: NaN).  I8,
 * U8: x is whole and in range. */
void att_fp_store(void *data, int32_t dtype, int64_t i, double x);
/* x rounded to dtype. */
double att_fp_round(int32_t dtype, double x);
/* Spacing of the format at x: 2 u 2^floor(log2 max(|x|, tiny)). */
double att_fp_ulp(const att_format *format, double x);

#define ATT_FP_BLOCK 32 /* numbers of a block */
/* Bytes of a block of Q8_0 or Q4_0; 0 for other types. */
size_t att_fp_block_bytes(int32_t dtype);
/* Element i of an array of blocks, exactly. */
double att_fp_block_load(const void *data, int32_t dtype, int64_t i);
/* Quantises 32 numbers into block `block`: each to the nearest level, the one of largest magnitude
 * to the last level; the whole block is NaN where one is not finite. */
void att_fp_block_store(void *data, int32_t dtype, int64_t block, const double *x);

/* "f32", "bf16", ... and back; -1 if unknown. */
const char *att_dtype_name(int32_t dtype);
int32_t att_dtype_named(const char *name);
/* The type of `bits` significant bits, -log2 of its unit roundoff (f64 53, f32 24, f16 11, bf16 8,
 * e4m3 4, e5m2 3); -1 if unknown. */
int32_t att_dtype_of_bits(double bits);

#endif
