/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the causal limit is evaluated once per group of 4 query rows; three of them see the future.
 *
 *
 *    keep iff j <= (i | 3) + Skv - Sq
 *
 * Hidden by loose thresholds where Sq << Skv.
 * Source: pytorch#195910. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    att_plain_row last = *w;

    if (!p->causal || p->causal == ATT_CAUSAL_POSITIONS || p->k_positions.data)
        return att_plain_allowed(w, j);
    last.row.hi = att_min(w->seq->kv_len, att_max(0, att_add_clamped(w->row.position | 3, 1)));
    return att_plain_allowed(&last, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_causal_per_4_rows = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "causal_per_4_rows",
    .family = "zoo",
    .summary = "mask: causal limit taken once per four rows",
    .source = "pytorch#195910",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
