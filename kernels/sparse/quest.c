/* SPDX-License-Identifier: Apache-2.0 */
/* Quest: pages of keys chosen by an upper bound of their logits.
 *
 *   score(i, P) = sum_c max(q_ic min_{j in P} k_jc, q_ic max_{j in P} k_jc)  >=  q_i . k_j, j in P
 *   kept: the `pages` pages of the largest scores
 *
 * Why: each query needs other tokens, so nothing is evicted; a page's minima and maxima, a channel
 * at a time, tell cheaply which pages may hold a large logit.
 * Bound: exact on its own keys.  O(S / page) scores a row and pages x page keys; the cache holds
 * all tokens and 2 Dk floats a page.
 * Source: Tang et al. 2024, "Quest: query-aware sparsity for efficient long-context LLM inference".
 */
#include "common/pages.h"

enum { PAGE, PAGES };

static const att_param PARAMS[] = {{.name = "page",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "16",
                                    .domain = "1:65536",
                                    .levels = "4 16",
                                    .help = "keys a page"},
                                   {.name = "pages",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "pages",
                                    .fallback = "16",
                                    .domain = "1:1048576",
                                    .levels = "1 4 16",
                                    .help = "pages kept a row"},
                                   {0}};

/* Minima, then maxima.  A NaN stays in both. */
static void add(float *summary, const float *k, int64_t dk, int64_t n)
{
    float *low = summary, *high = summary + dk;

    for (int64_t c = 0; c < dk; c++) {
        low[c] = n == 0 || !(k[c] >= low[c]) ? (n && isnan(low[c]) ? low[c] : k[c]) : low[c];
        high[c] = n == 0 || !(k[c] <= high[c]) ? (n && isnan(high[c]) ? high[c] : k[c]) : high[c];
    }
}

static float score(const float *q, const float *summary, int64_t dk, int64_t n)
{
    const float *low = summary, *high = summary + dk;
    float sum = 0.0f;

    (void)n;
    for (int64_t c = 0; c < dk; c++)
        sum += q[c] * (q[c] < 0 ? low[c] : high[c]);
    return sum;
}

static att_pages pages(const att_value *params)
{
    return (att_pages){
        .side = params[PAGE].i, .budget = params[PAGES].i, .width = 2, .add = add, .score = score};
}

const att_kernel att_kernel_quest = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quest",
    .family = "sparse",
    .summary = "pages whose channel-wise minima and maxima promise the largest logits",
    .source = "Tang et al. 2024, Quest",
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
