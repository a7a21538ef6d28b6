/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the rope eval: a case as doubles, its exact answer with a bound, and the readings of
 * those who have a known bug. */
#ifndef ATT_ROPE_EVAL_H
#define ATT_ROPE_EVAL_H

#include <stdbool.h>

#include "attn.h"
#include "base/rng.h"
#include "core/ctx.h"
#include "core/error.h"

/* Where the rotated vectors come from and how they turn. */
typedef struct rope_case {
    int64_t b, h, s, d;
    int64_t rotary;           /* dimensions that turn, even, at most d */
    int64_t distance;         /* between the two dimensions of a pair */
    int64_t step;             /* pair i begins at dimension i * step */
    double theta, width;      /* pair i turns by position * theta^(-2 i / width) */
    double sign;              /* of the angle: 1 */
    const double *rate;       /* [rotary/2] pair i turns by position * rate[i]; NULL = by theta */
    double gain;              /* of cos and sin: 1 */
    const int64_t *positions; /* [B][S] */
    const double *x;          /* [B,H,S,D] */
    const double *cos, *sin;  /* [B][S][rotary/2], NULL = computed */
} rope_case;

/* What a case's result may be: [B,H,S,D] each.  free: 1 where 0 meets a value that is not finite,
 * whose product a kernel need not form. */
typedef struct rope_answer {
    double *o, *bound;
    uint8_t *free;
} rope_answer;

/* --- rope_inputs.c: the section's scaling by the word of a case (others: plain); the rates that
 * it makes, by the ramp of the other kind if `swapped`; and what cos and sin are multiplied by. */
void rope_scale(const char *word, att_rope *r);
void rope_rates(const rope_case *c, const att_rope *r, bool swapped, double *rate);
double rope_gain(const att_rope *r);
/* n numbers of a family. */
void rope_fill(const char *values, int32_t dtype, int64_t n, att_rng *rng, double *x);

/* |e| <= ulp_out(o) / 2 + 3 u_acc (|c x1| + |s x2|) + underflow; where a kernel computes the angle
 * itself in its accumulator, that angle is off by u_acc (4 + 2 i / width ln theta) |angle| at most,
 * which the bound adds if `loose`.  Scaled: 6 u_acc and an angle of the plain frequency, 6 more
 * roundings of it.  Dimensions that do not turn are exact. */
void rope_answer_of(const rope_case *c, const att_units *units, bool loose, rope_answer *out);

/* Names the bugs that explain `got` (dense [B,H,S,D], as written); p is the call, `in_place`
 * whether it was made so. */
void rope_diagnose(att_ctx *x, const rope_case *c, const att_problem *p, const att_units *units,
                   const double *got, bool in_place);

#endif
