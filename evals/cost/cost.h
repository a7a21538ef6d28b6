/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the cost eval: K and V on closed pages, what a call touched of them, and what the
 * kernel declares. */
#ifndef ATT_EVAL_COST_H
#define ATT_EVAL_COST_H

#include "base/touch.h"
#include "evals/numeric/parity.h"

/* K or V in memory that counts: row r = (i0 heads + h) rows + i2 of the tensor lies at r * step. */
typedef struct cost_side {
    att_touch memory;
    att_tensor view;
    size_t row, step; /* bytes */
    int64_t rows;
    bool apart;    /* no two rows share a page */
    bool shared;   /* V: the first columns of K's rows */
    uint8_t *seen; /* [rows] touched by the call */
    double bytes;  /* of a row's elements */
} cost_side;

/* A call's measurements. */
typedef struct cost_call {
    const parity_inputs *in;
    att_problem p;
    cost_side k, v;
    att_cost cost;     /* declared; NaN where nothing is */
    size_t cost_pages; /* that `cost` itself touched */
    uint8_t *pairs;    /* [B,Hq,Sq,Skv] attended to; NULL = not known */
    uint8_t *want;     /* [rows] of K and V that some pair needs */
    double n_pairs;
    bool twice; /* sequences share rows, which were declared for each */
} cost_call;

/* A mix: its kind by name, NSA's block, the blocks or keys chosen, keys of the window. */
typedef struct cost_mixed {
    const char *kind;
    int64_t block, keep, window;
} cost_mixed;

/* --- cost_side.c */
/* V as the first `width` columns of K's rows. */
void cost_side_share(const cost_side *k, int64_t width, cost_side *v);
/* A copy of t, each row on pages of its own, or as dense as t is; false: no memory (drop all the
 * same). */
bool cost_side_make(const att_tensor *t, bool apart, cost_side *out);
bool cost_side_close(cost_side *s);
/* Opens it again; the rows that were touched are seen. */
void cost_side_open(cost_side *s);
int64_t cost_side_count(const cost_side *s);
void cost_side_drop(cost_side *s);
/* Row of key j of sequence b. */
int64_t cost_row_of(const cost_call *c, int64_t b, int64_t h, int64_t j);

/* --- cost_reads.c: attention. */
att_status cost_reads(att_ctx *x, parity_inputs *in);
/* --- cost_recur.c: a recurrence over s->sk tokens, by the name of its rule. */
att_status cost_recur(att_ctx *x, const parity_spec *s, const char *rule);
/* --- cost_mix.c: a mix, on the sizes, causality, window and lengths of s; what it can't be. */
const char *cost_mix_nonsense(const parity_spec *s, const cost_mixed *m);
att_status cost_mix(att_ctx *x, const parity_spec *s, const cost_mixed *m);
/* --- cost_held.c: sessions of s->b sequences of s->sk tokens, s->sq a step. */
att_status cost_held(att_ctx *x, const parity_spec *s);
/* --- cost_judge.c: records what a call shows. */
void cost_judge(att_ctx *x, const cost_call *c);

#endif
