/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: query heads go in tiles of 4 whose first head chooses the key/value head.
 *
 *
 *    kv head = (h - h % 4) / G
 *
 * Hidden where G is a power of two.
 * Source: llama.cpp#19115. */
#include "common/plain.h"

static int64_t kv_head(const att_problem *p, int64_t h)
{
    const int64_t group = p->heads_q / p->heads_kv;

    return (group > 2 ? h - h % 4 : h) / group;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.kv_head = kv_head};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_gqa_pad_crosses_kv = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gqa_pad_crosses_kv",
    .family = "zoo",
    .summary = "head_mapping: head tiles of four cross a key/value head",
    .source = "llama.cpp#19115",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
