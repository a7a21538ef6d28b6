/* SPDX-License-Identifier: Apache-2.0 */
/* Does an approximating kernel keep the keys that its parameters promise?
 *
 * What `select` reports is what parity holds the output to, so a pattern gone wrong in both goes
 * unseen there.  Here the patterns stand once more, in closed form, told by the names of a kernel's
 * parameters: whoever declares {left} promises a sliding window, whatever it is called.
 *
 *   left                      p - p_j <= left
 *   sinks left                j < sinks or p - p_j <= left
 *   stride local              |p - j| < local or (p - j) mod stride = 0;   local = 0 is stride
 *   block local global stride |P - J| < local or J < global or (J + h) mod stride = 0, in blocks
 *   global side               |p - j| <= side or j < global or 0 <= p < global
 *   block window random global draw
 *                             |P - J| <= window or J < global or 0 <= P < global or J drawn
 *
 * p: the query's position, p_j the key's, h the query head; a position before the first key lies in
 * block -1.  Drawn: of the n blocks that begin before the end of the keys that length, causality
 * and the right window leave, `random` different ones: for t = n - random (0 where that is less) to
 * n - 1, u(draw, h, P, t) mod (t + 1), or t where that is taken; u as in common/draw.h.
 * Each is intersected with the problem's own rules, as the oracle reports them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/names.h"
#include "evals/numeric/parity_own.h"

#define MOST       5  /* parameters of a pattern */
#define MOST_DRAWN 64 /* blocks */

/* One pair: query head, query position, key index and position; and what its row has drawn. */
typedef struct pair {
    int64_t h, at, j, key_at, end;
    int64_t drawn[MOST_DRAWN], draws;
    bool blind; /* a reading's: global rows see no more than others */
} pair;

static bool in_window(const int64_t *v, const pair *p)
{
    return p->at - p->key_at <= v[0];
}

static bool in_sinks_or_window(const int64_t *v, const pair *p)
{
    return p->j < v[0] || p->at - p->key_at <= v[1];
}

static bool in_strides(const int64_t *v, const pair *p)
{
    int64_t apart = p->at > p->j ? p->at - p->j : p->j - p->at;

    return apart < (v[1] ? v[1] : v[0]) || apart % v[0] == 0;
}

static bool in_blocks(const int64_t *v, const pair *p)
{
    int64_t own = p->at < 0 ? -1 : p->at / v[0], block = p->j / v[0];
    int64_t apart = own > block ? own - block : block - own;

    return apart < v[1] || block < v[2] || (v[3] && (block + p->h) % v[3] == 0);
}

static bool global_or_near(const int64_t *v, const pair *p)
{
    int64_t apart = p->at > p->j ? p->at - p->j : p->j - p->at;

    return apart <= v[1] || p->j < v[0] || (!p->blind && p->at >= 0 && p->at < v[0]);
}

enum { BLOCK, WINDOW, RANDOM, GLOBAL, DRAW };

