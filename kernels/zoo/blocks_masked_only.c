/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: block-sparse attention whose pattern reaches the mask and not the loop over blocks: every
 * block is read and multiplied, those that the pattern closes are then masked.
 *
 *   kept: the key's block is the query's own, the one before it, or the first
 *
 * Hidden to every numeric check: the output is right.
 * Source: vllm#24089. */
#include "common/tiled.h"

enum { SIDE = 64 };

static bool kept(const void *arg, int64_t h, int64_t position, int64_t kb)
{
    const int64_t qb = position >= 0 ? position / SIDE : -1;
    (void)arg, (void)h;
    return kb == qb || kb == qb - 1 || kb == 0;
}

static bool kept_pair(const void *arg, int64_t h, int64_t i, int64_t position, int64_t j)
{
    (void)i;
    return kept(arg, h, position, j / SIDE);
}

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p, (void)params;
    return (att_tiled){.accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE},
                       .flash = {.keep = {.left = -1, .pair = kept_pair}}}; /* meant: .block */
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_flash meant = {.keep = {.left = -1, .block = kept, .block_k = SIDE}};
    (void)self, (void)params;
    return att_flash_cost(p, &meant, out);
}

const att_kernel att_kernel_blocks_masked_only = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "blocks_masked_only",
    .family = "zoo",
    .summary = "performance_regression: a block pattern only masks, every block is read",
    .source = "vllm#24089",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_tiled_supports,
    .plan = att_tiled_plan,
    .cost = cost,
    .attend = att_tiled_attend,
    .select = att_tiled_select,
};
