/* SPDX-License-Identifier: Apache-2.0 */
/* Control: the first `sinks` keys and the query's own, nothing between.
 *
 * Why: what attention sinks alone achieve; sink_window minus its window.
 * Bound: exact on its own keys (that of common/flash.h). */
#include "common/tiled.h"

static const att_param PARAMS[] = {{.name = "sinks",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "4",
                                    .domain = "0:1048576",
                                    .help = "first keys seen"},
                                   {0}};

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p;
    return (att_tiled){.accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE},
                       .flash = {.keep = {.first = params[0].i, .left = 0}}};
}

const att_kernel att_kernel_sink_only = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sink_only",
    .family = "control",
    .summary = "crippled: sees the sinks and its own key only",
    .source = "control",
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
