/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the mix eval: a case's inputs in guarded memory, the mix in float64 with the size of
 * its rounding errors, and the dictionary of faults that explains a wrong result. */
#ifndef ATT_EVALS_MIX_H
#define ATT_EVALS_MIX_H

#include <stdbool.h>

#include "attn.h"
#include "base/mem.h"
#include "core/ctx.h"
#include "core/error.h"

/* A case's parameters. */
typedef struct mix_spec {
    int64_t b, hq, hkv, sq, sk, d, dv, left, block, keep, window;
    const char *causal, *lens, *mask, *values, *layout, *lambdas, *gates, *per, *decays;
    double scale;             /* NaN = default */
    int32_t kind, dtype, aux; /* att_mix_kind; storage of q, k, v, out; of gates and decays */
    att_placement place;
} mix_spec;

static inline int64_t mix_gate_width(const mix_spec *s)
{
    return s->kind == ATT_MIX_GATED ? s->dv : s->kind == ATT_MIX_NSA ? 3 : 1;
}

static inline bool mix_gated(int32_t kind)
{
    return kind == ATT_MIX_GATED || kind == ATT_MIX_NSA || kind == ATT_MIX_MEMORY;
}

/* Kinds that choose keys by what they score. */
static inline bool mix_selects(int32_t kind)
{
    return kind == ATT_MIX_NSA || kind == ATT_MIX_MEMORY;
}

/* Dense doubles as they were stored: q [B,Hq,Sq,Dk], k [B,Hkv,Skv,Dk], v [B,Hkv,Skv,wide], lambda
 * [Hq], gate [B,Hq,Sq,n], decay [B,Hq,Skv]; mask [B,Hq,Sq,Skv]; lengths [B]. */
typedef struct mix_numbers {
    double *q, *k, *v, *lambda, *gate, *decay;
    uint8_t *mask;
    int32_t *nq, *nk;
    int64_t wide; /* att_error_pad(dv): the rest holds zeros */
} mix_numbers;

/* What a result must be and what its elements may be off by, [B,Hq,Sq,Dv] each; `own`: the float64
 * evaluation's own error.  skip, of rows: 1 past a length, 2 no verdict: rounding may choose other
 * keys. */
typedef struct mix_answer {
    double *x, *likely, *worst, *own;
    uint8_t *skip;
    int64_t rows, dv;
} mix_answer;

/* What a reading of the contract does otherwise; all 0: nothing. */
typedef struct mix_reading {
    bool scale_missing, heads_tiled, top_left, last_key_dropped;
    bool lambda_missing, second_missing, added, halves_swapped, whole_scale, interleaved;
    bool first_keys_twice, first_queries_twice;
    bool gate_missing, gate_raw, gate_sigmoid, gate_silu, gate_first_column, gate_of_first_row;
    bool gates_reversed, complement;
    int64_t gates_turned;
    bool per_kv_head, per_first_head, per_first_sequence; /* lambda, gate or decay of another */
    int64_t decays_from, decays_to; /* added to the first and last token of a sum of decays */
    bool decay_missing, decay_negated, decay_base_2, decay_scaled, decay_by_row, decay_first;
    int64_t window_more, keep_more;
    bool own_missing, first_missing, local_missing, chosen_by_head, chosen_by_first_head;
    bool worst_chosen, sums_not_means, open_block, selected_future;
    bool joint, overlaps, far_all;
} mix_reading;

#define MIX_GUARDS  9
#define MIX_ANSWERS 4

/* One case's inputs, shared by every kernel that runs it.  `given` is what a kernel gets, without
 * out; `section` its mix. */
typedef struct mix_inputs {
    mix_spec spec;
    att_problem given;
    att_mix section;
    mix_numbers numbers;
    att_guard guard[MIX_GUARDS];
    size_t guards;
    mix_answer answer[MIX_ANSWERS]; /* one a kernel's units */
    att_units units[MIX_ANSWERS];
    size_t answers;
} mix_inputs;

/* Pairs times widths: what a case costs. */
double mix_work(const mix_spec *s);

/* --- mix_inputs.c */
att_status mix_inputs_make(att_ctx *x, const mix_spec *spec, mix_inputs **out);
void mix_inputs_drop(void *inputs);
/* The answer for a kernel's units; NULL: no memory. */
const mix_answer *mix_answer_for(mix_inputs *in, const att_units *units);

/* --- mix_walk.c */
att_status mix_walk(const mix_spec *s, const mix_numbers *n, const mix_reading *reading,
                    const att_units *units, mix_answer *out);
void mix_answer_drop(mix_answer *a);

/* --- mix_choice.c: which keys NSA and memory attend to. */
/* A score and how far rounding may move it. */
typedef struct mix_score {
    double x, off;
} mix_score;
/* Marks the `keep` largest of those not yet marked; true where rounding may choose otherwise. */
bool mix_choose(const mix_score *score, int64_t n, int64_t keep, bool smallest, uint8_t *chosen);
/* Marks the blocks that a query at position `at` sees whatever they score; returns how many. */
int64_t mix_force(const mix_spec *s, const mix_reading *r, int64_t at, uint8_t *chosen);

/* --- mix_judge.c */
/* The first element off in memory order; ratio 0 = none. */
typedef struct mix_error {
    int64_t nonfinite, elements, unjudged; /* unjudged: rows */
    double sigma_ratio, bound_ratio, max_abs, nmse;
    int64_t at[4];
    double got, want, allowed, ratio;
} mix_error;
/* got: dense [B,Hq,Sq,Dv]. */
void mix_judge(const mix_answer *want, const mix_spec *s, const att_tensor *got,
               const att_units *units, mix_error *e);

/* --- mix_faults.c: names what explains a wrong result. */
void mix_diagnose(att_ctx *x, const mix_inputs *in, const att_tensor *got, const att_units *units,
                  const mix_error *e);

#endif
