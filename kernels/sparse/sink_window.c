/* SPDX-License-Identifier: Apache-2.0 */
/* Sink + window attention: the first `sinks` keys of the sequence and the `left` before the query.
 *
 *   kept(i, j):  j < sinks  or  p_i - p_j <= left      (intersected with the problem's own rules)
 *
 * Why: trained models put spare attention on the first tokens; keeping four of them lets a window
 * work as a drop-in for what lies within it.  Positions stay as they are (no re-indexing).
 * Bound: exact on its own keys (that of common/flash.h).  O(S (sinks + left + 1)) pairs; state of
 * sinks + left + 1 tokens.
 * Source: Xiao et al. 2023, "Efficient streaming language models with attention sinks". */
#include "common/tiled.h"

static const att_param PARAMS[] = {{.name = "sinks",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "4",
                                    .domain = "0:1048576",
                                    .levels = "0 1 4",
                                    .help = "first keys that every query sees"},
                                   {.name = "left",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "252",
                                    .domain = "0:1073741824",
                                    .levels = "0 60 252",
                                    .help = "keys before the query that it sees, beside its own"},
                                   {0}};

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p;
    return (att_tiled){.accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE},
                       .flash = {.keep = {.first = params[0].i, .left = params[1].i}}};
}

const att_kernel att_kernel_sink_window = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sink_window",
    .family = "sparse",
    .summary = "the first keys and those just before the query",
    .source = "Xiao et al. 2023, StreamingLLM",
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
