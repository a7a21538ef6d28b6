/* SPDX-License-Identifier: Apache-2.0 */
/* Products of rows of GGUF blocks with f32 activations, without dequantising them first. */
#ifndef ATT_BLOCKS_H
#define ATT_BLOCKS_H

#include <stdint.h>

/* sum over the n weights of a row (n a multiple of 32) times x; sums[n / 32] holds the sum of each
 * 32 of x.  The weights are those that att_gguf_dequantise gives, to f32 rounding. */
typedef float (*att_block_dot)(const uint8_t *blocks, const float *x, const float *sums, int64_t n);

/* The product of a block type at the level of this machine; NULL for a type that has none. */
att_block_dot att_block_dot_of(int32_t type);

#endif
