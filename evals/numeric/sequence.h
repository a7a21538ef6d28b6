/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the sequence eval: a sequence of steps as text, what runs it, what explains a wrong
 * one, what shortens it. */
#ifndef ATT_SEQUENCE_H
#define ATT_SEQUENCE_H

#include <stdbool.h>

#include "core/apart.h"
#include "core/ctx.h"
#include "evals/numeric/parity.h"

#define SEQUENCE_MOST 64

struct again; /* parity_faults.h */

/* A step: a letter and, for most, a number. */
typedef struct sequence_step {
    char what;
    int64_t n;
} sequence_step;

typedef struct sequence {
    size_t n;
    sequence_step step[SEQUENCE_MOST];
} sequence;

/* What a task runs: the case's sizes and the steps.  explain: name what explains a failure. */
typedef struct sequence_plan {
    parity_spec spec;
    sequence steps;
    bool explain;
} sequence_plan;

/* --- sequence_steps.c */
/* "c:s1:c"; letters: those of the task.  false: not a sequence of its steps. */
bool sequence_parse(const char *text, const char *letters, sequence *out);
void sequence_print(const sequence *s, char *out, size_t size);
/* `n` steps at random. */
void sequence_draw_calls(att_rng *rng, int64_t n, sequence *out);
void sequence_draw_session(att_rng *rng, int64_t n, const parity_spec *spec, sequence *out);

/* --- sequence_calls.c, sequence_session.c: one run of a sequence_plan, in this process. */
#define SEQUENCE_CALL_STEPS    "crapskmzwlbqneyuh"
#define SEQUENCE_SESSION_STEPS "autrzvgsfxc"
att_status sequence_calls(att_ctx *x, void *plan);
att_status sequence_session(att_ctx *x, void *plan);

/* What the caller's dead stack is overwritten with, a double at a time. */
#define SEQUENCE_DEAD 0.1953125

/* --- sequence_faults.c */
/* Names what explains a wrong output: what `look` finds, else what the dictionary of single calls
 * does; and where it is wrong first. */
void sequence_look_into(
    att_ctx *x, parity_inputs *in, const parity_outputs *o, const att_units *units,
    void (*look)(struct again *g, const att_tensor *got, const att_error *e, void *arg), void *arg);
/* The same, where `look` is for what the `n` calls before left behind; earlier: their specs. */
void sequence_explain(att_ctx *x, parity_inputs *in, const parity_spec *earlier, size_t n,
                      const parity_outputs *o, const att_units *units);

/* --- sequence_shrink.c: runs the plan apart; where it fails, the shortest sequence found that
 * still does takes its place, explained.  *trials: how many runs that took. */
att_status sequence_measure(att_ctx *x, att_status (*body)(att_ctx *x, void *plan),
                            sequence_plan *plan, att_record *out, int64_t *trials);

#endif
