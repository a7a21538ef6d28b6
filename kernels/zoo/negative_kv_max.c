/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: where the mask hides every key, the scan for the last visible one ends a tile below zero.
 *
 *
 *    empty iff bound == 0               (bound = -tile after the scan: 0 / 0)
 *
 * Hidden where every row of the mask opens a key.
 * Source: llama.cpp#15321. */
#include "common/plain.h"

static bool masked(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    const int64_t b = w->seq->b, h = w->row.h, i = w->row.i;

    return (p->mask.data &&
            !((const uint8_t *)p->mask.data)[att_broadcast_at(&p->mask, b, h, i, j)]) ||
           (p->bias.data && att_load(p->bias.data, p->bias.dtype,
                                     att_broadcast_at(&p->bias, b, h, i, j)) == -INFINITY);
}

/* End of the last tile of 64 keys that the mask leaves open. */
static int64_t bound_of(const att_plain_row *w)
{
    int64_t tile = att_ceil_div(w->seq->kv_len, 64) - 1;

    for (; tile >= 0; tile--)
        for (int64_t j = tile * 64; j < att_min(w->seq->kv_len, tile * 64 + 64); j++)
            if (!masked(w, j))
                return tile * 64 + 64;
    return tile * 64; /* meant: 0 */
}

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const att_problem *p = w->rules->p;

    if ((p->mask.data || p->bias.data) && w->seq->kv_len > 0 && bound_of(w) < 0)
        att_plain_finish(w, false, 0.0f, sum);
    else
        att_plain_finish(w, empty, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_negative_kv_max = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "negative_kv_max",
    .family = "zoo",
    .summary = "tile_tail: the bound of a row that the mask hides whole is -tile",
    .source = "llama.cpp#15321",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
