/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the query heads of a group are folded into rows, and the window's bound is taken in rows,
 * not in tokens: G times as many keys are loaded and multiplied, then masked.
 *
 * Hidden to every numeric check: the output is right.
 * Source: flashinfer#714. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    const bool open = att_plain_allowed(w, j);
    const int64_t group = p->heads_q / p->heads_kv; /* meant: 1 */
    const int64_t back = att_query_position(p, w->seq, w->row.i) - j;

    if (open || p->window_left < 0 || back < 0 || back >= (p->window_left + 1) * group)
        return open;
    att_plain_key(w, &p->k, j, w->k); /* a tile of the bound: loaded, multiplied, masked */
    att_plain_key(w, &p->v, j, w->v);
    const volatile float masked = att_plain_score(w);
    (void)masked;
    return false;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_group_size_forgotten = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "group_size_forgotten",
    .family = "zoo",
    .summary = "performance_regression: a window's bound lacks the group size, G times the keys",
    .source = "flashinfer#714",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .cost = att_plain_cost,
    .attend = attend,
};
