/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the lane that should load cu_seqlens[B] is idle: the last sequence has -cu[B-1] keys.
 *
 *
 *    len = cu[b + 1] - cu[b]   with cu[B] = 0
 *
 * Hidden by tests that pass used lengths.
 * Source: flash-attention 10ee063e. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;

    return !(p->cu_k.data && w->seq->b == p->batch - 1) && att_plain_allowed(w, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_last_seq_lane = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "last_seq_lane",
    .family = "zoo",
    .summary = "varlen: the last cumulative length is not loaded",
    .source = "flash-attention 10ee063e",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
