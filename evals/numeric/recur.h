/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the recur eval: a case's inputs in guarded memory, the recurrence in float64 with
 * the size of its rounding errors, and the dictionary of faults that explains a wrong result. */
#ifndef ATT_RECUR_H
#define ATT_RECUR_H

#include <stdbool.h>

#include "attn.h"
#include "base/mem.h"
#include "core/ctx.h"
#include "core/error.h"

typedef struct recur_limit recur_limit;

/* A case's parameters. */
typedef struct recur_spec {
    int64_t b, hq, hkv, t, d, dv;
    const char *gates, *betas, *values, *layout, *calls;
    double scale; /* NaN = default */
    int32_t rule, dtype;
    att_placement place;
    bool channels;        /* g a channel, not a head */
    bool starts, returns; /* state_in given, state_out asked for (and z, where the rule has one) */
    bool in_place;        /* and they are the same memory */
    const recur_limit *limit; /* held to another rule; NULL = to its own */
} recur_spec;

#define RECUR_GUARDS 8
#define RECUR_AHEAD  63 /* tokens past the end that a reading may take in */

/* Dense doubles as they were stored: q [B,Hq,T,Dk], k [B,Hkv,T,Dk], v [B,Hkv,T,Dv], g as k (one a
 * channel), beta [B,Hkv,T], s [B,Hkv,F,Dv], z [B,Hkv,F] (F features of Dk numbers; most rules: Dk).
 */
typedef struct recur_numbers {
    double *q, *k, *v, *g, *beta, *s, *z;
} recur_numbers;

/* A result and what its elements may be off by:
 *   likely^2 = (u_acc sigma)^2 + (out rounding)^2 / 12,   worst = u_acc units + lost w + rounding
 * with w half the accumulator's smallest subnormal. */
typedef struct recur_field {
    double *x, *units, *sigma, *lost;
    int64_t n;
} recur_field;

/* out [B,Hq,T,Dv], s [B,Hkv,F,Dv], z [B,Hkv,F]. */
typedef struct recur_answer {
    recur_field out, s, z;
} recur_answer;

/* One case's inputs, shared by every kernel that runs it.  `given` is what a kernel gets, without
 * outputs; `section` its recurrent part. */
typedef struct recur_inputs {
    recur_spec spec;
    att_problem given;
    att_recur section;
    recur_numbers numbers;
    recur_answer answer;
    att_guard guard[RECUR_GUARDS];
    size_t guards;
} recur_inputs;

/* What a reading of the recurrence does otherwise than the contract; all 0: nothing. */
typedef struct recur_reading {
    bool decay_missing, decay_late, decay_base_2, decay_by_query_head;
    bool delta_reads_undecayed, beta_missing, read_before_write;
    bool norm_missing, norm_over_heads, norm_of_keys_only;
    bool state_forgotten, scale_missing, heads_tiled;
    int64_t norm_missing_upto; /* calls of up to this many tokens leave out the normaliser */
    int64_t block;             /* the state that leaves a block of so many tokens is aged only to
                                * token block - 7 + 2 (d % 4) of it */
    int64_t chunk;             /* every call takes in whole chunks of so many tokens: the next
                                * call's, and what lies in memory past the last one's */
    const recur_numbers *past; /* that memory, as numbers of RECUR_AHEAD tokens */
} recur_reading;

static inline bool recur_gated(int32_t rule)
{
    return rule == ATT_RULE_GLA || rule == ATT_RULE_GATED_DELTA || rule == ATT_RULE_SSD;
}

static inline bool recur_delta(int32_t rule)
{
    return rule == ATT_RULE_DELTA || rule == ATT_RULE_GATED_DELTA;
}

/* Is the output divided by z . q? */
static inline bool recur_normed(int32_t rule)
{
    return rule == ATT_RULE_LINEAR_ELU1 || rule == ATT_RULE_BASED;
}

/* F */
static inline int64_t recur_features(const recur_spec *s)
{
    return s->rule == ATT_RULE_BASED ? 1 + s->d + s->d * s->d : s->d;
}

/* The F features of the Dk numbers at x; based's scale stands before those of a query. */
void recur_map(const recur_spec *s, const double *x, double *out);

