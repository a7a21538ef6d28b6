/* SPDX-License-Identifier: Apache-2.0 */
/* Parity of kernels that are not softmax attention over all allowed keys: what each is held to. */
#ifndef ATT_PARITY_OWN_H
#define ATT_PARITY_OWN_H

#include "evals/numeric/parity.h"

/* --- parity_select.c: approximations.  `own` is a view of `in` with another answer; drop it with
 * parity_drop_own. */
/* The keys that the kernel under test says it kept (`select`), and the oracle's answer on them.
 * Pairs that are not allowed are added to *illegal and not followed. */
att_status parity_on_own_keys(att_ctx *x, const parity_inputs *in, const att_problem *p,
                              parity_inputs *own, double *illegal);
/* The same of keys that a session says its rows saw. */
att_status parity_on_seen(att_ctx *x, const parity_inputs *in, const uint8_t *seen,
                          parity_inputs *own, double *illegal);
/* The oracle's answer on K and V heads pooled to the kernel's parameter `groups`. */
att_status parity_on_pooled(att_ctx *x, const parity_inputs *in, parity_inputs *own);
/* Does the kernel pool heads, that is, has it a parameter `groups` and no `select`? */
bool parity_pools(const att_kernel *kernel);
void parity_drop_own(parity_inputs *own);
/* `own` as `in`, with an answer of its own and no pairs allowed; false: no memory. */
bool parity_room_of_own(const parity_inputs *in, parity_inputs *own);
/* Top-k keeps the k largest logits; where two are too close to tell apart either is right. */
att_status parity_check_top(att_ctx *x, parity_inputs *in, const parity_inputs *own, double u_acc,
                            bool explain);

/* --- parity_select_far.c: of kNN memories, which keep near keys and the best of the others. */
att_status parity_check_far(att_ctx *x, parity_inputs *in, const parity_inputs *own, double u_acc);

/* --- parity_scores.c: keys chosen by a score.  One row's scores in f64, and what a kernel's may be
 * off by; what all rows' choices come to; and the value of a kernel's INT parameter, -1 = it has
 * none of that name. */
typedef struct parity_scores {
    int64_t n;
    double *s, *err; /* [n] */
} parity_scores;
typedef struct parity_tally {
    double gap;
    int64_t missing, over;
} parity_tally;
/* Nothing wrong with the choice, as far as rounding can tell? */
bool parity_tally_holds(const parity_tally *c);
/* A row of which `kept` should be the k largest of those it `may` choose from. */
void parity_scores_add(parity_tally *c, const parity_scores *r, int64_t k, const uint8_t *may,
                       const uint8_t *kept);
void parity_tally_record(att_ctx *x, const parity_tally *c);
int64_t parity_value(const att_variant_part *part, const char *name);

/* --- parity_select_index.c: of kernels that read an index section.  p: the call's problem. */
att_status parity_check_index(att_ctx *x, const parity_inputs *in, const att_problem *p,
                              const parity_inputs *own, double u_acc, bool explain);

/* --- parity_select_stream.c: of caches that evict, and of choices by an observation window. */
att_status parity_check_stream(att_ctx *x, const parity_inputs *in, const parity_inputs *own,
                               double u_acc, bool explain);
/* --- parity_rounded.c: kernels that quantise q and k inside attend.  Such a one approximates
 * without select and offers quantise and dequantise: int8, one scale a group of a sequence's
 * tokens. */
bool parity_rounds(const att_kernel *kernel);
/* The oracle's answer on what the kernel under test says that q and k become; *steps: their largest
 * change, in half steps of int8 with one scale a head. */
att_status parity_on_rounded(att_ctx *x, const parity_inputs *in, parity_inputs *own,
                             double *steps);
/* --- parity_picks.c: of kernels that choose by scores, told by the names of their parameters. */
att_status parity_check_choice(att_ctx *x, parity_inputs *in, const parity_inputs *own,
                               double u_acc, bool explain);
/* --- parity_picks_faults.c: has the choice of this kernel been explained less often than is
 * enough?  Each call counts as once more. */
bool parity_choice_turn(att_ctx *x);

/* --- parity_pattern.c: records how many pairs `own` keeps or drops against the pattern that the
 * names of the kernel's parameters promise, and which slip explains them, if `explain`; nothing
 * where they promise none. */
void parity_check_pattern(att_ctx *x, const parity_inputs *in, const parity_inputs *own,
                          bool explain);

/* --- parity_own.c: functions of their own.  Does parity know the kernel's function? */
bool parity_knows(const att_kernel *kernel);
/* What the kernel is judged as: its class, or ATT_OWN where its weights are known. */
int32_t parity_class(const att_kernel *kernel);

/* A weight in place of softmax's, by how many units of u_acc sums with it may be off, what it may
 * lose to underflow, and how many half subnormals its products with a value may lose. */
typedef struct parity_weight {
    double w, units, lost, drops;
} parity_weight;

/* Weights at work: `keys` allowed ones in the row; every `stride`th row is judged. */
typedef struct parity_weigher parity_weigher;
typedef struct parity_function {
    const char *kernel;
    int32_t rule;                                       /* of its recurrence; -1 = none */
    att_status (*begin)(parity_weigher *w, att_ctx *x); /* NULL = nothing to prepare */
    /* A row (b, h, i), its keys those allowed of first, first + 1, ... */
    void (*row)(parity_weigher *w, int64_t row, int64_t first, const uint8_t *allowed);
    parity_weight (*weigh)(const parity_weigher *w, int64_t row, int64_t key);
    void (*end)(parity_weigher *w);
} parity_function;

struct parity_weigher {
    const parity_function *how;
    const parity_inputs *in;
    int64_t keys, stride;
    double u;
    void *own; /* the function's */
};

/* --- parity_features.c: the performer's */
att_status parity_features_begin(parity_weigher *w, att_ctx *x);
void parity_features_row(parity_weigher *w, int64_t row, int64_t first, const uint8_t *allowed);
parity_weight parity_features_weigh(const parity_weigher *w, int64_t row, int64_t key);
void parity_features_end(parity_weigher *w);
/* Judges out, dense [B,Hq,Sq,Dv], by the kernel's function in float64. */
att_status parity_own(att_ctx *x, const parity_inputs *in, const att_tensor *got,
                      const att_units *units);

/* --- parity_loss.c: records loss_l2, how far `got` [B,Hq,Sq,Dv] is from dense
 * attention on what was given, before anything was quantised. */
void parity_record_loss(att_ctx *x, const parity_inputs *in, const att_tensor *got);

#endif
