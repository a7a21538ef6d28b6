/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the key whose weight crosses p is left out, as in cumsum(w) <= p.
 *
 *    kept: the most keys of weight <= p together            (contract: the fewest that reach p)
 *
 * Hidden by p near 1 and flat rows, where the last key weighs nothing.
 * Source: typical of nucleus masks; samplers shift the mask by one for it. */
#include "common/choose.h"
#include "common/scored.h"

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "p",
                                    .type = ATT_PARAM_REAL,
                                    .fallback = "0.8",
                                    .domain = "0:1",
                                    .help = "softmax weight to reach"},
                                   {.name = "least",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "1",
                                    .domain = "1:1073741824",
                                    .help = "keys kept a row however few reach p"},
                                   {0}};

/* How many keys weigh p together at most: the largest is looked for again and again. */
static int64_t how_many(const float *x, float *seen, int64_t n, double p)
{
    float top = -INFINITY;
    double all = 0, have = 0;
    int64_t k = 0;

    for (int64_t c = 0; c < n; c++)
        top = x[c] > top ? x[c] : top;
    for (int64_t c = 0; c < n; c++) {
        seen[c] = expf(x[c] - top);
        all += (double)seen[c];
    }
    for (; k < n; k++) {
        int64_t best = 0;
        for (int64_t c = 1; c < n; c++)
            best = seen[c] > seen[best] ? c : best;
        have += (double)seen[best];
        if (have > p * all)
            break;
        seen[best] = -1.0f;
    }
    return k;
}

static void choose(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l)
{
    const att_value *v = arg;
    const int64_t k = v[0].f < 1 ? att_max(v[1].i, how_many(x, l->x, n, v[0].f)) : n;

    (void)row;
    l->n = att_choose(x, n, j0, k, l->j, l->x);
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
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

const att_kernel att_kernel_topp_stops_short = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "topp_stops_short",
    .family = "zoo",
    .summary = "sparse_selection: the key that crosses p is not kept",
    .source = "typical of nucleus masks",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
