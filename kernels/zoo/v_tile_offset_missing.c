/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: every tile of 64 value columns is stored at column 0.
 *
 *
 *    out[0 .. 64) for every tile
 *
 * Hidden where Dv <= 64.
 * Source: flash-linear-attention#1031. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const int64_t dv = w->rules->p->value_dim;

    for (int64_t d = 64; d < dv; d++)
        w->o[d % 64] = w->o[d];
    att_plain_finish(w, empty, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_v_tile_offset_missing = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "v_tile_offset_missing",
    .family = "zoo",
    .summary = "tile_tail: the second tile of V columns is stored at column 0",
    .source = "flash-linear-attention#1031",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
