/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the causal limit of a block of rows is not cut to the number of key tiles; the keys past the
 * end get weight 0.
 *
 *
 *    tiles = ceil((32 (i / 32 + 1) + Skv - Sq) / 32)      (contract: at most ceil(Skv / 32))
 *
 * Hidden where Sq is a multiple of 32 and where what follows is finite.
 * Source: mlx#1999. */
#include "common/plain.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    const att_problem *p = w->rules->p;
    const int64_t bottom = p->causal == ATT_CAUSAL_BOTTOM_RIGHT ? w->seq->kv_len - w->seq->q_len
                                                                : 0;
    const int64_t end = att_ceil_div(w->row.i / 32 * 32 + 32 + bottom, 32) * 32;

    att_plain_mix(w, top, sum);
    if (!p->causal || p->causal == ATT_CAUSAL_POSITIONS || p->block_table.data)
        return;
    for (int64_t j = w->seq->kv_len; j < end; j++) {
        att_plain_key(w, &p->v, j, w->v);
        att_axpy(0.0f, w->v, p->value_dim, w->o);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_causal_limit_unclamped = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "causal_limit_unclamped",
    .family = "zoo",
    .summary = "tile_tail: causal tiles go on behind the last key",
    .source = "mlx#1999",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
