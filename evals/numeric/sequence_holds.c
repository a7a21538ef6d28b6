/* SPDX-License-Identifier: Apache-2.0 */
/* What a session may hold in place of what it should: the history is replayed with one rule of the
 * contract broken, the oracle answers the failing attend on what is then held, and what holds by
 * the numeric rule explains the output.  Names are those of the zoo where it re-enacts the bug. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity_faults.h"
#include "evals/numeric/sequence_session.h"

typedef struct breach {
    const char *name, *text;
    session_rules rules;
} breach;

/* Of equal ones the first is told first. */
static const breach breaches[] = {
    {"ring_too_short", "keys that a window still sees are overwritten", {.ring = true}},
    {"ring_sliced_logically",
     "a rollback takes the ring's first slots for its oldest tokens",
     {.ring = true, .sliced = true}},
    {"ring_start_wrong",
     "the ring read from (length mod slots) on before it is full",
     {.ring = true, .start = 1}},
    {"ring_order", "the ring read in the order of its slots", {.ring = true, .start = 2}},
    {"scale_grow_batch",
     "another batch changes the strides of the scales without moving them",
     {.scales_stay = true}},
    {"rows_stay_put", "another batch changes strides without moving rows", {.rows_stay = true}},
    {"stale_scale", "a slot keeps the scale of the token it held before", {.scale_once = true}},
    {"rollback_ignored", "tokens that were rolled back are still there", {.rollback = 1}},
    {"rollback_of_all_ignored", "a rollback to nothing does nothing", {.rollback = 2}},
    {"rollback_of_first_sequence", "only the first sequence is rolled back", {.rollback = 3}},
    {"rollback_keeps_more", "a rollback keeps one token more", {.rollback = 4}},
    {"rollback_keeps_fewer", "a rollback keeps one token fewer", {.rollback = 5}},
    {"fork_shares_state", "a fork and its parent write to the same memory", {.fork = 1}},
    {"fork_is_parent", "a fork is its parent", {.fork = 2}},
    {"fork_is_empty", "a fork holds nothing", {.fork = 3}},
    {"append_first_token", "of the tokens of an append only the first is kept", {.append = 1}},
    {"append_last_token", "of the tokens of an append only the last is kept", {.append = 2}},
    {"append_late", "the tokens of the last append are not seen yet", {.append = 3}},
    {"reopened_not_empty", "what a closed session held is in the next one", {.reopened = true}},
    {"first_sequence_for_all",
     "every sequence reads the first one's tokens",
     {.first_alone = true}},
    {0},
};

/* The failing attend, and what led to it. */
typedef struct attended {
    const session_log *log;
    size_t session;
} attended;

/* The attend on what the rules leave; NaN: they don't explain it. */
static double ratio_of(again *g, const attended *a, const session_rules *rules,
                       const att_tensor *got, const att_error *e)
{
    const parity_spec *s = &g->in->spec;
    parity_trial t = {.x = g->x, .in = g->in, .p = g->in->plain};
    session_view v;
    double ratio = (double)NAN;

    if (session_replay(a->log, rules, a->session, &v) && v.batch == s->b) {
        size_t rows = (size_t)(v.batch * s->hkv * v.most);
        t.k = calloc(rows * (size_t)s->d + 1, sizeof *t.k);
        t.v = calloc(rows * (size_t)s->dv + 1, sizeof *t.v);
    }
    if (t.k && t.v) {
        session_view_fill(a->log, &v, 0, t.k);
        session_view_fill(a->log, &v, 1, t.v);
        t.p.kv_len = v.most;
        t.p.k = att_tensor_dense(t.k, ATT_F64, s->b, s->hkv, v.most, s->d);
        t.p.v = att_tensor_dense(t.v, ATT_F64, s->b, s->hkv, v.most, s->dv);
        t.p.kv_lengths = att_tensor_dense(v.length, ATT_I32, 1, 1, 1, s->b);
        ratio = parity_explains(&t, got, e, g);
    }
    session_view_drop(&v);
    parity_trial_drop(&t);
    return ratio;
}

/* Rings of the sizes that windows are given: the window itself, what a step adds, what a rollback
 * may give back. */
static double best_ring(again *g, const attended *a, session_rules rules, const att_tensor *got,
                        const att_error *e)
{
    const int64_t left = a->log->spec.left, step = a->log->spec.sq;
    const int64_t slots[] = {left + 1, left + step, left + 2 * step};
    double best = (double)NAN;

    for (size_t i = 0; left >= 0 && i < sizeof slots / sizeof *slots; i++) {
        rules.slots = slots[i] > 0 ? slots[i] : 1;
        best = fmin(best, ratio_of(g, a, &rules, got, e));
    }
    return best;
}

static void look(again *g, const att_tensor *got, const att_error *e, void *arg)
{
    const attended *a = arg;

    for (const breach *b = breaches; b->name; b++) {
        double ratio = b->rules.ring ? best_ring(g, a, b->rules, got, e)
                                     : ratio_of(g, a, &b->rules, got, e);
        if (!isnan(ratio))
            parity_name(g, b->name, ratio, b->text);
    }
}

void session_explain(att_ctx *x, const session_log *log, size_t session, parity_inputs *in,
                     const parity_outputs *o, const att_units *units)
{
    attended a = {log, session};

    sequence_look_into(x, in, o, units, look, &a);
}
