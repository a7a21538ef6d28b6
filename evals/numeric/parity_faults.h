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
    double *k, *v, *out, *lse;
    uint8_t *allowed, *mask;
    int64_t *positions;
    float *heads;
} parity_trial;

typedef struct parity_fault {
    const char *name, *text;           /* NULL ends the table */
    bool (*read)(parity_trial *trial); /* false: the case has nothing of the kind */
} parity_fault;

/* --- parity_readings.c */
extern const parity_fault parity_faults[];

/* The pairs of the contract (without its causality, if `free_of_causality`) as a full mask, changed
 * by `edit` a row; positions stay as they were. */
bool parity_redraw(parity_trial *t, bool free_of_causality,
                   void (*edit)(const parity_trial *t, int64_t b, int64_t i, uint8_t *row));
/* Forbids the keys from `end` on. */
void parity_close_from(const parity_trial *t, uint8_t *row, int64_t end);
/* A number a head, in `to`. */
bool parity_heads_as(parity_trial *t, float (*of)(const parity_trial *t, int64_t h),
                     att_tensor *to);

/* --- parity_readings_blocks.c */
bool parity_read_block_causal(parity_trial *t);
bool parity_read_shared_blocks_off(parity_trial *t);
bool parity_read_blocks_off(parity_trial *t);
bool parity_read_slopes_cut(parity_trial *t);

#endif
