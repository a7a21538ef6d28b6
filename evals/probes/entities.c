/* SPDX-License-Identifier: Apache-2.0 */
/* entities: what is in the box now?  Boxes are described, then things are put into them, removed
 * and moved from one to another.  Every operation leads a box on to its next state; the question
 * follows a box from its name through all operations that touch it, then asks for what the last
 * state holds.  Scored by how many there were.
 *
 * Source: Kim and Schuster 2023, "Entity tracking in language models". */
#include <math.h>
#include <stdlib.h>

#include "evals/probes/task.h"

enum {
    MOST = 8,    /* boxes */
    TOUCHES = 5, /* of a box, at most */
    STATES = TOUCHES + 1,
    FEW = 2,          /* touches that count as few */
    EVENTS = 3 * MOST /* descriptions, and twice as many operations */
};

/* Words of a context: the states of box 0 (the first is its name), of box 1, ..., then "empty",
 * then the things. */
static int64_t state_of(const probe_circuit *c, int64_t g, int64_t box, int64_t touches)
{
    return probe_drawn(c, g, box * STATES + touches);
}

static int64_t thing(const probe_circuit *c, int64_t g, int64_t i)
{
    return probe_drawn(c, g, c->facts * STATES + i);
}

enum { EMPTY, FIRST_THING, THINGS = 1 + EVENTS };

/* The story so far. */
typedef struct story {
    int64_t holds[MOST], touches[MOST]; /* thing, operations */
    int64_t step[MOST][TOUCHES];        /* where they lead the box on */
    int64_t place[MOST];                /* where it is said what the box holds now */
    int64_t next;                       /* thing not yet used */
} story;

/* A code whose coordinates are turned by half: what a state is asked by for what it holds. */
static void turn(const float *from, float *to)
{
    for (int d = 0; d < PROBE_CODE; d++)
        to[d] = from[(d + PROBE_CODE / 2) % PROBE_CODE];
}

/* Position `at` says that the box now holds this; `at` - 1, how it came there. */
static void tell(const probe_circuit *c, int64_t g, story *s, int64_t box, int64_t holds,
                 int64_t at, bool described)
{
    if (!described) {
        const int64_t before = state_of(c, g, box, s->touches[box]);
        s->step[box][s->touches[box]++] = at - 1;
        probe_put(c, g, at - 1, before, state_of(c, g, box, s->touches[box]));
    }
    s->holds[box] = holds;
    s->place[box] = at;
    probe_put(c, g, at, 0, thing(c, g, holds));
    turn(c->code + state_of(c, g, box, s->touches[box]) * PROBE_CODE,
         c->k + (g * c->len + at) * PROBE_CODE);
}

/* A box that is empty, or not, and may be touched once more; -1 = none. */
static int64_t pick(const probe_circuit *c, att_rng *rng, const story *s, bool empty)
{
    int64_t fit[MOST], n = 0;

    for (int64_t b = 0; b < c->facts; b++)
        if ((s->holds[b] == EMPTY) == empty && s->touches[b] < TOUCHES)
            fit[n++] = b;
    return n ? fit[att_rng_below(rng, (uint64_t)n)] : -1;
}

/* Put, remove or move, told at `at` and, for the box that a thing is moved from, 2 before. */
static void operate(const probe_circuit *c, att_rng *rng, int64_t g, story *s, int64_t at)
{
    const int64_t to = pick(c, rng, s, true), from = pick(c, rng, s, false);
    const bool can_put = to >= 0, can_take = from >= 0;
    const uint64_t how = att_rng_below(rng, 4); /* moves are half of what there is to do */

    if (can_put && can_take && how >= 2) {
        const int64_t moved = s->holds[from];
        tell(c, g, s, from, EMPTY, at - 2, false);
        tell(c, g, s, to, moved, at, false);
    } else if (can_put && (how == 0 || !can_take))
        tell(c, g, s, to, s->next++, at, false);
    else if (can_take)
        tell(c, g, s, from, EMPTY, at, false);
}

