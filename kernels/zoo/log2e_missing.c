/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: exp2 takes the place of exp, but the scale is not multiplied by log2(e).
 *
 *
 *    p = 2^(s - m)
 *
 * Hidden by q = 0 and by a single key.
 * Source: flashinfer#787. */
#include "common/plain.h"

static float weight(float x)
{
    return exp2f(x);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.weight = weight};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_log2e_missing = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "log2e_missing",
    .family = "zoo",
    .summary = "scale: exp2 without log2(e) in the scale",
    .source = "flashinfer#787",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
