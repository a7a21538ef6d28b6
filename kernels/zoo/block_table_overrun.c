/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a length beyond the block table's capacity is believed; entries past its end are pages.
 *
 *    page = table[b][j / page_size]      without  len <= pages * page_size
 *
 * Hidden by lengths that are true.
 * Source: flash-attention#2711. */
#include "common/plain.h"

#define MORE 256 /* keys beyond those stated, for which there is scratch */

/* The longest length, as far as scratch goes. */
static int64_t longest(const att_problem *p)
{
    int64_t n = p->kv_len;
    for (int64_t b = 0; b < p->batch; b++)
        n = att_max(n, att_i32_at(&p->kv_lengths, b));
    return n;
}

static att_status plan_far(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_plan *out)
{
    att_problem far = *p;
    (void)self, (void)op, (void)params;
    far.kv_len += MORE;
    return att_plain_plan(&far, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem far = *p;

    (void)self;
    if (p->block_table.data && p->kv_lengths.data)
        far.kv_len = longest(p);
    return far.kv_len > p->kv_len + MORE ? ATT_INVALID : att_plain_attend(&far, &way, s);
}

const att_kernel att_kernel_block_table_overrun = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "block_table_overrun",
    .family = "zoo",
    .summary = "kv_cache: a length beyond the block table is believed",
    .source = "flash-attention#2711",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan_far,
    .attend = attend,
};
