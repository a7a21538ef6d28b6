/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the refusal eval: an honest problem in guarded memory, and the lies told in it. */
#ifndef ATT_REFUSAL_H
#define ATT_REFUSAL_H

#include "attn.h"
#include "base/mem.h"

/* The honest problem's sizes. */
enum {
    REFUSAL_B = 2,
    REFUSAL_HQ = 4,
    REFUSAL_HKV = 2,
    REFUSAL_SQ = 5,
    REFUSAL_SK = 9,
    REFUSAL_D = 8,
    REFUSAL_PAGE = 4,
    REFUSAL_PAGES = 3, /* a sequence */
    REFUSAL_POOL = 7
};

/* What it holds beside q, k, v, out and lse. */
typedef enum refusal_with {
    REFUSAL_PLAIN,
    REFUSAL_LSE, /* nothing: all hold an LSE but those of kernels with a function of their own */
    REFUSAL_MASK,
    REFUSAL_BIAS,
    REFUSAL_BLOCKS,
    REFUSAL_SLOPES,
    REFUSAL_SINKS,
    REFUSAL_POSITIONS,
    REFUSAL_LENGTHS,
    REFUSAL_PACKED,
    REFUSAL_PAGED,
    REFUSAL_STATE, /* a recurrence's section, states in and out: asked as ATT_OP_RECUR */
    REFUSAL_NORM   /* that of a rule with a normaliser */
} refusal_with;

#define REFUSAL_GUARDS 12

typedef struct refusal {
    att_problem p;
    att_recur section;
    att_guard in[REFUSAL_GUARDS], out, lse, state_out, z_out;
    size_t guards;
} refusal;

typedef struct refusal_lie {
    const char *name; /* NULL ends the table */
    refusal_with with;
    void (*tell)(refusal *r);
    const char *fault; /* the bug of a kernel that believes it; "" = none known */
} refusal_lie;

static inline bool refusal_recurs(refusal_with with)
{
    return with == REFUSAL_STATE || with == REFUSAL_NORM;
}

/* --- refusal_make.c: an honest problem of dtype, a recurrence of `rule`; inputs end at guard
 * pages, outputs hold 0xff.  false: no memory; drop it all the same. */
bool refusal_make(refusal *r, refusal_with with, int32_t dtype, int32_t rule);
/* Inputs are read-only during a call. */
void refusal_freeze(refusal *r, bool frozen);
/* Bytes of out, LSE and states, and around them, that were written. */
size_t refusal_touched(const refusal *r);
void refusal_drop(refusal *r);

/* --- refusal_lies.c */
extern const refusal_lie refusal_lies[];

#endif
