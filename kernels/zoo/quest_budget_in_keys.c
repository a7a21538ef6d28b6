/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the budget, given in pages, is read as keys: a page and a bit are kept where four were
 * asked.
 *
 *    kept: max(1, pages / page) pages                       (contract: pages)
 *
 * Hidden by small budgets, which keep one page either way, and by tests of what is kept alone.
 * Source: typical of budgets that change their unit between library and kernel. */
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
    for (int64_t c = 0; c < dk; c++) {
        summary[c] = n == 0 || k[c] < summary[c] ? k[c] : summary[c];
        summary[dk + c] = n == 0 || k[c] > summary[dk + c] ? k[c] : summary[dk + c];
    }
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
    return (att_pages){.side = params[0].i,
                       .budget = att_max(1, params[1].i / params[0].i),
                       .width = 2,
                       .add = add,
                       .score = score};
}

const att_kernel att_kernel_quest_budget_in_keys = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quest_budget_in_keys",
    .family = "zoo",
    .summary = "sparse_selection: a budget of pages read as one of keys",
    .source = "typical of a unit lost between library and kernel",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
