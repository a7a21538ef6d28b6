/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a page's score takes the maxima alone; a negative query channel needs the minima.
 *
 *    score = sum_c q_c max_c                  (contract: sum_c max(q_c min_c, q_c max_c))
 *
 * Hidden where keys are symmetric and wide: the ranking is about right.
 * Source: typical of a bound written for positive queries. */
#include "common/pages.h"

static const att_param PARAMS[] = {{.name = "page",
                                    .type = ATT_PARAM_INT,
                                    .fallback = "4",
                                    .domain = "1:65536",
                                    .help = "keys a page"},
                                   {.name = "pages",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "pages",
                                    .fallback = "2",
                                    .domain = "1:1048576",
                                    .help = "pages kept a row"},
                                   {0}};

static void add(float *summary, const float *k, int64_t dk, int64_t n)
{
    for (int64_t c = 0; c < dk; c++)
        summary[c] = n == 0 || k[c] > summary[c] ? k[c] : summary[c];
}

static float score(const float *q, const float *summary, int64_t dk, int64_t n)
{
    (void)n;
    return att_dot(q, summary, dk);
}

static att_pages pages(const att_value *params)
{
    return (att_pages){
        .side = params[0].i, .budget = params[1].i, .width = 1, .add = add, .score = score};
}

const att_kernel att_kernel_quest_maxima_alone = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quest_maxima_alone",
    .family = "zoo",
    .summary = "sparse_selection: page scores from the maxima, whatever the query's sign",
    .source = "typical of a bound written for positive queries",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
