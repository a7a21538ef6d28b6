/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: without a causal mask the last tile is not cut: its pad lanes, of score 0, enter the sum.
 *
 *
 *    l = sum e^(s_j - m) + pads e^(0 - m)     (tiles of 16 keys)
 *
 * Hidden by thresholds on the mean square from some hundred keys on.
 * Source: flashinfer#3717. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const int64_t n = w->seq->kv_len, pads = att_ceil_div(n, 16) * 16 - n;
    const bool cut = w->rules->p->causal || w->rules->pairwise;

    att_plain_finish(w, empty, top, cut || empty ? sum : sum + (float)pads * expf(0.0f - top));
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_pad_lanes_in_denominator = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "pad_lanes_in_denominator",
    .family = "zoo",
    .summary = "tile_tail: lanes behind the last key enter the denominator",
    .source = "flashinfer#3717",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
