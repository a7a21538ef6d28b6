/* SPDX-License-Identifier: Apache-2.0 */
/* What a row may not see may not move a bit of it: keys and values after a query, or masked, are
 * made a thousand times larger, and then NaN and Inf.
 *
 * Bitwise, since the contract says "never affects": a leak of one rounding is a leak (a scale or a
 * maximum shared over a block of keys).  Rows that see any changed key are not spoken of. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/laws.h"

typedef struct change {
    uint8_t *hit; /* [B][Skv] keys to change, in all heads */
    bool poison;
} change;

static void change_keys(parity_inputs *in, void *arg)
{
    const change *w = arg;
    const parity_spec *s = &in->spec;

    for (int64_t n = 0; n < s->b * s->hkv * s->sk; n++) {
        if (!w->hit[n / (s->hkv * s->sk) * s->sk + n % s->sk])
            continue;
        for (int64_t d = 0; d < s->d; d++) {
            double *k = &in->k[n * s->d + d];
            *k = w->poison ? (d % 2 ? (double)NAN : (double)INFINITY) : -1000 * *k - 1;
        }
        for (int64_t d = 0; d < s->dv; d++) {
            double *v = &in->v[n * s->dv + d];
            *v = w->poison ? (d % 2 ? -(double)INFINITY : (double)NAN) : 1000 * *v + 1;
        }
    }
}

/* A side in which the keys of `w` are changed; rows that see one of them are silent. */
static att_status change_side(law_case *c, change *w)
{
    const parity_spec *s = &c->spec;
    law_side *side = law_open(c, s);

    if (!side || !(side->silent = calloc((size_t)law_rows(s) + 1, 1)))
        return ATT_NO_MEMORY;
    for (int64_t r = 0; r < law_rows(s); r++)
        for (int64_t j = 0; j < s->sk; j++)
            side->silent[r] |= c->base->allowed[r * s->sk + j] &&
                               w->hit[r / (s->hq * s->sq) * s->sk + j];
    return law_close(c, side, change_keys, w);
}

static att_status change_twice(law_case *c, change *w)
{
    att_status status = w->hit ? change_side(c, w) : ATT_NO_MEMORY;

    w->poison = true;
    if (status == ATT_OK)
        status = change_side(c, w);
    free(w->hit);
    return status;
}

static int64_t below(law_case *c, int64_t n)
{
    return n > 0 ? (int64_t)att_rng_below(&c->rng, (uint64_t)n) : 0;
}

/* Keys after the query position of one row drawn for each sequence. */
static att_status future(law_case *c)
{
    const parity_spec *s = &c->spec;
    change w = {.hit = calloc((size_t)(s->b * s->sk) + 1, 1)};
    att_status status = law_base(c, NULL, NULL);

    for (int64_t b = 0; status == ATT_OK && w.hit && b < s->b; b++) {
        int64_t at = parity_position(c->base, b, below(c, c->base->nq[b] - 1));
        const int64_t *k = c->base->plain.k_positions.data;
        for (int64_t j = 0; j < c->base->nk[b]; j++)
            w.hit[b * s->sk + j] = (k ? k[b * s->sk + j] : j) > at;
    }
    if (status == ATT_OK)
        return change_twice(c, &w);
    free(w.hit);
    return status;
}

/* Keys that a row drawn for each sequence may not see. */
static att_status masked(law_case *c)
{
    const parity_spec *s = &c->spec;
    change w = {.hit = calloc((size_t)(s->b * s->sk) + 1, 1)};
    att_status status = law_base(c, NULL, NULL);

    for (int64_t b = 0; status == ATT_OK && w.hit && b < s->b; b++) {
        int64_t row = (b * s->hq + below(c, s->hq)) * s->sq + below(c, c->base->nq[b]);
        for (int64_t j = 0; j < c->base->nk[b]; j++)
            w.hit[b * s->sk + j] = !c->base->allowed[row * s->sk + j];
    }
    if (status == ATT_OK)
        return change_twice(c, &w);
    free(w.hit);
    return status;
}

static void with_future(parity_spec *s)
{
    if (parity_is(s->causal, "none"))
        s->causal = "br";
    if (s->sq == 1 && parity_is(s->causal, "br")) /* a last query has no future */
        s->causal = "tl";
}

static void with_mask(parity_spec *s)
{
    if (parity_is(s->mask, "none") && !parity_is(s->bias, "inf") && s->left < 0)
        s->mask = "heads";
}

const law laws_perturb[] = {
    {"future", "changing later keys moves nothing before them", ATT_BINDS_ALL, LAW_BITWISE, true,
     with_future, future},
    {"masked", "changing keys that a row may not see moves nothing of it", ATT_BINDS_ALL,
     LAW_BITWISE, true, with_mask, masked},
    {0},
};
