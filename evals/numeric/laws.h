/* SPDX-License-Identifier: Apache-2.0 */
/* Laws: what must hold between a kernel's answers to related problems.
 *
 * A law states a base problem and sides: the same problem with something changed that must not
 * matter, or must matter in a known way.  Every index of a side is one of the base (or new), so
 * that each row of the base meets its rows of the sides.  Made once a group, shared by all kernels.
 */
#ifndef ATT_LAWS_H
#define ATT_LAWS_H

#include "core/eval.h"
#include "evals/numeric/parity.h"

#define LAW_SIDES 48

/* Where the indices of a side lie in the base: [B] [Hq] [Hkv] [Sq] [Skv]; -1 = not in the base. */
typedef struct law_cells {
    int64_t *b, *h, *hk, *i, *j;
} law_cells;

typedef struct law_side {
    parity_spec spec;
    law_cells at;
    parity_inputs *in;
    double times;     /* its output's factor in the base's; 1 */
    int64_t *row;     /* [rows of the base] its row of each, -1 = none */
    uint8_t *silent;  /* [rows of the base] of which the law says nothing; NULL = none */
    double *shift;    /* [rows of the base] its LSE less the base's; NULL = 0 */
    int64_t *channel; /* [Hq of the base][Dv] its channel of each; NULL = the same */
} law_side;

typedef enum law_kind {
    LAW_BITWISE, /* every row equals that of each side, bit for bit: what may not matter */
    LAW_EQUAL,   /* every row equals that of each side, within both error bounds */
    LAW_SUM,     /* is the sum of its sides' times their factors */
    LAW_MERGE,   /* is the merge of its sides by their LSEs */
    LAW_KNOWN    /* is `want` */
} law_kind;

typedef struct law_case law_case;

typedef struct law {
    const char *name, *text; /* NULL ends the table */
    unsigned classes;        /* ATT_BINDS_*: of which kernels it must hold */
    law_kind kind;
    bool lse;                         /* of the LSE too */
    void (*adapt)(parity_spec *spec); /* adds to a case what the law speaks of; NULL = nothing */
    att_status (*make)(law_case *c);  /* base and sides */
} law;

struct law_case {
    att_ctx *x; /* while it is made */
    const law *law;
    parity_spec spec;   /* adapted */
    char words[11][16]; /* the spec's own: those of the case do not live as long */
    att_rng rng;        /* for what the law draws */
    parity_inputs *base;
    law_side side[LAW_SIDES];
    size_t sides;
    double *want;  /* LAW_KNOWN: [rows][Dv] */
    bool one_form; /* a kernel that refuses the base has its sides held to the oracle's answer */
};

/* --- laws_sides.c */
void law_drop(void *law_case_);
/* The base, with numbers changed by `edit` (may be NULL). */
att_status law_base(law_case *c, parity_edit edit, void *arg);
/* A new side of this spec, its indices those of the base as far as it has them; NULL: no memory or
 * no more sides.  The law changes `at`, then closes it: what lies in the base is copied, the rest
 * is k = 0, v = 0, allowed, without bias; then `edit` may change numbers. */
law_side *law_open(law_case *c, const parity_spec *spec);
att_status law_close(law_case *c, law_side *side, parity_edit edit, void *arg);
/* Both at once, indices as they are. */
att_status law_side_like(law_case *c, const parity_spec *spec, parity_edit edit, void *arg);
/* Words that several laws put in place of a case's own. */
void law_explicit_positions(parity_spec *s); /* where positions count: given ones */
void law_without_lengths(parity_spec *s);
void law_without_blocks(parity_spec *s); /* where rows or keys are cut */
int64_t law_rows(const parity_spec *s);

/* --- laws_judge.c: runs the kernel on all of it and records. */
att_status law_judge(law_case *c, att_ctx *x, const att_units *units);

/* --- The laws, by groups of kin. */
extern const law laws_perturb[], laws_order[], laws_forms[], laws_steps[], laws_values[],
    laws_packed[];

#endif
