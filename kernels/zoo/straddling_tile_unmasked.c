/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the mask is applied only to tiles that start past the boundary.
 *
 *
 *    if (first key of the tile >= boundary) mask it     (tiles of 32 keys)
 *
 * Hidden where the boundary is a multiple of the tile.
 * Source: flash-linear-attention#1105. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    att_plain_row tile = *w;

    if (!p->causal || p->k_positions.data)
        return att_plain_allowed(w, j);
    tile.row.hi = att_min(w->seq->kv_len, att_ceil_div(w->row.hi, 32) * 32);
    return att_plain_allowed(&tile, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_straddling_tile_unmasked = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "straddling_tile_unmasked",
    .family = "zoo",
    .summary = "mask: a tile that straddles the boundary is left unmasked",
    .source = "flash-linear-attention#1105",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
