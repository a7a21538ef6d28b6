/* SPDX-License-Identifier: Apache-2.0 */
/* pronouns: "the trophy does not fit into the suitcase because it is too big | small".  Contexts
 * come as twins that differ in one word a sentence, the cue, which flips the pronoun's antecedent.
 * The pronoun asks for its cue, and with what that says for the antecedent; both antecedents of a
 * sentence resemble each other.
 *
 * Source: Levesque et al. 2012, "The Winograd schema challenge". */
#include <math.h>
#include <string.h>

#include "evals/probes/task.h"

enum { MOST = 6, TWINS = 2, LONG = 65536 };

#define ALIKE 0.7 /* cosine of an antecedent's key to its sentence's frame */

/* Words of sentence s: its pronoun, its frame, what sets its two antecedents apart, their names. */
enum { PRONOUN, FRAME, SIDE, NAME = SIDE + TWINS, WORDS = NAME + TWINS };
/* V's columns of sentence s: 1 at its cue, at its antecedents. */
enum { CUE = PROBE_MARKS, ANTECEDENT = CUE + MOST };

/* Twins have the same words: those of the first. */
static int64_t word(const probe_circuit *c, int64_t g, int64_t s, int64_t which)
{
    return probe_drawn(c, g / TWINS * TWINS, s * WORDS + which);
}

/* One sentence: an antecedent, the other, the cue, in this order.  `swapped`: the first mentioned
 * is the second twin's answer. */
static att_status lay_out(probe_circuit *c, int64_t g, int64_t s, const int64_t *at, bool swapped)
{
    const int64_t right = g % TWINS, cue = at[TWINS];
    int64_t place[TWINS];

    for (int64_t w = 0; w < TWINS; w++) {
        place[w] = at[swapped ? 1 - w : w];
        probe_put_near(c, g, place[w], word(c, g, s, FRAME), word(c, g, s, SIDE + w), ALIKE,
                       word(c, g, s, NAME + w));
        probe_mark(c, g, place[w], ANTECEDENT + s * TWINS + w, 1);
    }
    probe_put(c, g, cue, word(c, g, s, PRONOUN), 0);
    probe_near(c->code + word(c, g, s, FRAME) * PROBE_CODE,
               c->code + word(c, g, s, SIDE + right) * PROBE_CODE, ALIKE,
               c->v + (g * c->len + cue) * c->width);
    probe_mark(c, g, cue, CUE + s, 1);
    probe_question a = {.context = g,
                        .head = s,
                        .answer = word(c, g, s, NAME + right),
                        .mark = ANTECEDENT + s * TWINS + right,
                        .rival = ANTECEDENT + s * TWINS + 1 - right,
                        .evidence = {cue, place[right]},
                        .n_evidence = 2,
                        .kind = place[right] < place[1 - right],
                        .at = (double)place[right] / (double)c->len};
    return probe_ask(c, a, word(c, g, s, PRONOUN)) ? ATT_OK : ATT_NO_MEMORY;
}

/* Twins: the second is a copy of the first's haystack. */
static att_status lay_out_twins(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t at[MOST * (TWINS + 1)];
    bool swapped[MOST];
    const size_t k = (size_t)c->len * PROBE_CODE, v = (size_t)(c->len * c->width);

    if (probe_interleave(rng, 0, c->len, c->facts, TWINS + 1, at) != ATT_OK)
        return ATT_NO_MEMORY;
    memcpy(c->k + (size_t)(g + 1) * k, c->k + (size_t)g * k, k * sizeof *c->k);
    memcpy(c->v + (size_t)(g + 1) * v, c->v + (size_t)g * v, v * sizeof *c->v);
    for (int64_t s = 0; s < c->facts; s++)
        swapped[s] = att_rng_below(rng, 2);
    for (int64_t t = 0; t < TWINS; t++)
        for (int64_t s = 0; s < c->facts; s++)
            if (lay_out(c, g + t, s, at + s * (TWINS + 1), swapped[s]) != ATT_OK)
                return ATT_NO_MEMORY;
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts < 1 || c->facts > MOST || (TWINS + 1) * c->facts > c->len) {
        att_why_set(why, "1 to %d sentences of %d tokens", MOST, TWINS + 1);
        return ATT_UNSUPPORTED;
    }
    c->contexts = c->len < LONG ? 2 * TWINS : TWINS;
    c->heads = c->facts;
    c->rows = 1;
    if (probe_circuit_open(c, MOST * (1 + TWINS), rng) != ATT_OK ||
        probe_draw(c, rng, WORDS * c->facts) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, PROBE_HAY);
    att_status status = ATT_OK;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g += TWINS)
        status = lay_out_twins(c, rng, g);
    return status;
}

/* Right with some weight on cue and antecedent: without the cue it is luck. */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const float *first = probe_row(c, a, probe_hop(c, out, 0));
    const float *last = probe_row(c, a, probe_hop(c, out, 1));
    probe_outcome o = {0};
    const int64_t got = probe_nearest(c, last, 0, PROBE_CODES, a->answer, &o.score);
    const bool cued = first[CUE + a->head] != 0;

    o.hit = got == a->answer && cued && last[a->mark] != 0;
    if (!o.hit)
        o.note = got == a->answer ? "right by luck"
                 : got == word(c, a->context, a->head, NAME + 1 - a->context % TWINS)
                     ? "wrong antecedent"
                 : cued ? "antecedent lost"
                        : "cue lost";
    return o;
}

/* Of the two names, is the first twin's the nearer? */
static bool leans(const probe_circuit *c, const probe_question *a, const float *row)
{
    double dot = 0;

    for (int d = 0; d < PROBE_CODE; d++)
        dot += (double)row[d] *
               (double)(c->code[word(c, a->context, a->head, NAME) * PROBE_CODE + d] -
                        c->code[word(c, a->context, a->head, NAME + 1) * PROBE_CODE + d]);
    return dot > 0;
}

/* Questions of twins lie `facts` apart: a context's follow each other. */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    const float *last = probe_hop(c, out, 1);
    int64_t both = 0, flipped = 0, choice = 0, pairs = 0;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i], *twin = a + c->facts;
        const bool says = leans(c, a, probe_row(c, a, last));
        choice += says == (a->context % TWINS == 0);
        if (a->context % TWINS)
            continue;
        pairs++;
        both += judge(c, i, out).hit && judge(c, i + c->facts, out).hit;
        flipped += says != leans(c, twin, probe_row(c, twin, last));
    }
    att_ctx_record(x, "twins_right", (double)both / (double)pairs);
    att_ctx_record(x, "twins_flipped", (double)flipped / (double)pairs);
    att_ctx_record(x, "choice", (double)choice / (double)c->n_asked);
}

const probe_task probe_task_pronouns = {.name = "pronouns",
                                        .exposes = "wrong antecedent: the cue is not followed",
                                        .spares = "top_one",
                                        .facts = MOST,
                                        .theory = true,
                                        .make = make,
                                        .hops = 2,
                                        .judge = judge,
                                        .record = record};