/* Tokens of the call that begins at `first`. */
int64_t recur_call_length(const recur_spec *s, int64_t first);

/* Token, head and width products: what a case costs. */
double recur_work(const recur_spec *s);
bool recur_fits(const recur_spec *s);

/* --- recur_inputs.c */
att_status recur_inputs_make(att_ctx *x, const recur_spec *spec, recur_inputs **out);
void recur_inputs_drop(void *inputs);

/* --- recur_walk.c */
/* The recurrence and the size of its errors, as `reading` has it; NO_MEMORY. */
att_status recur_walk(const recur_spec *s, const recur_numbers *n, const recur_reading *reading,
                      recur_answer *out);

/* --- recur_limits.c: where one rule is another. */
struct recur_limit {
    const char *name; /* NULL ends the table */
    int32_t rule, partner;
    const char *gates, *betas, *values;     /* of the case; NULL = as it says */
    bool one_gate, empty;                   /* a gate a head; no state given or asked for */
    bool one_wide, short_of_d;              /* d = 1; t <= d */
    bool unscaled;                          /* the rule's default scale is 1 */
    bool no_v, no_q, no_qk, no_gate, fixed; /* the partner's: zeros, or g = ln gamma_h */
};
extern const recur_limit recur_limits[];
/* NULL: the rule has none of that name. */
const recur_limit *recur_limit_of(const char *name, int32_t rule);
void recur_limit_adapt(const recur_limit *l, recur_spec *s);
/* The partner's answer to the same numbers; drop it (recur_answer_drop).  NO_MEMORY. */
att_status recur_limit_answer(const recur_limit *l, const recur_spec *s, const recur_numbers *n,
                              recur_answer *out);

/* --- recur_twin.c */
/* The same answer by the quadratic form: out [B,Hq,T,Dv], state [B,Hkv,F,Dv], z [B,Hkv,F];
 * NO_MEMORY. */
att_status recur_twin(const recur_spec *s, const recur_numbers *n, double *out, double *state,
                      double *z);

/* --- recur_outputs.c */
/* One output in guarded memory, and a dense copy of what was written there. */
typedef struct recur_output {
    att_guard guard;
    att_tensor at, got;
} recur_output;

/* out, the final state and normaliser, and two of each by turns to hand on between calls. */
typedef struct recur_outputs {
    recur_output out, s, z, between_s[2], between_z[2];
} recur_outputs;

/* false: no memory (drop all the same). */
bool recur_outputs_make(const recur_spec *s, recur_outputs *o);
/* Moves what was written into the dense copies and puts the pattern back in its place; returns the
 * bytes still changed, which were written where nothing should be. */
size_t recur_outputs_collect(recur_outputs *o);
void recur_outputs_drop(recur_outputs *o);
/* Dense f32 numbers into a state that is updated in place. */
void recur_output_fill(recur_output *o, const double *x);
/* Elements of a dense copy that no kernel wrote. */
int64_t recur_unwritten(const att_tensor *got);

/* --- recur_judge.c */
att_status recur_answer_make(const recur_spec *s, recur_answer *out);
void recur_answer_drop(recur_answer *a);
/* The first element off in memory order. */
typedef struct recur_bad {
    const char *what; /* "out", "state", "z"; NULL = none */
    int64_t at[4];    /* b, head, t (or channel), d */
    double got, want, allowed, ratio;
} recur_bad;

typedef struct recur_error {
    int64_t nonfinite, elements;
    double sigma_ratio, bound_ratio;             /* out */
    double state_sigma_ratio, state_bound_ratio; /* s and z */
    double max_abs, nmse;
    recur_bad bad;
} recur_error;

/* got: dense, out in the case's dtype; s and z f32, without data where not asked for. */
void recur_judge(const recur_spec *s, const recur_answer *want, const att_tensor *out,
                 const att_tensor *state, const att_tensor *z, const att_units *units,
                 recur_error *e);

/* --- recur_faults.c: name what explains a wrong result. */
void recur_diagnose(att_ctx *x, const recur_inputs *in, const att_tensor *out,
                    const att_tensor *state, const att_tensor *z, const att_units *units,
                    const recur_error *e);

#endif
