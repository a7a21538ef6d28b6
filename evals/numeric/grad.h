/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the grad eval: a case's gradients as the oracle has them, what a kernel's may be off
 * by, central differences of the forward, and the dictionary of faults. */
#ifndef ATT_GRAD_EVAL_H
#define ATT_GRAD_EVAL_H

#include "evals/numeric/parity.h"

typedef enum grad_of { GRAD_DQ = 0, GRAD_DK, GRAD_DV, GRAD_DBIAS, GRADS } grad_of;

static const char *const grad_names[GRADS] = {"dq", "dk", "dv", "dbias"};

/* One gradient, dense in the order of what it is the gradient of ([B,H,S,D], or the bias's own
 * shape), and per element the variance of a right kernel's error and its bound. */
typedef struct grad_field {
    double *x, *variance, *bound;
    uint8_t *reached; /* some allowed pair adds to the element */
    int64_t n;
} grad_field;

typedef struct grad_answer {
    grad_field of[GRADS];
} grad_answer;

/* One case's inputs, shared by every kernel that runs it: parity's, and dout, out and LSE in frozen
 * guarded buffers of their own (rows that are not there hold NaN). */
typedef struct grad_inputs {
    parity_inputs *in;
    att_guard guard[3];
    att_tensor dout, out, lse;
    double *dout_x;        /* [B,Hq,Sq,Dv] as stored */
    double *oracle[GRADS]; /* dense */
    int64_t n[GRADS];      /* elements; no bias: 0 */
    int32_t dtype[GRADS];
    grad_answer exact;  /* of f64 */
    grad_answer answer; /* for `units` of every gradient, once known */
    att_units units[GRADS];
    bool known;
} grad_inputs;

/* What a reading of the gradients does otherwise than the contract; all 0: nothing. */
typedef struct grad_reading {
    bool dq_unscaled, dk_unscaled; /* scale missing */
    bool mean_missing;             /* D = 0 */
    bool mean_given;               /* D = dout . out, whatever the pairs are */
    bool slope_missing;            /* of the softcap */
    bool weights_raw;              /* exp(s - m), not divided, in dv */
    bool weights_raw_all;          /* the same in all */
    bool sink_missing;             /* p divided by the sum without the sink */
    int group_only;                /* of a group only its: 1 first, 2 last head */
    bool negated;
} grad_reading;

/* A problem to differentiate: the pairs and logits of a profile, of a problem with these q and k.
 * lse, out: [B,Hq,Sq], [B,Hq,Sq,Dv], without the sink and with it; dout as out. */
typedef struct grad_call {
    const att_problem *p;
    const att_profile *f;
    const double *q, *k, *lse, *out, *dout;
    int32_t storage;             /* of the out that a kernel is given */
    int32_t lse_dtype;           /* and of the LSE */
    const grad_reading *reading; /* NULL = the contract */
} grad_call;

/* --- grad_rule.c: fills every field; NO_MEMORY. */
att_status grad_rule(const grad_call *c, const att_units units[GRADS], grad_answer *out);
att_status grad_answer_make(const int64_t n[GRADS], grad_answer *out);
void grad_answer_drop(grad_answer *a);

/* --- grad_inputs.c */
att_status grad_inputs_make(att_ctx *x, const parity_spec *spec, grad_inputs **out);
void grad_inputs_drop(void *inputs);
/* dout times a number that is exact in every type, in both forms. */
void grad_scale_dout(grad_inputs *g, double by);
/* dout and dense f64 gradients of the plain problem. */
att_grad grad_plain_section(const grad_inputs *g, double *const to[GRADS]);
/* The contract's call on the case with an accumulator's profile. */
att_status grad_call_of(att_ctx *x, grad_inputs *g, double u_acc, grad_call *out);

/* --- grad_outputs.c: the gradients that a kernel writes, in guarded memory, all NaN, and dense
 * copies of what was written. */
typedef struct grad_outputs {
    att_guard guard[GRADS];
    att_tensor at[GRADS], got[GRADS]; /* got: without data where not asked for */
} grad_outputs;
bool grad_outputs_make(const grad_inputs *g, att_grad *section, grad_outputs *o);
/* Moves what was written into `got` and puts the pattern back in its place: every byte still
 * changed was written where nothing should be. */
void grad_outputs_collect(const grad_inputs *g, grad_outputs *o);
size_t grad_outputs_changed(const grad_outputs *o);
/* Is all that was written outside the one row before the first of a gradient?  *of: of which. */
bool grad_outputs_row_before(const grad_outputs *o, grad_of *of);
void grad_outputs_drop(grad_outputs *o);

/* --- grad_judge.c */
typedef struct grad_error {
    int64_t nonfinite, elements;
    int64_t compared;  /* elements finite on both sides */
    int64_t unreached; /* elements that no pair adds to and that are not exactly +0 */
    double sigma_ratio[GRADS], bound_ratio[GRADS];
    double max_abs, nmse;
    /* The first element off in memory order. */
    const char *what; /* NULL = none */
    grad_of of;
    int64_t at[4]; /* of what it is the gradient of */
    double got, want, allowed, ratio;
} grad_error;
void grad_judge(const grad_inputs *g, const grad_answer *want, const att_tensor got[GRADS],
                const att_units units[GRADS], grad_error *e);

/* --- grad_differences.c: holds f64 gradients (of the plain problem) against central differences of
 * the oracle's forward.  worst: the largest difference over its tolerance, NAN where the case has
 * what is not finite; where over 1, *of and *at say which element is off. */
att_status grad_differences(att_ctx *x, const grad_inputs *g, double *const grads[GRADS],
                            double *worst, grad_of *of, int64_t *at);

/* --- grad_faults.c */
void grad_diagnose(att_ctx *x, grad_inputs *g, const grad_outputs *o, const att_units units[GRADS],
                   const grad_error *e);

#endif
