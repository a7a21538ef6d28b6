/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the merge eval: a case's partial results in guarded memory, the same merge stated as
 * attention for the oracle and the judge, and the dictionary that explains a wrong one. */
#ifndef ATT_EVALS_MERGE_H
#define ATT_EVALS_MERGE_H

#include <stdbool.h>

#include "attn.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/ctx.h"
#include "core/error.h"

#define MERGE_MOST_PARTS 64

/* A case's parameters. */
typedef struct merge_spec {
    int64_t b, h, s, parts, dv;
    const char *lses, *empty, *values, *layout, *lse_layout, *sinks;
    int32_t dtype, from; /* of the result and of the parts */
    att_placement place;
    bool lse;
} merge_spec;

/* One case.  `given` is what a kernel gets.  `plain` is the same as attention of one query a row:
 * keys are the parts' LSEs, the query is 1, values are the parts' results, all as dense doubles
 * [B*S,H,parts,...]; empty parts are masked. */
typedef struct merge_case {
    merge_spec spec;
    att_problem given, plain;
    att_merge section;
    att_tensor outs[MERGE_MOST_PARTS], lses[MERGE_MOST_PARTS];
    att_guard guard[2 * MERGE_MOST_PARTS + 1]; /* inputs; frozen */
    size_t guards;
    att_guard out, lse; /* results */
    double one, *k, *v, *want, *want_lse;
    uint8_t *mask;
    att_tensor got, got_lse; /* dense, in plain's shape */
} merge_case;

/* Rows are counted (b, i, h): plain's order. */
static inline int64_t merge_rows(const merge_spec *s)
{
    return s->b * s->h * s->s;
}

static inline void merge_row(const merge_spec *s, int64_t row, int64_t *b, int64_t *h, int64_t *i)
{
    *b = row / s->h / s->s;
    *i = row / s->h % s->s;
    *h = row % s->h;
}

/* --- merge_inputs.c; false: no memory, drop all the same. */
bool merge_make(merge_case *c, att_rng *rng);
void merge_drop(merge_case *c);
/* Moves what was written into got and got_lse, and puts the pattern back. */
void merge_collect(merge_case *c);
/* Bytes changed outside the result, after that. */
size_t merge_changed(const merge_case *c);

/* --- merge_judge.c */
/* The right answer, in plain's order, and its profile. */
typedef struct merge_answer {
    const double *out, *lse;
    att_profile *profile;
} merge_answer;
/* As att_error_judge; got and lse dense in plain's order. */
att_status merge_judge(const merge_spec *s, const merge_answer *right, const att_tensor *got,
                       const att_tensor *lse, const att_units *units, att_error *e);

/* --- merge_faults.c: names what explains a wrong result; lse_alone: the output is right. */
void merge_diagnose(att_ctx *x, const merge_case *c, const att_units *units, bool lse_alone);

#endif
