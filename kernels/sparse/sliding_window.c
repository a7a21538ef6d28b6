/* SPDX-License-Identifier: Apache-2.0 */
/* Sliding-window attention: each query sees itself and the `left` keys before it.
 *
 *   kept(i, j):  p_i - p_j <= left       (intersected with the problem's own rules)
 *
 * Why: the cheapest drop-in; a fact more than `left` tokens back is gone, and so are the first
 * tokens that trained models lean on.
 * Bound: exact on its own keys (that of common/flash.h).  O(S min(S, left + 1)) pairs; state of
 * left + 1 tokens.
 * Source: Beltagy et al. 2020, "Longformer"; Jiang et al. 2023, "Mistral 7B". */
#include "common/tiled.h"

static const att_param PARAMS[] = {{.name = "left",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "256",
                                    .domain = "0:1073741824",
                                    .levels = "0 1 63 64 256",
                                    .help = "keys before the query that it sees, beside its own"},
                                   {0}};

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p;
    return (att_tiled){.accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE},
                       .flash = {.keep = {.left = params[0].i}}};
}

const att_kernel att_kernel_sliding_window = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sliding_window",
    .family = "sparse",
    .summary = "the query and the keys just before it",
    .source = "Beltagy et al. 2020, Longformer; Jiang et al. 2023, Mistral 7B",
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
