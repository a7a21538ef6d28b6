/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks of facts in a haystack have in common: names of their own in every context, questions
 * from the last position, and wrong answers that say how a question was missed. */
#ifndef ATT_PROBES_FACTS_H
#define ATT_PROBES_FACTS_H

#include "evals/probes/task.h"

#define FACTS_SLIPS 12 /* known answers of one question beside or with the right one */

/* A wrong answer and what it is called (static text). */
typedef struct fact_slip {
    int64_t code;
    const char *note;
} fact_slip;

/* What a context is laid out with. */
typedef struct facts {
    probe_circuit *c;
    att_rng *rng;
    int64_t context;
    int64_t order[PROBE_CODES]; /* a random order of the codes: the first ones are names, the rest
                                 * is hay */
} facts;

typedef struct facts_plan {
    int64_t facts;  /* no other number is taken */
    int64_t tokens; /* nor fewer than so many tokens */
    int64_t heads;  /* questions a context, each asked from the last position by its own head */
    int64_t marks;  /* columns of V */
    int64_t names;  /* codes that the hay leaves out */
    int64_t apart;  /* the last of them, so many, have cosines below FACTS_APART */
    bool (*suits)(const facts *f); /* may these names be asked for?  Otherwise others are drawn;
                                    * NULL = any may */
    att_status (*lay_out)(facts *f);
} facts_plan;

#define FACTS_APART 0.1

/* Lays out every context: 6 (up to 4,096 tokens) or 3, unless the case says otherwise.
 * UNSUPPORTED with why. */
att_status facts_make(probe_circuit *c, att_rng *rng, const facts_plan *plan, att_why *why);

/* Where K or V of a token of this context begins. */
float *facts_key(const facts *f, int64_t at);
float *facts_value(const facts *f, int64_t at);
const float *facts_code(const facts *f, int64_t name);
/* Writes a token: key and value by their places in the order. */
void facts_put(const facts *f, int64_t at, int64_t key, int64_t value);
/* A random direction: unit vector. */
void facts_noise(const facts *f, float *out);
/* Of two unit vectors. */
double facts_cosine(const float *a, const float *b);
/* Sum of n codes at norm 1.  `names`: places in the order. */
void facts_sum(const facts *f, const int64_t *names, int64_t n, float *out);

/* A question of the fact at a token, by head and value; marks the token in V's column
 * PROBE_MARKS + mark (mark < 0: none). */
probe_question facts_question(const facts *f, int64_t head, int64_t at, int64_t value,
                              int64_t mark);
/* Asks it with a vector.  Slips, at most FACTS_SLIPS, hold places in the order. */
att_status facts_ask(const facts *f, probe_question question, const float *vector,
                     const fact_slip *slips, int64_t n);

/* task->judge: the code nearest to the output; a known wrong answer by its name. */
probe_outcome facts_judge(const probe_circuit *c, int64_t i, const float *out);
/* The same where several answers are wanted: the question's slips are the candidates, the first
 * n_evidence of them right; those nearer than half of the nearest, and than
 * half of an even share of a weight of 1, are given.  Right: all of the
 * right ones and no other.  *f1 (NULL = not wanted): F1. */
probe_outcome facts_set(const probe_circuit *c, int64_t i, const float *out, double *f1);
probe_outcome facts_set_judge(const probe_circuit *c, int64_t i, const float *out);
/* Records set_f1. */
void facts_set_record(att_ctx *x, const probe_circuit *c, const float *out);
/* Records the share of questions of a kind (-1: all) that ended with this note (NULL: right), where
 * any were asked. */
void facts_share(att_ctx *x, const probe_circuit *c, const float *out, const char *metric,
                 int64_t kind, const char *note);

#endif
