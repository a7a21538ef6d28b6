/* SPDX-License-Identifier: Apache-2.0 */
/* The same rows by other calls: a packed or padded sequence alone, other strides, one query at a
 * time, queries in chunks. */
#include <stdlib.h>

#include "evals/numeric/laws.h"

#define STEPS 12 /* decode steps looked at */
#define ROWS  24 /* at most, in chunks: all sizes fit LAW_SIDES */

/* A side of rows first .. first + rows and the keys up to the last of them (bottom-right causal).
 */
static att_status step(law_case *c, int64_t first, int64_t rows)
{
    parity_spec spec = c->spec;
    int64_t keys = first + rows + spec.sk - spec.sq;

    spec.sq = rows;
    spec.sk = keys > 0 ? keys : 0;
    law_side *side = law_open(c, &spec);
    if (!side)
        return ATT_NO_MEMORY;
    for (int64_t i = 0; i < rows; i++)
        side->at.i[i] = first + i;
    return law_close(c, side, NULL, NULL);
}

static att_status decode(law_case *c)
{
    int64_t n = c->spec.sq, steps = n < STEPS ? n : STEPS;
    att_status status = law_base(c, NULL, NULL);

    for (int64_t t = 0; status == ATT_OK && t < steps; t++) /* first and last among them */
        status = step(c, steps > 1 ? t * (n - 1) / (steps - 1) : 0, 1);
    return status;
}

/* W: the window as a number of keys. */
static att_status chunks(law_case *c)
{
    int64_t n = c->spec.sq, w = c->spec.left >= 1 && c->spec.left < n ? c->spec.left + 1 : 4;
    const int64_t size[] = {1, w - 1, w, w + 1, 2 * w};
    att_status status = law_base(c, NULL, NULL);

    for (size_t s = 0; s < sizeof size / sizeof *size; s++)
        for (int64_t i = 0; status == ATT_OK && i < n && (s == 0 || size[s] > 1); i += size[s])
            status = step(c, i, n - i < size[s] ? n - i : size[s]);
    return status;
}

static void bottom_right(parity_spec *s)
{
    law_without_lengths(s);
    law_without_blocks(s);
    s->causal = "br";
}

static void bottom_right_short(parity_spec *s)
{
    bottom_right(s);
    s->sq = s->sq > ROWS ? ROWS : s->sq;
}

static att_status solo(law_case *c)
{
    att_status status = law_base(c, NULL, NULL);

    for (int64_t b = 0; status == ATT_OK && b < c->spec.b; b++) {
        parity_spec spec = c->spec;
        spec.b = 1;
        spec.sq = c->base->nq[b];
        spec.sk = c->base->nk[b];
        spec.lens = "none";
        spec.store = "dense";
        spec.layout = "bhsd";
        if (spec.sq == 0)
            continue;
        law_side *side = law_open(c, &spec);
        if (!side)
            return ATT_NO_MEMORY;
        side->at.b[0] = b;
        status = law_close(c, side, NULL, NULL);
    }
    return status;
}

static void with_lengths(parity_spec *s)
{
    if (s->b < 2)
        s->b = 3;
    if (parity_is(s->lens, "none"))
        s->lens = "both";
}

static att_status layout(law_case *c)
{
    static const char *const names[] = {"bhsd", "bshd", "padded", "pooled", "reversed", "stepped"};
    int64_t n = parity_is(c->spec.store, "dense") ? 6 : 3; /* packed and paged come in three */
    int64_t first = (int64_t)att_rng_below(&c->rng, (uint64_t)n);
    att_status status = law_base(c, NULL, NULL);
    int sides = 0;

    for (int64_t s = 0; status == ATT_OK && s < n && sides < 3; s++) {
        parity_spec spec = c->spec;
        spec.layout = names[(first + s) % n];
        if (parity_is(spec.layout, c->spec.layout))
            continue;
        status = law_side_like(c, &spec, NULL, NULL);
        sides++;
    }
    return status;
}

const law laws_steps[] = {
    {"solo", "a sequence of a batch equals itself alone", ATT_BINDS_EXACT | ATT_BINDS_APPROX,
     LAW_EQUAL, true, with_lengths, solo},
    {"layout", "other strides give the same", ATT_BINDS_EXACT | ATT_BINDS_APPROX, LAW_EQUAL, true,
     NULL, layout},
    {"decode", "one query at a time gives the same as all at once",
     ATT_BINDS_EXACT | ATT_BINDS_APPROX, LAW_EQUAL, true, bottom_right, decode},
    {"chunks", "queries in chunks of 1, W-1, W, W+1 and 2W give the same",
     ATT_BINDS_EXACT | ATT_BINDS_APPROX, LAW_EQUAL, true, bottom_right_short, chunks},
    {0},
};
