/* SPDX-License-Identifier: Apache-2.0 */
/* flash_f32 on f16 storage: q, k and v are widened as they are packed, sums and probabilities are
 * f32, and only the result is rounded to f16.
 *
 * Why: half the KV bytes; the scores of large q and k, which overflow f16, stay in range.
 * Bound: that of flash_f32, and half an ulp of the output type.
 * Source: Dao et al. 2022, "FlashAttention". */
#include "common/tiled.h"

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p, (void)params;
    return (att_tiled){
        .accept = {.ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = 1u << ATT_F16},
        .flash = {.keep = ATT_KEEP_ALL}};
}

const att_kernel att_kernel_flash_f16 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "flash_f16",
    .family = "exact",
    .summary = "tiled online softmax, f16 storage, f32 sums",
    .source = "Dao et al. 2022, FlashAttention; Milakov and Gimelshein 2018",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_tiled_supports,
    .plan = att_tiled_plan,
    .cost = att_tiled_cost,
    .attend = att_tiled_attend,
};
