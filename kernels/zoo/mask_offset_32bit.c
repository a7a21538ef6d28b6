/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a mask's row offset is a product of 32 bits.
 *
 *
 *    m = mask + (uint32_t)(i * row_stride)
 *
 * Hidden by every mask of less than 2^32 elements.
 * Source: pytorch#187225, llama.cpp#23610, mlx#2894. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_rules rules = *w->rules;
    att_problem p = *rules.p;

    if (p.mask.data && p.mask.shape[2] > 1 && p.mask.stride[2] > 0) {
        const uint32_t at = (uint32_t)w->row.i * (uint32_t)p.mask.stride[2];
        p.mask.data = (uint8_t *)p.mask.data + at;
        p.mask.shape[2] = 1;
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

const att_kernel att_kernel_mask_offset_32bit = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mask_offset_32bit",
    .family = "zoo",
    .summary = "int_overflow: row offsets of a mask wrap at 2^32",
    .source = "pytorch#187225, llama.cpp#23610, mlx#2894",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