static bool ask_all(probe_circuit *c, int64_t g, const story *s)
{
    for (int64_t b = 0; b < c->facts; b++) {
        probe_question a = {.context = g,
                            .head = b,
                            .answer = thing(c, g, s->holds[b]),
                            .mark = PROBE_MARKS + b,
                            .rival = -1,
                            .n_evidence = s->touches[b] + 1,
                            .hops = s->touches[b] + 1,
                            .kind = s->touches[b],
                            .at = (double)s->place[b] / (double)c->len};
        for (int64_t t = 0; t < s->touches[b]; t++)
            a.evidence[t] = s->step[b][t];
        a.evidence[s->touches[b]] = s->place[b];
        probe_mark(c, g, s->place[b], PROBE_MARKS + b, 1);
        if (!probe_ask(c, a, state_of(c, g, b, 0)))
            return false;
        if (s->touches[b] == 0) /* what it holds is asked at once */
            turn(c->code + state_of(c, g, b, 0) * PROBE_CODE, probe_query(c, &a, c->q));
    }
    return true;
}

/* Events take 4 tokens, the last at the place that is drawn. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t at[EVENTS];
    story s = {.next = FIRST_THING};
    const int64_t n = c->facts;

    probe_places(rng, 0, c->len / 4, 3 * n, at);
    for (int64_t b = 0; b < n; b++)
        tell(c, g, &s, b, att_rng_below(rng, 4) ? s.next++ : EMPTY, 4 * at[b] + 3, true);
    for (int64_t e = n; e < 3 * n; e++)
        operate(c, rng, g, &s, 4 * at[e] + 3);
    return ask_all(c, g, &s) ? ATT_OK : ATT_NO_MEMORY;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    const int64_t n = c->facts;

    if (n < 2 || n > MOST || c->len < 12 * n) {
        att_why_set(why, "2 to %d boxes, of 12 tokens each", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = 3;
    c->heads = n;
    c->rows = 1;
    if (probe_circuit_open(c, n, rng) != ATT_OK ||
        probe_draw(c, rng, n * STATES + THINGS) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, PROBE_HAY);
    att_status status = ATT_OK;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* On to the next state, or, from the last, to what it holds. */
static void next(const probe_circuit *c, int64_t i, int64_t hop, const float *out, float *q)
{
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, out);
    float *to = probe_query(c, a, q), unit[PROBE_CODE];
    double size = 0;

    if (hop > a->kind)
        return;
    for (int d = 0; d < PROBE_CODE; d++)
        size += (double)row[d] * (double)row[d];
    for (int d = 0; d < PROBE_CODE; d++)
        unit[d] = size == 0 ? 0 : (float)((double)row[d] / sqrt(size));
    if (hop == a->kind)
        turn(unit, to);
    else
        for (int d = 0; d < PROBE_CODE; d++)
            to[d] = unit[d];
}

/* The operation at which the box was lost; its touches, if none. */
static int64_t followed(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    double margin;

    for (int64_t t = 0; t < a->kind; t++) {
        const int64_t want = state_of(c, a->context, a->head, t + 1);
        if (probe_nearest(c, probe_row(c, a, probe_hop(c, out, t)), 0, PROBE_CODES, want,
                          &margin) != want)
            return t;
    }
    return a->kind;
}

/* Right after every operation, with some weight on what the box holds: "empty" is easy to guess. */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    static const char *const lost[TOUCHES] = {"lost at operation 1", "lost at operation 2",
                                              "lost at operation 3", "lost at operation 4",
                                              "lost at operation 5"};
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, probe_hop(c, out, a->kind));
    const int64_t by = followed(c, i, out);
    probe_outcome o = {0};
    const int64_t got = probe_nearest(c, row, 0, PROBE_CODES, a->answer, &o.score);

    o.hit = by == a->kind && got == a->answer && row[a->mark] != 0;
    if (!o.hit)
        o.note = got == a->answer ? "right by luck" : by < a->kind ? lost[by] : NULL;
    return o;
}

/* Accuracy by how many operations touched the box: none, few, many. */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    static const char *const name[] = {"right_untouched", "right_touched_few",
                                       "right_touched_often"};
    int64_t n[3] = {0}, right[3] = {0};

    for (int64_t i = 0; i < c->n_asked; i++) {
        const int64_t touches = c->asked[i].kind, group = touches == 0 ? 0 : touches <= FEW ? 1 : 2;
        n[group]++;
        right[group] += judge(c, i, out).hit;
    }
    for (int k = 0; k < 3; k++)
        if (n[k])
            att_ctx_record(x, name[k], (double)right[k] / (double)n[k]);
}

const probe_task probe_task_entities = {.name = "entities",
                                        .exposes = "state of an entity lost between operations",
                                        .spares = "top_one",
                                        .facts = MOST,
                                        .theory = true,
                                        .make = make,
                                        .hops = STATES,
                                        .next = next,
                                        .judge = judge,
                                        .record = record};