static uint64_t stirred(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z ^= z >> 30;
    z *= 0xbf58476d1ce4e5b9u;
    z ^= z >> 27;
    z *= 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void draw_blocks(const int64_t *v, pair *p)
{
    int64_t n = (p->end + v[BLOCK] - 1) / v[BLOCK], own = p->at < 0 ? -1 : p->at / v[BLOCK];
    const uint64_t place =
        stirred(stirred(stirred((uint64_t)v[DRAW]) + (uint64_t)p->h) + (uint64_t)own);

    p->draws = 0;
    for (int64_t t = n > v[RANDOM] ? n - v[RANDOM] : 0; t < n && p->draws < MOST_DRAWN; t++) {
        int64_t one = (int64_t)(stirred(place + (uint64_t)t) % ((uint64_t)t + 1));
        for (int64_t s = 0; s < p->draws; s++)
            one = p->drawn[s] == one ? t : one;
        p->drawn[p->draws++] = one;
    }
}

static bool global_near_or_drawn(const int64_t *v, const pair *p)
{
    int64_t own = p->at < 0 ? -1 : p->at / v[BLOCK], block = p->j / v[BLOCK];
    int64_t apart = own > block ? own - block : block - own;
    bool drawn = false;

    for (int64_t s = 0; s < p->draws; s++)
        drawn |= p->drawn[s] == block;
    return drawn || apart <= v[WINDOW] || block < v[GLOBAL] ||
           (!p->blind && own >= 0 && own < v[GLOBAL]);
}

static const struct pattern {
    const char *params[MOST + 1];
    bool (*keeps)(const int64_t *values, const pair *p);
    void (*draw)(const int64_t *values, pair *p); /* once a row; NULL = nothing */
} patterns[] = {
    {{"left"}, in_window, NULL},
    {{"sinks", "left"}, in_sinks_or_window, NULL},
    {{"stride", "local"}, in_strides, NULL},
    {{"block", "local", "global", "stride"}, in_blocks, NULL},
    {{"global", "side"}, global_or_near, NULL},
    {{"block", "window", "random", "global", "draw"}, global_near_or_drawn, draw_blocks},
};

/* The kernel's values in the order of the pattern; false: its parameters are others. */
static bool values_of(const struct pattern *of, const att_variant_part *part, int64_t *out)
{
    const att_param *own = part->kernel->params;
    int n = 0, count = 0;

    while (own && own[count].name)
        count++;
    for (; of->params[n]; n++) {
        int i = 0;
        while (i < count && !parity_is(own[i].name, of->params[n]))
            i++;
        if (i == count || own[i].type != ATT_PARAM_INT)
            return false;
        out[n] = part->values[i].i;
    }
    return n == count;
}

/* The end of the keys that length, causality and the right window leave. */
static int64_t end_of(const parity_inputs *in, int64_t b, int64_t at)
{
    const parity_spec *s = &in->spec;
    int64_t end = in->nk[b];

    if (!parity_is(s->causal, "none") && at < end - 1)
        end = at + 1;
    if (s->right >= 0 && at < end - 1 - s->right)
        end = at + s->right + 1;
    return end > 0 ? end : 0;
}

/* What a reading of the patterns does otherwise; beside these, each parameter one off. */
typedef struct reading {
    const char *name, *text;
    bool first_head, by_row, blind;
} reading;

static const reading readings[] = {
    {.name = "pattern_of_first_head", .text = "all heads have the first one's", .first_head = true},
    {.name = "pattern_by_row", .text = "rows counted, not positions", .by_row = true},
    {.name = "global_rows_blind", .text = "global queries see no more than others", .blind = true},
};

/* How many pairs the kernel keeps against its pattern, or drops. */
static int64_t differences(const parity_inputs *in, const parity_inputs *own,
                           const struct pattern *of, const int64_t *values, const reading *how)
{
    const parity_spec *s = &in->spec;
    const int64_t *keys = in->plain.k_positions.data;
    const uint8_t *may = in->allowed, *kept = own->allowed;
    int64_t wrong = 0;

    for (int64_t r = 0; r < s->b * s->hq * s->sq; r++) {
        int64_t i = r % s->sq, b = r / s->sq / s->hq;
        pair p = {.h = r / s->sq % s->hq, .at = parity_position(in, b, i)};
        p.end = end_of(in, b, p.at);
        p.h = how->first_head ? 0 : p.h;
        p.at = how->by_row ? i : p.at;
        p.blind = how->blind;
        if (of->draw)
            of->draw(values, &p);
        for (p.j = 0; p.j < s->sk; p.j++, may++, kept++) {
            p.key_at = keys ? keys[b * s->sk + p.j] : p.j;
            wrong += *may && of->keeps(values, &p) != (*kept != 0);
        }
    }
    return wrong;
}

/* Which slips explain all of what is kept and dropped? */
static void explain_pattern(att_ctx *x, const parity_inputs *in, const parity_inputs *own,
                            const struct pattern *of, const int64_t *values)
{
    static const reading as_meant = {0};
    bool named = false;

    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++)
        if (differences(in, own, of, values, &readings[i]) == 0) {
            att_ctx_diagnose(x, readings[i].name, 0, readings[i].text);
            named = true;
        }
    for (int64_t n = 0; n < 2 * MOST && of->params[n / 2]; n++) {
        int64_t other[MOST];
        char text[64];
        memcpy(other, values, sizeof other);
        other[n / 2] += n % 2 ? 1 : -1;
        if (other[n / 2] < (n / 2 == 0 && of->params[1] ? 1 : 0) ||
            differences(in, own, of, other, &as_meant) != 0)
            continue;
        snprintf(text, sizeof text, "%s one too %s", of->params[n / 2], n % 2 ? "large" : "small");
        att_ctx_diagnose(x, "pattern_off_by_one", 0, text);
        named = true;
    }
    if (!named)
        att_ctx_diagnose(x, ATT_UNKNOWN, (double)INFINITY, "no reading explains the pattern");
}

void parity_check_pattern(att_ctx *x, const parity_inputs *in, const parity_inputs *own,
                          bool explain)
{
    static const reading as_meant = {0};
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    int64_t values[MOST] = {0};

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (!values_of(&patterns[i], part, values))
            continue;
        const int64_t wrong = differences(in, own, &patterns[i], values, &as_meant);
        att_ctx_record(x, "select_pattern", (double)wrong);
        if (wrong && explain && parity_choice_turn(x))
            explain_pattern(x, in, own, &patterns[i], values);
    }
}
