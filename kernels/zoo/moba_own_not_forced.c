/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the query's own block takes part in the ranking like any other.
 *
 *    kept: the blocks of the largest gates         (contract: the own block before all others)
 *
 * Hidden by models whose queries lie near their neighbours: the own block often wins.
 * Source: typical of a gate whose +inf for the own block is overwritten by its score. */
#include "common/pages.h"

static const att_param PARAMS[] = {{.name = "block",
                                    .type = ATT_PARAM_INT,
                                    .fallback = "4",
                                    .domain = "1:65536",
                                    .help = "keys a block"},
                                   {.name = "blocks",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "blocks",
                                    .fallback = "2",
                                    .domain = "1:1048576",
                                    .help = "blocks kept a row"},
                                   {0}};

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
    return (att_pages){
        .side = params[0].i, .budget = params[1].i, .width = 1, .add = add, .score = score};
}

const att_kernel att_kernel_moba_own_not_forced = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "moba_own_not_forced",
    .family = "zoo",
    .summary = "sparse_selection: the query's own block is not kept for certain",
    .source = "typical of a gate that overwrites the own block's +inf",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
