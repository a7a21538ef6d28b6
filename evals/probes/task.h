/* SPDX-License-Identifier: Apache-2.0 */
/* A task of the operator track: what is laid out, what is asked, what counts as right.  One file,
 * one `const probe_task probe_task_<stem>` at its end, one row in tasks.def. */
#ifndef ATT_PROBES_TASK_H
#define ATT_PROBES_TASK_H

#include "evals/probes/circuit.h"

/* One question's outcome. */
typedef struct probe_outcome {
    int hit;
    double score;     /* how clearly, larger is better; NAN = none */
    const char *note; /* static text; NULL: why it was missed is looked at (probe.c) */
} probe_outcome;

/* Questions whose evidence is hidden and whose weights do not tell: hit by luck, 1 in PROBE_CODES,
 * unless the kernel looks where it may not. */
typedef struct probe_luck {
    int64_t hidden, hits;
} probe_luck;

/* What all questions of a case add up to; shares over n. */
typedef struct probe_tally {
    int64_t n, hits;
    int64_t known, expected, unexplained;     /* where the closed form speaks */
    probe_luck luck, luck_selected;           /* of these, those that only a hit contradicts */
    int64_t selectable, selected, unselected; /* the same by the kernel's own selection */
    double reach, nearest; /* distance of the farthest hit (-1 = none) and of the nearest miss */
    int64_t masked, faint, garbled;         /* missed: masked, under-weighted, not decoded */
    double mass, rival, first, all, spread; /* sums over the questions (and marked ones) */
    double beside;                          /* of the marked: weight on all other tokens */
    int64_t marked, rivalled;
} probe_tally;

/* Who is asked, for what theory says of it. */
typedef struct probe_eye {
    const att_variant_part *part;
    int64_t window;  /* see probe_window */
    double rounding; /* how far it may move an output, as a share of the longest value; NAN: more
                      * than is declared */
} probe_eye;

/* Does the closed form show a question this key?  1, 0; -1: it says nothing. */
int probe_sees(probe_eye eye, const probe_circuit *c, const probe_question *a, int64_t key);

typedef struct probe_task {
    const char *name;
    const char *exposes;  /* the failure, in a few words */
    const char *spares;   /* controls (kernels/controls), space separated, that solve it by rights;
                           * any other that does is an error of the task.  NULL = none */
    int64_t facts;        /* a context, unless the case says otherwise */
    const char *haystack; /* likewise; NULL = noise */
    int64_t longest;      /* most tokens that it is asked at; 0 = any */
    bool theory;  /* whoever sees all evidence answers right, and nobody else: the closed form
                   * holds item by item */
    bool diffuse; /* with theory: an answer that is seen may have less than half of the weight */
    /* Lays out the contexts and the (first) questions; c has len, facts, haystack, code and, if the
     * case says so, contexts set, all else 0.  UNSUPPORTED with why: this length or number of facts
     * makes no sense. */
    att_status (*make)(probe_circuit *c, att_rng *rng, att_why *why);
    double (*chance)(const probe_circuit *c); /* of guessing right; NULL = 1 / PROBE_CODES */
    int64_t hops;                             /* attentions a question; 0 = 1 */
    int64_t base; /* length of the short context that accuracy is set against; 0 = none */
    /* Question i's vector in the queries q of the next attention, after `hop` of them, the last of
     * which gave out [contexts * heads,rows,width].  NULL: out itself, at norm 1. */
    void (*next)(const probe_circuit *c, int64_t i, int64_t hop, const float *out, float *q);
    /* Question i answered by out [hops][contexts * heads,rows,width], see probe_hop; NULL: the code
     * nearest to its last attention's is the answer, the margin over the others its score. */
    probe_outcome (*judge)(const probe_circuit *c, int64_t i, const float *out);
    /* With theory, where the answer follows from many keys: is question i answered right?  1, 0;
     * -1: theory says nothing.  NULL: whoever sees the evidence is right. */
    int (*predict)(probe_eye eye, const probe_circuit *c, int64_t i);
    /* Numbers of the task's own, in metrics that probe.c declares; NULL = none. */
    void (*record)(att_ctx *x, const probe_circuit *c, const float *out);
} probe_task;

#endif
