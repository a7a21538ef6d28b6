/* SPDX-License-Identifier: Apache-2.0 */
/* Block-sparse attention with a declared static pattern, positions and keys in blocks of `block`.
 *
 *   kept(h, qb, kb):  |qb - kb| < local  or  kb < global  or  (kb + h) % stride == 0
 *
 * qb: block of the query's position (-1 before the first key), kb: block of the key, h: query head,
 * so that heads look at different columns; intersected with the problem's own rules and block mask.
 * stride = 0: none.
 * Why: blocks are what hardware can skip; a fixed pattern reaches back at a fraction of the keys.
 * Bound: exact on its own keys (that of common/flash.h); tiles without a kept block are not read.
 * Source: Child et al. 2019, "Generating long sequences with sparse transformers"; Gray et al.
 * 2017, "GPU kernels for block-sparse weights". */
#include "common/tiled.h"

enum { BLOCK, LOCAL, GLOBAL, STRIDE };

static const att_param PARAMS[] = {
    {.name = "block",
     .type = ATT_PARAM_INT,
     .unit = "keys",
     .fallback = "64",
     .domain = "1:65536",
     .levels = "16 64",
     .help = "side of a block"},
    {.name = "local",
     .type = ATT_PARAM_INT,
     .role = ATT_ROLE_BUDGET,
     .unit = "blocks",
     .fallback = "2",
     .domain = "1:1048576",
     .levels = "1 2",
     .help = "blocks kept each side of the diagonal, the own block among them"},
    {.name = "global",
     .type = ATT_PARAM_INT,
     .unit = "blocks",
     .fallback = "1",
     .domain = "0:1048576",
     .levels = "0 1",
     .help = "first blocks, which every query sees"},
    {.name = "stride",
     .type = ATT_PARAM_INT,
     .unit = "blocks",
     .fallback = "4",
     .domain = "0:1048576",
     .levels = "0 4",
     .help = "one column of blocks in so many, shifted by head; 0 = none"},
    {0}};

static bool kept(const void *arg, int64_t h, int64_t position, int64_t kb)
{
    const att_value *v = arg;
    const int64_t side = v[BLOCK].i, qb = position >= 0 ? position / side : -1;
    const int64_t apart = qb > kb ? qb - kb : kb - qb;
    return apart < v[LOCAL].i || kb < v[GLOBAL].i ||
           (v[STRIDE].i > 0 && (kb + h) % v[STRIDE].i == 0);
}

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p;
    return (att_tiled){
        .accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                   .can = ATT_CAN_ALL,
                   .dtypes = ATT_HALVES_AND_SINGLE},
        .flash = {.keep = {.left = -1, .block = kept, .block_k = params[BLOCK].i, .arg = params},
                  .by_head = true}};
}

const att_kernel att_kernel_block_sparse = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "block_sparse",
    .family = "sparse",
    .summary = "a static pattern of blocks a head: diagonal, first and strided",
    .source = "Child et al. 2019, Sparse Transformers; Gray et al. 2017",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_tiled_supports,
    .plan = att_tiled_plan,
    .cost = att_tiled_cost,
    .attend = att_tiled_attend,
    .select = att_tiled_select,
};
