/* SPDX-License-Identifier: Apache-2.0 */
/* Top-p (nucleus) attention: softmax over the fewest keys of the largest weights whose weight
 * together reaches p.
 *
 *   kept(i): the first n of row i's keys by falling logit (ties: the lower key first), n the least
 *            with sum of their softmax weights >= p, and at least `least` (or all)
 *
 * Why: a fixed budget keeps too much of a sharp row and too little of a flat one; this is the upper
 * bound of methods that aim at a mass: |o - o_full| <= 2 (1 - p) max|v|.  A sink logit counts for
 * nothing.  A row whose weights are not numbers keeps all.
 * Bound: exact on its own keys; which they are is decided on f32 logits.  O(S^2 Dk + S n Dv), and
 * O(32 S) a row to find the threshold by bisection on its bits.  It reads all K; a cache of all
 * tokens.
 * Source: Holtzman et al. 2019, "The curious case of neural text degeneration" (nucleus); Lin et
 * al. 2025, "Twilight: adaptive attention sparsity with hierarchical top-p pruning". */
#include "common/choose.h"
#include "common/scored.h"

enum { P, LEAST };

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "p",
                                    .type = ATT_PARAM_REAL,
                                    .unit = "share",
                                    .fallback = "0.95",
                                    .domain = "0:1",
                                    .levels = "0.5 0.95 1",
                                    .help = "softmax weight to reach"},
                                   {.name = "least",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "1",
                                    .domain = "1:1073741824",
                                    .levels = "1 8",
                                    .help = "keys kept a row however few reach p"},
                                   {0}};

/* Of x[0..n), ordered integers with these weights: the weight of those >= least. */
static double weight_from(const float *x, const float *weight, int64_t n, int64_t least)
{
    double sum = 0;
    for (int64_t c = 0; c < n; c++)
        sum += att_choose_key_at(x, c) >= least ? (double)weight[c] : 0;
    return sum;
}

/* How many of x's largest reach the weight `goal`.  x is ordered. */
static int64_t how_many(const float *x, const float *weight, int64_t n, double goal)
{
    int64_t lo = INT32_MIN, hi = (int64_t)INT32_MAX + 1, above = 0;

    while (hi - lo > 1) { /* weight(lo) >= goal > weight(hi) */
        const int64_t mid = lo + (hi - lo) / 2;
        if (weight_from(x, weight, n, mid) >= goal)
            lo = mid;
        else
            hi = mid;
    }
    double have = weight_from(x, weight, n, hi);
    for (int64_t c = 0; c < n; c++)
        above += att_choose_key_at(x, c) >= hi;
    for (int64_t c = 0; c < n && have < goal; c++) /* of those equal to lo, the first few */
        if (att_choose_key_at(x, c) == lo) {
            have += (double)weight[c];
            above++;
        }
    return above;
}

static void choose(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                   att_list *l)
{
    const att_value *v = arg;
    const int64_t padded = att_round_up(n, ATT_W);
    float top = -INFINITY;
    double all = 0;
    int64_t k = n;

    (void)row;
    for (int64_t c = n; c < padded; c++)
        x[c] = -INFINITY;
    if (n)
        top = att_softmax_top(top, x, padded);
    for (int64_t c = 0; c < n; c++) {
        l->x[c] = x[c] == -INFINITY ? 0.0f : expf(x[c] - top);
        all += (double)l->x[c];
    }
    if (v[P].f < 1 && isfinite(all) && all > 0) {
        att_choose_order(x, padded);
        k = att_max(how_many(x, l->x, n, v[P].f * all), v[LEAST].i);
        for (int64_t c = 0; c < n; c++)
            x[c] = att_choose_number(att_choose_key_at(x, c));
    }
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

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_scored way = {.choose = choose, .arg = s->params};
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_scored_run(p, &way, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    const att_scored way = {.choose = choose, .arg = s->params};
    const att_status status = supports(self, ATT_OP_SELECT, p, s->params, NULL);
    return status ? status : att_scored_run(p, &way, s, allowed);
}

/* Contents decide how many are kept: all of them at most. */
static int64_t kept(const void *arg, const att_row *row)
{
    (void)arg;
    return att_row_count(row);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    return att_scored_cost(p, kept, params, out);
}

const att_kernel att_kernel_topp = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "topp",
    .family = "sparse",
    .summary = "softmax over the fewest keys whose weight together reaches p",
    .source = "Holtzman et al. 2019, nucleus sampling; Lin et al. 2025, Twilight",
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
