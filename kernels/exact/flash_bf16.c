/* SPDX-License-Identifier: Apache-2.0 */
/* flash_f32 on bf16 storage: q, k and v are widened as they are packed, sums and probabilities are
 * f32, and only the result is rounded to bf16.
 *
 * Why: half the KV bytes over the whole range of f32; nothing but the output loses precision here.
 * Bound: that of flash_f32, and half an ulp of the output type.
 * Source: Dao et al. 2022, "FlashAttention"; Kalamkar et al. 2019, "A study of bfloat16". */
#include "common/tiled.h"

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p, (void)params;
    return (att_tiled){
        .accept = {.ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = 1u << ATT_BF16},
        .flash = {.keep = ATT_KEEP_ALL}};
}

const att_kernel att_kernel_flash_bf16 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "flash_bf16",
    .family = "exact",
    .summary = "tiled online softmax, bf16 storage, f32 sums",
    .source = "Dao et al. 2022, FlashAttention; Milakov and Gimelshein 2018",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_tiled_supports,
    .plan = att_tiled_plan,
    .cost = att_tiled_cost,
    .attend = att_tiled_attend,
};
