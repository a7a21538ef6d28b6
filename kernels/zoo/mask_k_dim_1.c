/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a mask of one column is read as if it had one column a key.
 *
 *
 *    mask[i, j] at i * row + j          (contract: at i * row, broadcast over j)
 *
 * Hidden by masks of full size.
 * Source: pytorch#128816. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    const att_tensor *m = &p->mask;
    att_plain_row own = *w;
    att_rules rules = *w->rules;
    att_problem rest = *p;

    if (!m->data || m->shape[3] != 1)
        return att_plain_allowed(w, j);
    rest.mask.data = NULL;
    rules.p = &rest;
    own.rules = &rules;
    if (!att_plain_allowed(&own, j))
        return false;
    const int64_t at = att_broadcast_at(m, w->seq->b, w->row.h, w->row.i, 0);
    return ((const uint8_t *)m->data)[at + j] != 0;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_mask_k_dim_1 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mask_k_dim_1",
    .family = "zoo",
    .summary = "tile_tail: a mask of one column is read past its end",
    .source = "pytorch#128816",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
