/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the mean key of a block divides by the block's size, though its last rows are padding.
 *
 *    gate = q . (sum k) / block           (contract: / number of keys)
 *
 * Hidden by lengths that are multiples of the block: gates of whole blocks are right.
 * Source: typical of a pooled reshape to [blocks, block, Dk] of a padded buffer. */
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

/* Pads to the next multiple of 4. */
static float score(const float *q, const float *summary, int64_t dk, int64_t n)
{
    return att_dot(q, summary, dk) / (float)(att_ceil_div(n, 4) * 4);
}

static att_pages pages(const att_value *params)
{
    return (att_pages){.side = params[0].i,
                       .budget = params[1].i,
                       .width = 1,
                       .own = true,
                       .add = add,
                       .score = score};
}

const att_kernel att_kernel_moba_mean_of_padding = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "moba_mean_of_padding",
    .family = "zoo",
    .summary = "sparse_selection: block means over padded rows",
    .source = "typical of pooling a padded buffer",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
