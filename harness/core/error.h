/* SPDX-License-Identifier: Apache-2.0 */
/* The numeric rule: how far an exact kernel's output may lie from the float64 oracle's.
 *
 * For o = sum p_j v_j over a row's allowed keys, the rule derives from the kernel's declared unit
 * roundoffs a likely error sigma and a worst-case error B per element, the range that o can't leave
 * (hull), and the threshold tau for a row's mean e^2/sigma^2, given that score and probability
 * errors are shared by all of a row's elements (nu effective degrees of freedom).  See error_row.c
 * for the formulas and why each term is there. */
#ifndef ATT_ERROR_H
#define ATT_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"

/* A kernel's arithmetic as numbers. */
typedef struct att_units {
    double acc;         /* u_acc */
    double prob;        /* u_P */
    double prob_lost;   /* w_P: half the smallest subnormal of the probability type */
    double out;         /* u_out */
    double out_tiny;    /* smallest normal of the output type */
    double out_largest; /* largest finite of the output type */
    double acc_lost;    /* half the smallest subnormal of the accumulator */
} att_units;

/* Of a declared precision, for inputs of dtype `in` stored to dtype `out`; INVALID where the
 * declaration names no float type. */
att_status att_units_of(const att_precision *declared, int32_t in, int32_t out, att_units *units);

/* ------------------------------------------------------------------------ one row */

#define ATT_ERROR_LANES 2

/* dv rounded up: the length of V rows and of every result below; V's padding holds zeros. */
static inline int64_t att_error_pad(int64_t dv)
{
    return (dv + ATT_ERROR_LANES - 1) / ATT_ERROR_LANES * ATT_ERROR_LANES;
}

/* The allowed keys of one row.  A sink is one more key, the last, with v = 0, a = 0. */
typedef struct att_error_keys {
    int64_t n, dk, dv;
    bool sink;              /* the last key is the sink; its x is filled in */
    const double *s;        /* [n] final logits */
    const double *a;        /* [n] |scale| sum |q k|, times 1 - tanh^2 under softcap */
    const double *x;        /* [n] magnitudes of what follows the dot product */
    const double *const *v; /* [n] rows of att_error_pad(dv) */
    const double *drift;    /* [n] g/4 times the a of the longest run of g equal products in the dot
                             * product; NULL = no runs */
} att_error_keys;

/* What the rule says of one row; arrays of att_error_pad(dv). */
typedef struct att_error_row {
    double *o, *sigma, *bound; /* B, without the oracle's own error */
    double *own;               /* bound of a plain f64 evaluation's error: add it to B */
    double *hull_lo, *hull_hi;
    double lse, lse_bound, lse_own;
    double nu, tau;
} att_error_row;

/* Fills out's arrays, which the caller owns; NO_MEMORY.  Non-finite logits or values give NaN. */
att_status att_error_row_of(const att_error_keys *keys, const att_units *units, att_error_row *out);

/* tau(nu): the 8-sigma point of chi^2_nu / nu (Wilson and Hilferty 1931). */
double att_error_tau(double nu);

/* ---------------------------------------------------------------------- a problem */

/* What every kernel with the same accumulator shares when one problem is judged: logits and the
 * sums of the rule over keys. */
typedef struct att_profile att_profile;

/* p: dense or strided q, k, v (no packing, pages or quantisation).  allowed: [B,Hq,Sq,Skv].  out,
 * lse: the oracle's answers, dense f64 [B,Hq,Sq,Dv] and [B,Hq,Sq]; they must live as long as the
 * profile. FAILED: the oracle and the sums made here, written apart, do not agree within f64
 * rounding. */
att_status att_profile_make(const att_problem *p, const uint8_t *allowed, const double *out,
                            const double *lse, double u_acc, att_profile **profile, att_why *why);
void att_profile_drop(att_profile *profile);

/* How one output compares.  Ratios are at most 1 (sigma_ratio: 6) for a right kernel; INFINITY
 * where something is off that must be exact.  No maximum here can lose a NaN. */
typedef struct att_error {
    int64_t elements, rows;
    int64_t nonfinite;  /* elements (and LSEs) whose NaN/Inf pattern is not the contracted one */
    double sigma_ratio; /* max |e| / sigma */
    double bound_ratio; /* max |e| / B */
    double row_ratio;   /* max over rows of mean(e^2 / sigma^2) / tau */
    int64_t hull;       /* elements outside the hull */
    double lse_ratio;   /* max |LSE error| / B_LSE; 0 where no LSE is asked for */
    double max_abs, nmse, cosine;
    double
        twice_ratio; /* max |e| / (2 max |output rounding of the exact result|), as information */
    /* The first element in memory order that breaks the rule. */
    bool bad;
    const char *what; /* "nonfinite", "bound", "sigma", "hull", "row", "lse" */
    int64_t at[4];    /* b, h, i, d; d = -1 for an LSE or a whole row */
    double got, want, allowed, ratio;
} att_error;

/* out: any strides and float type, [B,Hq,Sq,Dv]; lse: f32 or f64, data NULL = not asked for. */
att_status att_error_judge(att_profile *profile, const att_tensor *out, const att_tensor *lse,
                           const att_units *units, att_error *error);

/* For a kernel that keeps the largest logits: by how much the best dropped key beats the worst kept
 * one, in units of what rounding could do to both; 0 where none does, at most 1 for a right one.
 * kept: [B,Hq,Sq,Skv], a subset of the profile's allowed pairs; among: the pairs that the choice
 * was made from, NULL = all allowed ones. */
double att_profile_gap(const att_profile *profile, const uint8_t *kept, const uint8_t *among);
/* The pairs that `kept` lacks of min(k, allowed) a row, less those of logit -inf, whose weight is 0
 * either way; *over: those it has beyond min(k, allowed). */
int64_t att_profile_short(const att_profile *profile, const uint8_t *kept, const uint8_t *among,
                          int64_t k, int64_t *over);

/* Logits s[j] of a row's allowed keys, NaN for all others, and the worst that rounding may do to
 * each, b[j]; both [Skv].  false: the row is not to be judged. */
bool att_profile_logits(const att_profile *profile, int64_t row, double *s, double *b);

/* What the rule allows of one row [B,Hq,Sq]: sigma and B (with the oracle's own error) of element
 * d, and the LSE's bound.  0 where the row has no keys or is not judged. */
void att_profile_element(const att_profile *profile, int64_t row, int64_t d, const att_units *units,
                         double *sigma, double *bound);
double att_profile_lse_bound(const att_profile *profile, int64_t row, const att_units *units);
/* What these units allow, as one number: mean log2 sigma over the judged elements that have one; 0
 * where none has. */
double att_profile_slack(const att_profile *profile, const att_units *units);

/* max(m, x), where a NaN in either stays. */
double att_error_fold(double m, double x);

#endif
