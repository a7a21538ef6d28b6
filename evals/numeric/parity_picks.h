/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a selecting kernel must keep: the parts that its rules share (parity_picks.c). */
#ifndef ATT_PARITY_PICKS_H
#define ATT_PARITY_PICKS_H

#include "evals/numeric/parity.h"

#define CHOICE_PARAMS 3

/* What a reading of the rules does otherwise; all 0: nothing (parity_picks_faults.c). */
typedef struct choice_reading {
    int64_t more;        /* kept beyond the budget, where there is a choice */
    bool in_keys;        /* the budget, in blocks, is read as keys */
    bool smallest;       /* the smallest scores are kept */
    bool own_free;       /* the query's own block is ranked like any other */
    bool maxima;         /* a page is scored by its maxima alone */
    bool first_key;      /* a block's first key stands for it */
    bool whole_block;    /* means are divided by the block's size, full or not */
    bool crossing_left;  /* the key whose weight reaches p is left out */
    const uint8_t *seen; /* keys that statistics are taken from, [B,Hq,Sq,Skv]; NULL: allowed */
} choice_reading;

/* One query head of one sequence, as the oracle sees it, and what the kernel kept of it. */
typedef struct choice_head {
    const parity_inputs *in;
    const att_profile *profile; /* logits, with what rounding may do to them */
    att_value v[CHOICE_PARAMS]; /* the kernel's, in the order of the rule's */
    double u;                   /* of its accumulator */
    int64_t b, h, kv;           /* sequence, query head, KV head */
    const uint8_t *may, *kept;  /* [Sq][Skv] */
    const uint8_t *seen;        /* [Sq][Skv]: what statistics are taken from */
    choice_reading reading;
} choice_head;

/* What is wrong, over all heads. */
typedef struct choice_tally {
    double gap;      /* a dropped one's score above a kept one's, in units of their errors */
    int64_t missing; /* kept fewer than the budget, or not what must be */
    int64_t over;    /* kept beyond it, or what may not be */
    int64_t torn;    /* pairs missing from kept blocks */
    int64_t unkept;  /* not kept though they are whatever they score */
} choice_tally;

/* The query and the keys of a head; a row's query position. */
const double *choice_query(const choice_head *c, int64_t i);
const double *choice_key(const choice_head *c, int64_t j);
int64_t choice_position(const choice_head *c, int64_t i);

/* Something that is kept whole or not at all, in one row. */
typedef struct candidate {
    double score, error; /* in f64, and what rounding may do to it */
    int64_t may, kept;   /* pairs: allowed, kept */
    bool forced;         /* kept first; counts in the budget */
} candidate;

/* Adds what is wrong with the kept ones of a row: they are `budget`, or all, and none that was
 * dropped scores higher, as far as their errors tell.  Candidates without allowed pairs are none.
 */
void choice_judge(const candidate *c, int64_t n, int64_t budget, choice_tally *t);

/* Nothing wrong with the choice, as far as rounding can tell? */
static inline bool choice_holds(const choice_tally *t)
{
    return t->gap <= 1 && t->missing == 0 && t->over == 0 && t->torn == 0 && t->unkept == 0;
}

/* Of n scores, which are surely (must) and possibly (may) among the k largest.  Those that are not
 * numbers make all possible and none sure.  false: no memory. */
bool choice_ranks(const double *score, const double *error, int64_t n, int64_t k, uint8_t *must,
                  uint8_t *may);

/* --- parity_picks_faults.c: which known slip explains a choice.  {0} ends the table. */
typedef struct choice_fault {
    const char *name, *text;
    choice_reading reading;
    bool of_unseen; /* statistics are taken from keys that causality hides as well */
} choice_fault;
extern const choice_fault choice_faults[];
/* The case's pairs without causality and the window to the right, [B,Hq,Sq,Skv]; NULL: no memory.
 * Owned by the caller. */
uint8_t *parity_open_pairs(att_ctx *x, const parity_inputs *in);

/* Rules: each judges one head.  NO_MEMORY. */
att_status choice_pages(const choice_head *c, choice_tally *t);  /* {page, pages} */
att_status choice_means(const choice_head *c, choice_tally *t);  /* {block, blocks} */
att_status choice_mass(const choice_head *c, choice_tally *t);   /* {p, least} */
att_status choice_routes(const choice_head *c, choice_tally *t); /* {clusters, probes, draw} */
att_status choice_lines(const choice_head *c, choice_tally *t);  /* {vertical, slash, last} */

#endif
