/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a 4-D mask is indexed by the batch modulo its heads; the head is ignored.
 *
 *
 *    m = mask[b % Hm]
 *
 * Hidden by masks that broadcast over heads.
 * Source: llama.cpp#14505. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_rules rules = *w->rules;
    att_problem p = *rules.p;

    if (p.mask.data && p.mask.shape[1] > 1) {
        const int64_t head = w->seq->b % p.mask.shape[1];
        p.mask.data = (uint8_t *)p.mask.data + head * p.mask.stride[1];
        p.mask.shape[1] = 1;
    }
    rules.p = &p;
    return att_pair_allowed(&rules, w->seq, &w->row, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_mask_head_dim_ignored = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mask_head_dim_ignored",
    .family = "zoo",
    .summary = "mask: a mask per head is read by batch alone",
    .source = "llama.cpp#14505",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
