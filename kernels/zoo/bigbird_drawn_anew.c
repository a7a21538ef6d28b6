/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: random blocks are drawn anew in each call, from a counter that is never set back.
 *
 *    R(h, P) = draw(seed + calls, h, P)            (contract: draw(seed, h, P))
 *
 * Hidden by quality measures: any random blocks do about as well.  Decoding sees other keys than
 * prefill did, and what is reported is not what was attended to.
 * Source: typical of a generator with a state. */
#include "common/draw.h"
#include "common/listed.h"

#define MOST 64

enum { BLOCK, WINDOW, RANDOM, GLOBAL, DRAW };

#define NUMBER(NAME, FALLBACK, DOMAIN)                                                             \
    {                                                                                              \
        .name = NAME, .type = ATT_PARAM_INT, .fallback = FALLBACK, .domain = DOMAIN,               \
        .help = "as bigbird's"                                                                     \
    }

static const att_param PARAMS[] = {
    NUMBER("block", "4", "1:65536"),     NUMBER("window", "0", "0:1048576"),
    NUMBER("random", "2", "0:64"),       NUMBER("global", "1", "0:1048576"),
    NUMBER("draw", "1", "0:1073741824"), {0}};

static int64_t calls;

static int64_t fill(const void *arg, const att_row *row, int64_t *j)
{
    const att_value *v = arg;
    const int64_t side = v[BLOCK].i, own = row->position >= 0 ? row->position / side : -1;
    int64_t draw[MOST], n = 0, drawn = 0;

    if (row->lo < row->hi)
        drawn = att_draw_set(v[DRAW].i + calls, row->h, own, att_ceil_div(row->hi, side),
                             v[RANDOM].i, draw);
    for (int64_t c = row->lo; c < row->hi; c++) {
        const int64_t kb = c / side, apart = own > kb ? own - kb : kb - own;
        bool any = (own >= 0 && own < v[GLOBAL].i) || kb < v[GLOBAL].i || apart <= v[WINDOW].i;
        for (int64_t r = 0; r < drawn; r++)
            any |= draw[r] == kb;
        if (any)
            j[n++] = c;
    }
    return n;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    calls++;
    return att_listed_attend(self, p, s);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    calls++;
    return att_listed_select(self, p, s, allowed);
}

const att_kernel att_kernel_bigbird_drawn_anew = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "bigbird_drawn_anew",
    .family = "zoo",
    .summary = "sparse_selection: random blocks are drawn anew in each call",
    .source = "typical of a generator with a state",
    .class_ = ATT_APPROX,

    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_listed_supports,
    .plan = att_listed_plan,
    .attend = attend,
    .select = select_pairs,
};
