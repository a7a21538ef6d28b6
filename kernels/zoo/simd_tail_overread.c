/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: vector decoding loops by 32 keys without a bound.
 *
 *
 *    for (j = 0; j < roundup(Skv, 32); j++)
 *
 * Hidden where Skv is a multiple of 32 and where what follows is zero.
 * Source: pytorch#169222. */
#include "common/plain.h"

/* Decoding alone, on plain problems: as in the bug, other calls take another path. */
static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem far = *p;
    const bool decode = p->q_len <= 2 && !p->mask.data && !p->bias.data && !p->k_positions.data &&
                        !p->cu_k.data && !p->kv_lengths.data && !p->causal && p->window_left < 0 &&
                        p->window_right < 0 && p->kv_len > 0;

    (void)self;
    if (decode)
        far.kv_len = att_ceil_div(p->kv_len, 32) * 32;
    return att_plain_attend(&far, &way, s);
}

static att_status plan_far(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_plan *out)
{
    att_problem far = *p;
    (void)self, (void)op, (void)params;
    far.kv_len += 32;
    return att_plain_plan(&far, out);
}

const att_kernel att_kernel_simd_tail_overread = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "simd_tail_overread",
    .family = "zoo",
    .summary = "tile_tail: reads keys past the last in steps of 32",
    .source = "pytorch#169222",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan_far,
    .attend = attend,
};
