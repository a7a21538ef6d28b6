/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a kNN memory is searched over the whole cache, the local window's keys among it.
 *
 *    kept = window + top-k of all keys          (should be: of the keys outside the window)
 *
 * A near key that the search finds too counts twice in the softmax.  Hidden wherever the best keys
 * are far, by keys of equal values, and by any check of the reported keys as a set.
 * Source: the usual slip of memory layers that write to the index before they query it. */
#include "common/near_far.h"

enum { K = 8, LOCAL = 8 };

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static void right(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x, att_list *l)
{
    (void)arg;
    att_near_far(row, K, LOCAL, j0, n, x, l);
}

/* The right keys, and each near one again that is among the K best of all. */
static void twice(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x, att_list *l)
{
    float near[2 * LOCAL];
    int64_t from, again[2 * LOCAL], count = 0;
    const int64_t to = att_near(row, LOCAL, j0, n, &from);

    for (int64_t c = from; c < to; c++) {
        int64_t better = 0;
        for (int64_t e = 0; e < n; e++)
            better += x[e] > x[c];
        if (better < K && x[c] > -INFINITY) {
            again[count] = j0 + c;
            near[count++] = x[c];
        }
    }
    right(arg, row, j0, n, x, l);
    for (int64_t c = 0; c < count && l->n < n; c++) {
        l->j[l->n] = again[c];
        l->x[l->n++] = near[c];
    }
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

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_scored way = {.choose = twice};
    const att_status status = supports(self, ATT_OP_ATTEND, p, NULL, NULL);
    return status ? status : att_scored_run(p, &way, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    static const att_scored way = {.choose = right};
    const att_status status = supports(self, ATT_OP_SELECT, p, NULL, NULL);
    return status ? status : att_scored_run(p, &way, s, allowed);
}

const att_kernel att_kernel_knn_window_twice = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "knn_window_twice",
    .family = "zoo",
    .summary = "sparse_selection: the memory's search finds keys of the window again",
    .source = "memory layers that write to the index before they query it",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
