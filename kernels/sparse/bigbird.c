/* SPDX-License-Identifier: Apache-2.0 */
/* BigBird attention: blocks near the query's own, blocks drawn at random, and global first blocks
 * that everyone sees and whose queries see everyone.
 *
 *   kept(i, j):  |P - J| <= window  or  J in R(h, P)  or  J < global  or  0 <= P < global
 *   P = floor(p_i / block), J = floor(j / block), P = -1 before the first key
 *   R(h, P): `random` different blocks of the n that begin before the last key which length,
 *            causality and the right window leave; att_draw_set(draw, h, P, n, random)
 *
 * Why: random edges make the graph of blocks an expander, where any token reaches any other in few
 * layers at O(S) pairs.  The draws depend on nothing but `draw`, head and block, so decoding
 * repeats prefill; one may fall on a block that is kept anyway.
 * Bound: exact on its own keys (that of common/rows.h); only they are read.
 * Cost: O(S block (2 window + 1 + random + global)) pairs; a cache of all tokens.
 * Source: Zaheer et al. 2020, "Big Bird: transformers for longer sequences" (ITC, blocks of 64). */
#include "common/draw.h"
#include "common/listed.h"

#define MOST 64 /* random blocks */

enum { BLOCK, WINDOW, RANDOM, GLOBAL, DRAW };

static const att_param PARAMS[] = {
    {.name = "block",
     .type = ATT_PARAM_INT,
     .unit = "keys",
     .fallback = "64",
     .domain = "1:65536",
     .levels = "4 16 64",
     .help = "side of a block"},
    {.name = "window",
     .type = ATT_PARAM_INT,
     .role = ATT_ROLE_BUDGET,
     .unit = "blocks",
     .fallback = "1",
     .domain = "0:1048576",
     .levels = "0 1",
     .help = "blocks each side of the own, beside it"},
    {.name = "random",
     .type = ATT_PARAM_INT,
     .unit = "blocks",
     .fallback = "3",
     .domain = "0:64",
     .levels = "0 1 3",
     .help = "blocks drawn for each head and block of queries"},
    {.name = "global",
     .type = ATT_PARAM_INT,
     .unit = "blocks",
     .fallback = "2",
     .domain = "0:1048576",
     .levels = "0 1 2",
     .help = "first blocks, which all queries see and which see all"},
    {.name = "draw",
     .type = ATT_PARAM_INT,
     .role = ATT_ROLE_SEED,
     .unit = "",
     .fallback = "1",
     .domain = "0:1073741824",
     .help = "of the draws"},
    {0}};

/* What a row keeps, block by block. */
typedef struct blocks {
    int64_t own, first, last, drawn; /* those of its range: first .. last */
    int64_t draw[MOST];
    bool all;
} blocks;

static blocks blocks_of(const att_value *v, const att_row *row)
{
    const int64_t side = v[BLOCK].i;
    blocks k = {.own = row->position >= 0 ? row->position / side : -1,
                .first = row->lo / side,
                .last = (row->hi - 1) / side};

    k.all = k.own >= 0 && k.own < v[GLOBAL].i;
    if (row->lo < row->hi)
        k.drawn = att_draw_set(v[DRAW].i, row->h, k.own, k.last + 1, v[RANDOM].i, k.draw);
    else
        k.last = k.first - 1;
    return k;
}

static bool kept(const att_value *v, const blocks *k, int64_t kb)
{
    const int64_t apart = k->own > kb ? k->own - kb : kb - k->own;
    bool any = k->all || kb < v[GLOBAL].i || apart <= v[WINDOW].i;

    for (int64_t r = 0; r < k->drawn && !any; r++)
        any = k->draw[r] == kb;
    return any;
}

static int64_t fill(const void *arg, const att_row *row, int64_t *j)
{
    const att_value *v = arg;
    const blocks k = blocks_of(v, row);
    const int64_t side = v[BLOCK].i;
    int64_t n = 0;

    for (int64_t kb = k.first; kb <= k.last; kb++)
        for (int64_t c = att_max(row->lo, kb * side);
             kept(v, &k, kb) && c < att_min(row->hi, (kb + 1) * side); c++)
            j[n++] = c;
    return n;
}

const att_kernel att_kernel_bigbird = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "bigbird",
    .family = "sparse",
    .summary = "blocks near the query's, blocks drawn at random, and global first blocks",
    .source = "Zaheer et al. 2020, Big Bird",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_listed_supports,
    .plan = att_listed_plan,
    .cost = att_listed_cost,
    .attend = att_listed_attend,
    .select = att_listed_select,
};
