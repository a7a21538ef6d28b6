/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the running maximum starts at half of the lowest f16; logits below it vanish.
 *
 *
 *    m_0 = -32752             (contract: -inf)
 *
 * Hidden by logits of ordinary size.
 * Source: llama.cpp#13090. */
#include "common/plain.h"

static float start(void)
{
    return -32752.0f;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.start = start};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_max_init_half = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "max_init_half",
    .family = "zoo",
    .summary = "softmax_stability: the running maximum starts at -32752",
    .source = "llama.cpp#13090",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
