/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention in tiles with an online softmax, f32 storage and f32 sums.
 *
 *   m' = max(m, max s_j)   l' = l e^(m-m') + sum e^(s_j-m')   o' = o e^(m-m') + sum e^(s_j-m') v_j
 *
 * Why: holds the scores of 6 x 64 pairs at a time, so memory is O(S) and the work stays in cache;
 * it is `dense`, what every variant is compared with.
 * Bound: f32 sums of Dk and of n terms, one rescaling a tile (common/flash.h).
 * Source: Dao et al. 2022, "FlashAttention". */
#include "common/tiled.h"

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p, (void)params;
    return (att_tiled){
        .accept = {.ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = 1u << ATT_F32},
        .flash = {.keep = ATT_KEEP_ALL}};
}

const att_kernel att_kernel_flash_f32 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "flash_f32",
    .family = "exact",
    .summary = "tiled online softmax, f32 storage, f32 sums",
    .source = "Dao et al. 2022, FlashAttention; Milakov and Gimelshein 2018",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_tiled_supports,
    .plan = att_tiled_plan,
    .cost = att_tiled_cost,
    .attend = att_tiled_attend,
};
