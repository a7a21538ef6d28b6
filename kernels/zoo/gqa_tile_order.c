/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: key/value heads are tiled over the query heads instead of repeated.
 *
 *
 *    kv head = h % Hkv        (contract: h / (Hq / Hkv))
 *
 * Hidden by MHA and MQA.
 * Source: onnx#7274. */
#include "common/plain.h"

static int64_t kv_head(const att_problem *p, int64_t h)
{
    return h % p->heads_kv;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.kv_head = kv_head};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_gqa_tile_order = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gqa_tile_order",
    .family = "zoo",
    .summary = "head_mapping: key/value heads tiled instead of grouped",
    .source = "onnx#7274",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
