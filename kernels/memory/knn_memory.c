/* SPDX-License-Identifier: Apache-2.0 */
/* kNN memory: the keys near the query, and of all the others those nearest to it by their logits.
 *
 *   kept(i, j):  |p_i - j| < local,  or s_ij is among the k largest of the other keys of row i
 *                (ties: the lower key first);     one softmax over both
 *
 * Why: a layer that looks up its far context instead of attending to it: the memory may be of any
 * length, and lie wherever a search can reach it.  Here it is the far part of the same K and V,
 * so it works in place of dense attention; the search is exact (knn_ivf's is not).
 * Bound: exact on its own keys, |o - o_full| <= 2 (1 - kept mass) max|v|; which keys they are is
 * decided on f32 logits.  O(S^2 Dk + S (local + k) Dv); the KV cache is kept whole.
 * Source: Wu et al. 2022, "Memorizing transformers"; Borgeaud et al. 2022 retrieve chunks. */
#include "common/near_far.h"

enum { K, LOCAL };

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "k",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "32",
                                    .domain = "1:1073741824",
                                    .levels = "1 8 32",
                                    .help = "far keys kept a row, those of the largest logits"},
                                   {.name = "local",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "128",
                                    .domain = "0:1073741824",
                                    .levels = "0 3 128",
                                    .help = "near keys, the own key among them"},
                                   {0}};

static void choose(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l)
{
    const att_value *params = arg;
    att_near_far(row, params[K].i, params[LOCAL].i, j0, n, x, l);
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    if (p->k_positions.data)
        return att_refuse(why, ATT_UNSUPPORTED, "given key positions: nearness counts keys");
    return att_accept_check(&ACCEPT, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_scored_plan(p, out);
}

static att_status run(const att_kernel *self, att_op op, const att_problem *p, const att_scratch *s,
                      uint8_t *allowed)
{
    const att_scored way = {.choose = choose, .arg = s->params};
    const att_status status = supports(self, op, p, s->params, NULL);
    return status ? status : att_scored_run(p, &way, s, allowed);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return run(self, ATT_OP_ATTEND, p, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return run(self, ATT_OP_SELECT, p, s, allowed);
}

static int64_t kept(const void *arg, const att_row *row)
{
    const att_value *params = arg;
    int64_t from;
    const int64_t all = att_row_count(row);
    const int64_t near = att_near(row, params[LOCAL].i, row->lo, all, &from) - from;
    return near + att_min(all - near, params[K].i);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return att_scored_cost(p, kept, params, out);
}

const att_kernel att_kernel_knn_memory = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "knn_memory",
    .family = "memory",
    .summary = "near keys, and the k far ones of the largest logits, in one softmax",
    .source = "Wu et al. 2022, Memorizing transformers",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
