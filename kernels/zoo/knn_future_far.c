/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a kNN memory that holds the whole cache is searched without causality.
 *
 *    far keys: all outside the window           (should be: all before the window)
 *
 * A chunk of queries is written to the memory before it is looked up, so a query finds tokens of
 * its own chunk that come after it, where they lie further away than the window.  Hidden by
 * decoding, by chunks within the window, and by whatever the kernel says of its keys.
 * Source: the usual slip of memory layers under chunked prefill. */
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

/* The window alone keeps to causality. */
static void leaking(const void *arg, const att_row *row, int64_t j0, int64_t n, float *x,
                    att_list *l)
{
    int64_t from, kept = 0;
    const int64_t to = att_near(row, LOCAL, j0, n, &from);
    (void)from;

    right(arg, row, j0, n, x, l);
    for (int64_t c = 0; c < l->n; c++) {
        if (l->j[c] > row->position && l->j[c] < j0 + to)
            continue;
        l->j[kept] = l->j[c];
        l->x[kept++] = l->x[c];
    }
    l->n = kept;
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
    static const att_scored wrong = {.choose = leaking}, way = {.choose = right};
    const att_status status = supports(self, ATT_OP_ATTEND, p, NULL, NULL);
    att_problem all = *p;

    if (status != ATT_OK || p->causal != ATT_CAUSAL_BOTTOM_RIGHT || p->q_positions.data)
        return status ? status : att_scored_run(p, &way, s, NULL);
    all.causal = ATT_CAUSAL_NONE; /* its positions are the same */
    return att_scored_run(&all, &wrong, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    static const att_scored way = {.choose = right};
    const att_status status = supports(self, ATT_OP_SELECT, p, NULL, NULL);
    return status ? status : att_scored_run(p, &way, s, allowed);
}

const att_kernel att_kernel_knn_future_far = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "knn_future_far",
    .family = "zoo",
    .summary = "sparse_selection: the memory's search finds keys of the future",
    .source = "memory layers under chunked prefill",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
