/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary's rows: what each known bug makes of a case. */
#ifndef ATT_PARITY_FAULTS_H
#define ATT_PARITY_FAULTS_H

#include "evals/numeric/parity.h"

/* One fault's reading of the case: a problem and what it holds beside the case's own memory. */
typedef struct parity_trial {
    att_ctx *x;
    const parity_inputs *in;
    att_problem p;
    double *q, *k, *v, *bias, *out, *lse;
    uint8_t *allowed, *mask;
    int64_t *positions;
    float *heads;
    int64_t n;       /* the reading's own number */
    const char *why; /* its own text, in place of the row's; NULL = none */
} parity_trial;

typedef struct parity_fault {
    const char *name, *text; /* NULL ends the table; # in the text is the number, which the
                                name has behind it as {n} */
    bool (*read)(parity_trial *trial); /* false: the case has nothing of the kind */
    const int64_t *of;                 /* numbers to try, ends with 0; NULL: there are none */
} parity_fault;

extern const parity_fault parity_faults[];        /* parity_readings.c */
extern const parity_fault parity_logit_faults[];  /* parity_readings_logits.c */
extern const parity_fault parity_memory_faults[]; /* parity_readings_memory.c */
extern const parity_fault parity_tile_faults[];   /* parity_readings_tiles.c */
extern const parity_fault parity_term_faults[];   /* parity_readings_terms.c */
extern const parity_fault parity_quant_faults[];  /* parity_readings_quant.c */
extern const parity_fault parity_far_faults[];    /* parity_readings_far.c */

/* --- parity_again.c */
#define PARITY_NAMES 96
typedef struct parity_found {
    double ratio;
    char fault[48], text[120];
} parity_found;
typedef struct again {
    att_ctx *x;
    const parity_inputs *in;
    att_profile *profile;
    const att_units *units;
    bool unsteady, reads_output;     /* the result differs in a second call; by what outputs held */
    uint8_t *out, *lse;              /* rows that no call writes */
    parity_found name[PARITY_NAMES]; /* best first */
    size_t named;
} again;

/* Tries all readings on an output, or on its LSE where the rest is right.  e: how the output,
 * without LSE, compares with the right answer (parity_explain.c). */
void parity_explain(const parity_outputs *o, const att_error *e, again *g);
/* One reading of a caller's own, on the same terms: its ratio, NaN = does not hold.  The trial
 * answers once; drop it. */
double parity_explains(parity_trial *t, const att_tensor *got, const att_error *e, again *g);
void parity_trial_drop(parity_trial *t);
/* A cause, with its ratio (at most 1). */
void parity_name(again *g, const char *fault, double ratio, const char *text);
/* Diagnoses: what was named, or that nothing was; and where an output is wrong first. */
void parity_say_names(const again *g);
void parity_say_first(att_ctx *x, const att_error *e);
/* Makes a wrong call again.  g: context, inputs, profile and units are given; drop it in any case.
 * false: nothing was learnt. */
bool parity_call_again(const parity_outputs *o, again *g);
void parity_again_drop(again *g);

/* --- parity_moves.c: right results in wrong places, or times a factor. */
void parity_moves(const att_tensor *got, again *g);

/* --- parity_readings_far.c: right results of a far output where wrapped offsets lead. */
void parity_far_moves(const parity_outputs *o, again *g);

/* --- parity_marks.c */
void parity_marks(const parity_inputs *in, const parity_outputs *o, again *g);

/* --- parity_readings.c */
/* The pairs of the contract (without its causality, if `free_of_causality`) as a full mask, changed
 * by `edit` a row; positions stay as they were. */
bool parity_redraw(parity_trial *t, bool free_of_causality,
                   void (*edit)(const parity_trial *t, int64_t b, int64_t i, uint8_t *row));
/* Forbids the keys from `end` on. */
void parity_close_from(const parity_trial *t, uint8_t *row, int64_t end);
/* A number a head, in `to`. */
bool parity_heads_as(parity_trial *t, float (*of)(const parity_trial *t, int64_t h),
                     att_tensor *to);

/* --- parity_readings_logits.c */
typedef struct parity_place {
    int64_t b, h, i;
} parity_place;
/* Rows of the output, and where one of them belongs. */
int64_t parity_rows(const parity_trial *t);
parity_place parity_place_of(const parity_trial *t, int64_t row);
/* Gives the trial a bias of its own, [B,Hq,Sq,Skv] in doubles: the case's, 0 without one. */
bool parity_own_bias(parity_trial *t);
/* scale q.k */
double parity_score(const parity_trial *t, parity_place at, int64_t j);
/* The final logit of key j under the right reading; the trial's bias is still the case's. */
double parity_logit(const parity_trial *t, int64_t row, int64_t j);
/* The largest of those that the row may see before key `end`; -inf without any. */
double parity_top(const parity_trial *t, int64_t row, int64_t end);
/* A row of that bias becomes NaN, and so does the row's result if it has keys. */
void parity_spoil_row(parity_trial *t, int64_t row);
/* Does the mask forbid key j? */
bool parity_masked(const parity_inputs *in, parity_place at, int64_t j);

/* --- parity_readings_blocks.c */
bool parity_read_block_causal(parity_trial *t);
bool parity_read_block_window(parity_trial *t);
bool parity_read_shared_blocks_off(parity_trial *t);
bool parity_read_blocks_off(parity_trial *t);
bool parity_read_slopes_cut(parity_trial *t);

/* --- parity_saturated.c: names probabilities that saturate, where they explain the output. */
void parity_saturated(const att_tensor *got, again *g);

#endif
