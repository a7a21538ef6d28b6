/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a page's minima and maxima are written when the page is opened, and never again.
 *
 *    min_c = max_c = k_c of the page's first key          (contract: over all its keys)
 *
 * Hidden by prefill, where pages are summarised whole; shows once keys are appended one by one.
 * Source: typical of page metadata kept beside a growing cache. */
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
    for (int64_t c = 0; c < dk && n == 0; c++)
        summary[c] = summary[dk + c] = k[c];
}

static float score(const float *q, const float *summary, int64_t dk, int64_t n)
{
    float sum = 0.0f;

    (void)n;
    for (int64_t c = 0; c < dk; c++)
        sum += q[c] * (q[c] < 0 ? summary[c] : summary[dk + c]);
    return sum;
}

static att_pages pages(const att_value *params)
{
    return (att_pages){
        .side = params[0].i, .budget = params[1].i, .width = 2, .add = add, .score = score};
}

const att_kernel att_kernel_quest_page_stale = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quest_page_stale",
    .family = "zoo",
    .summary = "sparse_selection: page minima and maxima of the first key alone",
    .source = "typical of page metadata beside a growing cache",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
