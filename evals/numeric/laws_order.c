/* SPDX-License-Identifier: Apache-2.0 */
/* Order and names do not matter: keys, batch entries and heads may be permuted with all that
 * belongs to them, key/value heads written out once a query head, positions counted from
 * elsewhere. */
#include <stdlib.h>

#include "evals/numeric/laws.h"

static void shuffle(law_case *c, int64_t *at, int64_t n)
{
    att_rng_shuffle(&c->rng, at, (size_t)n, sizeof *at);
}

/* Base and one side whose indices `reorder` changes. */
static att_status reordered(law_case *c, const parity_spec *spec,
                            void (*reorder)(law_case *c, law_side *side))
{
    att_status status = law_base(c, NULL, NULL);
    law_side *side = status == ATT_OK ? law_open(c, spec) : NULL;

    if (!side)
        return status == ATT_OK ? ATT_NO_MEMORY : status;
    reorder(c, side);
    return law_close(c, side, NULL, NULL);
}

static void reorder_keys(law_case *c, law_side *side)
{
    shuffle(c, side->at.j, side->spec.sk);
}

static void reorder_batch(law_case *c, law_side *side)
{
    shuffle(c, side->at.b, side->spec.b);
}

/* Groups among each other, and the query heads of each among themselves. */
static void reorder_heads(law_case *c, law_side *side)
{
    int64_t group = side->spec.hq / side->spec.hkv;

    shuffle(c, side->at.hk, side->spec.hkv);
    for (int64_t g = 0; g < side->spec.hkv; g++) {
        for (int64_t h = 0; h < group; h++)
            side->at.h[g * group + h] = side->at.hk[g] * group + h;
        shuffle(c, side->at.h + g * group, group);
    }
}

static void repeat_heads(law_case *c, law_side *side)
{
    int64_t group = c->spec.hq / c->spec.hkv;

    for (int64_t h = 0; h < side->spec.hkv; h++)
        side->at.hk[h] = h / group;
}

static att_status key_order(law_case *c)
{
    return reordered(c, &c->spec, reorder_keys);
}

static att_status batch_order(law_case *c)
{
    return reordered(c, &c->spec, reorder_batch);
}

static att_status head_order(law_case *c)
{
    return reordered(c, &c->spec, reorder_heads);
}

static att_status gqa_repeat(law_case *c)
{
    parity_spec spec = c->spec;

    spec.hkv = spec.hq;
    return reordered(c, &spec, repeat_heads);
}

static void shift_positions(parity_inputs *in, void *arg)
{
    const int64_t by = *(const int64_t *)arg;
    const att_tensor *of[2] = {&in->given.q_positions, &in->given.k_positions};

    for (int t = 0; t < 2; t++)
        for (int64_t n = 0; of[t]->data && n < of[t]->shape[2] * of[t]->shape[3]; n++)
            ((int64_t *)of[t]->data)[n] += by;
}

static att_status position_shift(law_case *c)
{
    static const int64_t by[] = {1000, -70, (int64_t)1 << 33};
    att_status status = law_base(c, NULL, NULL);

    for (size_t n = 0; status == ATT_OK && n < sizeof by / sizeof *by; n++) {
        int64_t shift = by[n];
        status = law_side_like(c, &c->spec, shift_positions, &shift);
    }
    return status;
}

static void with_keys(parity_spec *s)
{
    law_without_lengths(s);
    law_without_blocks(s);
    law_explicit_positions(s);
}

static void with_batch(parity_spec *s)
{
    law_without_lengths(s);
    if (s->b < 2)
        s->b = 3;
}

static void with_heads(parity_spec *s)
{
    if (s->hkv < 2) {
        s->hq = 6;
        s->hkv = 3;
    }
}

static void with_groups(parity_spec *s)
{
    if (s->hkv == s->hq) {
        s->hkv = s->hkv < 2 ? 2 : s->hkv;
        s->hq = 3 * s->hkv;
    }
}

static void with_positions(parity_spec *s)
{
    s->causal = "pos";
}

const law laws_order[] = {
    {"key_order", "keys in another order give the same", ATT_BINDS_EXACT, LAW_EQUAL, true,
     with_keys, key_order},
    {"batch_order", "sequences in another order give the same", ATT_BINDS_EXACT | ATT_BINDS_APPROX,
     LAW_EQUAL, true, with_batch, batch_order},
    {"head_order", "heads in another order give the same", ATT_BINDS_EXACT, LAW_EQUAL, true,
     with_heads, head_order},
    {"gqa_repeat", "grouped heads equal key/value heads repeated for each query head",
     ATT_BINDS_EXACT, LAW_EQUAL, true, with_groups, gqa_repeat},
    {"position_shift", "all positions moved alike give the same", ATT_BINDS_EXACT, LAW_EQUAL, true,
     with_positions, position_shift},
    {0},
};
