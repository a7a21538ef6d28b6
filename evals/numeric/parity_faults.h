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

/* parity_readings.c */
extern const parity_fault parity_faults[];

#endif
