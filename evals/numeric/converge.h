/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the converge eval: one case's call with a budget put in place, and what is asked of
 * the answers of kernels that keep a part of the problem, or that draw random numbers. */
#ifndef ATT_CONVERGE_H
#define ATT_CONVERGE_H

#include "core/eval.h"
#include "evals/numeric/parity.h"

/* One case under one kernel.  `part` is the kernel under test with values of its own. */
typedef struct converge_case {
    att_ctx *x;
    parity_inputs *in;
    att_problem p; /* given, with outputs */
    parity_outputs o;
    att_units units;
    att_variant_part part;
    att_value *values;
    int place, seed; /* of the parameters of these roles; seed -1 = none */
    int64_t draws, base;
    double size;
    int64_t nonfinite; /* elements whose NaN/Inf pattern is wrong, over all calls */
} converge_case;

/* --- converge.c */
/* Attends with this budget (and seed, where the kernel has one); the answer is then in o.got and
 * o.got_lse. */
att_status converge_call(converge_case *c, int64_t budget, int64_t seed);
/* Rows that are judged: false past a sequence's length. */
bool converge_row(const parity_inputs *in, int64_t row);
/* sum |got - out|^2 / sum |out|^2, out the oracle's. */
double converge_error(const converge_case *c);

/* --- converge_budget.c: a parameter of role BUDGET */
att_status converge_budget(converge_case *c);

/* --- converge_samples.c: one of role SAMPLES */
att_status converge_samples(converge_case *c);

/* --- converge_features.c: the variances of m = 1 positive random feature (common/favor.h), with
 * p_j softmax's weights, x and y_j the row's scaled query and keys, C_jl = exp((x+y_j).(x+y_l)) - 1
 *
 *   u[row][d] = sum_jl p_j p_l C_jl (v_jd - o_d)(v_ld - o_d)    of  U = (o^ - o) D^ / D
 *   w[row]    = sum_jl p_j p_l C_jl                             of  D^ / D
 *
 * o^ and D^ the estimates.  Divided by m for m independent features; at most 1 + 3 / (d + 1) times
 * that where they are orthogonal in blocks of d.  O(rows n^2 (d + dv)). */
att_status converge_features(const parity_inputs *in, double *u, double *w);

#endif
