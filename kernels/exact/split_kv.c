/* SPDX-License-Identifier: Apache-2.0 */
/* Split-KV attention: the keys in `splits` parts, each with its own maximum, sum and output,
 * merged.
 *
 *   o = sum_s e^(m_s - m) o_s / sum_s e^(m_s - m) l_s      m = max m_s
 *
 * Why: decoding has few rows and many keys; parts are what keeps all cores busy.  Parts may be
 * empty (more splits than keys, or all of a part masked): they weigh nothing and are not read.
 * Bound: that of flash_f32 with one more rescaling; scratch grows by `splits` outputs.
 * Source: Dao et al. 2023, "Flash-Decoding for long-context inference". */
#include "common/tiled.h"

static const att_param PARAMS[] = {{.name = "splits",
                                    .type = ATT_PARAM_INT,
                                    .unit = "parts",
                                    .fallback = "4",
                                    .domain = "1:1024",
                                    .levels = "1 2 7 64",
                                    .help = "parts that the keys are split into"},
                                   {0}};

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p;
    return (att_tiled){
        .accept = {.ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE},
        .flash = {.keep = ATT_KEEP_ALL, .parts = params[0].i}};
}

const att_kernel att_kernel_split_kv = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "split_kv",
    .family = "exact",
    .summary = "keys split into parts, merged by their LSE",
    .source = "Dao et al. 2023, Flash-Decoding",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_tiled_supports,
    .plan = att_tiled_plan,
    .cost = att_tiled_cost,
    .attend = att_tiled_attend,
};
