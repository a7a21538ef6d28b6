/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the quantise eval: calls in guarded memory, and what a quantiser may be off by. */
#ifndef ATT_QUANTISE_H
#define ATT_QUANTISE_H

#include "evals/numeric/parity.h"

/* One case: x [B,H,S,D] of a float type, quantised as `how` says. */
typedef struct quantise_case {
    int64_t n[4];
    const parity_scheme *how;
    bool zeros; /* are zeros asked for? */
    int32_t dtype;
    const char *layout, *to; /* strides of the source; of codes, scales and zeros */
    att_placement place;
} quantise_case;

int64_t quantise_cells(const quantise_case *c);

/* --- quantise_call.c: each through the kernel under test; numbers are dense doubles. */
/* `from` rounded to the source's type, quantised by the kernel; `to`: what its codes mean.
 * *redzone: gains bytes written outside codes, scales and zeros. */
att_status quantise_call(att_ctx *x, const quantise_case *c, const double *from, double *to,
                         double *redzone);
/* `from` quantised here: `exact` is what the codes mean, `got` what the kernel's dequantise says of
 * them. */
att_status quantise_back(att_ctx *x, const quantise_case *c, const double *from, double *exact,
                         double *got, double *redzone);

/* --- quantise_judge.c */
typedef struct quantise_score {
    double nonfinite; /* elements lost to, or made, NaN or Inf where that is wrong */
    double ratio;     /* largest error over what half a step and the scale's rounding allow */
    double max_abs;
    double bad, bad_equal, bad_zero; /* wrong elements; those among numbers that are all equal, 0 */
    int64_t at; /* the element of the largest ratio, or the first that is not finite; -1 = none */
} quantise_score;
/* got: what codes mean, of the numbers `from` (as stored in the source's type). */
quantise_score quantise_judge(const quantise_case *c, const double *from, const double *got);
/* got: what the kernel read, of codes that mean `exact`. */
quantise_score quantise_judge_back(const quantise_case *c, const double *exact, const double *got);
/* Tokens whose scales cover none from `first` on. */
int64_t quantise_prefix(const quantise_case *c, int64_t first);

#endif
