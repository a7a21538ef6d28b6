/* SPDX-License-Identifier: Apache-2.0 */
/* MoBA, mixture of block attention: a gate sends each query to a few blocks of keys.
 *
 *   gate(i, J) = q_i . mean_{j in J} k_j
 *   kept: the query's own block, and the blocks of the largest gates, `blocks` in all
 *
 * Why: the router of a mixture of experts, without parameters, over blocks of context; a trained
 * model can switch between it and dense attention.
 * Bound: exact on its own keys.  O(S / block) gates a row and blocks x block keys; the cache holds
 * all tokens and Dk floats a block.
 * Source: Lu et al. 2025, "MoBA: mixture of block attention for long-context LLMs". */
#include "common/pages.h"

enum { BLOCK, BLOCKS };

static const att_param PARAMS[] = {{.name = "block",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "64",
                                    .domain = "1:65536",
                                    .levels = "4 16 64",
                                    .help = "keys a block"},
                                   {.name = "blocks",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "blocks",
                                    .fallback = "4",
                                    .domain = "1:1048576",
                                    .levels = "1 2 4",
                                    .help = "blocks kept a row, the own among them"},
                                   {0}};

/* The sum; it becomes a mean in the gate. */
static void add(float *summary, const float *k, int64_t dk, int64_t n)
{
    for (int64_t c = 0; c < dk; c++)
        summary[c] = n ? summary[c] + k[c] : k[c];
}

static float score(const float *q, const float *summary, int64_t dk, int64_t n)
{
    return att_dot(q, summary, dk) / (float)n;
}

static att_pages pages(const att_value *params)
{
    return (att_pages){.side = params[BLOCK].i,
                       .budget = params[BLOCKS].i,
                       .width = 1,
                       .own = true,
                       .add = add,
                       .score = score};
}

const att_kernel att_kernel_moba = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "moba",
    .family = "sparse",
    .summary = "the own block, and the blocks whose mean key is nearest the query",
    .source = "Lu et al. 2025, MoBA",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .cost = att_pages_cost,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
