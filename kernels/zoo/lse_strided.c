/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the LSE is stored without its strides.
 *
 *
 *    lse[(b H + h) Sq + i]
 *
 * Hidden by a contiguous LSE.
 * Source: vllm#22003, flash-attention#2388. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    att_rules rules = *w->rules;
    att_problem p = *rules.p;
    att_plain_row own = *w;

    p.lse.stride[3] = 1;
    p.lse.stride[2] = p.lse.shape[3];
    p.lse.stride[1] = p.lse.shape[2] * p.lse.shape[3];
    rules.p = &p;
    own.rules = &rules;
    att_plain_finish(&own, empty, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_lse_strided = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "lse_strided",
    .family = "zoo",
    .summary = "stride: LSE written as if contiguous",
    .source = "vllm#22003, flash-attention#2388",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
