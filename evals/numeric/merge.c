/* SPDX-License-Identifier: Apache-2.0 */
/* Merge: are partial results of attention put together as their log-sum-exps say?
 *
 *   o = sum w_i o_i / (sum w_i + e^(z - m))    w_i = e^(l_i - m)    LSE = m + ln sum w_i
 *
 * A merge is attention of one query a row, whose keys' logits are the parts' LSEs and whose values
 * are their results: so the oracle's attention answers it, the oracle's merge, written apart, must
 * agree, and the numeric rule (core/error.h) judges the kernel (merge_judge.c).  Parts with LSE =
 * -inf hold NaN; inputs lie frozen in guarded memory; results start as NaN.  O(B H S parts Dv). */
#include "evals/numeric/merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/parity.h"

enum {
    P_B,
    P_H,
    P_S,
    P_PARTS,
    P_DV,
    P_LSES,
    P_EMPTY,
    P_VALUES,
    P_LAYOUT,
    P_LSE_LAYOUT,
    P_SINKS,
    P_DTYPE,
    P_FROM,
    P_PLACE,
    P_THREADS,
    P_LSE
};

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"b", INT, 0, "", "1", "0:65537", "1 0 2 3", "batch"},
    {"h", INT, 0, "heads", "2", "0:65537", "2 1 3", "heads"},
    {"s", INT, 0, "tokens", "5", "0:65537", "5 1 17 0", "rows"},
    {"parts", INT, 0, "", "3", "0:64", "3 1 2 0 7 16 33", "partial results"},
    {"dv", INT, 0, "", "8", "1:4096", "8 1 40 64 128", "value_dim"},
    {"lses", WORD, 0, "", "normal", "normal|equal|one|wide|high|low|ramp",
     "normal equal one wide high low ramp", "LSEs; wide, high and low reach 1e4"},
    {"empty", WORD, 0, "", "none", "none|some|rows|all|first|last", "none some rows all first last",
     "parts with LSE = -inf"},
    {"values", WORD, 0, "", "normal", "normal|large|small|ones|coded|nan",
     "normal large small ones coded nan", "family of the partial results"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|reversed|stepped",
     "bhsd bshd padded reversed stepped", "strides of the results"},
    {"lse_layout", WORD, 0, "", "dense", "dense|padded|swapped", "dense padded swapped",
     "strides of the LSEs; swapped: heads innermost"},
    {"sinks", WORD, 0, "", "none", "none|mixed", "none mixed", "sink logits"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16", "type of the result"},
    {"from", WORD, 0, "", "same", "same|f32", "same f32", "type of the parts"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {"threads", INT, 0, "", "1", "1:64", "1 2 5", "threads the host lends"},
    {"lse", INT, 0, "", "1", "0:1", "1 0", "is the merged LSE asked for"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the output"},
    {"sigma_ratio", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "largest error over its likely size"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"row_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "a row's mean squared error over tau(nu)"},
    {"hull", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements outside the range of the parts"},
    {"lse_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "LSE error over its bound"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {0},
};

static merge_spec spec_of(const att_value *v)
{
    merge_spec s = {
        .b = v[P_B].i,
        .h = v[P_H].i,
        .s = v[P_S].i,
        .parts = v[P_PARTS].i,
        .dv = v[P_DV].i,
        .lses = v[P_LSES].s,
        .empty = v[P_EMPTY].s,
        .values = v[P_VALUES].s,
        .layout = v[P_LAYOUT].s,
        .lse_layout = v[P_LSE_LAYOUT].s,
        .sinks = v[P_SINKS].s,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = parity_is(v[P_PLACE].s, "flush") ? ATT_PLACE_FLUSH : ATT_PLACE_ALIGNED,
        .lse = v[P_LSE].i != 0,
    };

    s.from = parity_is(v[P_FROM].s, "f32") ? ATT_F32 : s.dtype;
    return s;
}

static double cells_of(const merge_spec *s)
{
    return (double)s->b * (double)s->h * (double)s->s * (double)(s->parts + 1) * (double)s->dv;
}

static bool vanishes(const merge_spec *s) /* weights do */
{
    return parity_is(s->lses, "wide") || parity_is(s->lses, "one");
}

static bool valid(const att_value *values)
{
    merge_spec s = spec_of(values);

    return cells_of(&s) <= 1 << 26 && !(parity_is(s.values, "nan") && vanishes(&s));
}

static bool covers(const att_value *values)
{
    merge_spec s = spec_of(values);

    return valid(values) && cells_of(&s) <= 1e6;
}

static double seconds(const char *task, const att_value *values)
{
    merge_spec s = spec_of(values);

    (void)task;
    return 0.001 + cells_of(&s) * 1e-8;
}

/* ---------------------------------------------------------------------------- judgement */

/* The oracle's merge, in f64, agrees with its attention within both their errors. */
static att_status agree(att_ctx *x, const merge_case *c)
{
    const merge_spec *s = &c->spec;
    att_precision wide = {.acc = ATT_F64, .prob = ATT_F64, .out = ATT_F64};
    size_t rows = (size_t)merge_rows(s);
    att_problem p = c->given;
    att_tensor out, lse;
    merge_answer right = {.out = c->want, .lse = c->want_lse};
    att_error e;
    att_units u;
    double *o = calloc(rows * (size_t)s->dv + 1, sizeof *o), *l = calloc(rows + 1, sizeof *l);
    att_status status = o && l ? att_units_of(&wide, ATT_F64, ATT_F64, &u) : ATT_NO_MEMORY;

    p.out = att_tensor_dense(o, ATT_F64, s->b, s->s, s->h, s->dv);
    p.out.shape[1] = s->h; /* written in plain's order: rows (b, i, h) */
    p.out.shape[2] = s->s;
    p.out.stride[1] = s->dv;
    p.out.stride[2] = s->h * s->dv;
    p.lse = att_tensor_dense(l, ATT_F64, 1, s->b, s->h, s->s);
    p.lse.stride[1] = s->h * s->s;
    p.lse.stride[2] = 1;
    p.lse.stride[3] = s->h;
    out = att_tensor_dense(o, ATT_F64, s->b * s->s, s->h, 1, s->dv);
    lse = att_tensor_dense(l, ATT_F64, 1, s->b * s->s, s->h, 1);
    if (status == ATT_OK)
        status = att_ctx_oracle(x, ATT_OP_MERGE, &p);
    if (status == ATT_OK)
        status = att_profile_make(&c->plain, c->mask, c->want, c->want_lse, u.acc, &right.profile,
                                  att_ctx_why_buffer(x));
    if (status == ATT_OK)
        status = merge_judge(&c->spec, &right, &out, &lse, &u, &e);
    if (status == ATT_OK && e.bad) {
        att_ctx_why(x, "the oracle's merge is not its attention over the parts");
        status = ATT_FAILED;
    }
    att_profile_drop(right.profile);
    free(o);
    free(l);
    return status;
}

static void record(att_ctx *x, const att_error *e)
{
    att_ctx_record(x, "nonfinite", (double)e->nonfinite);
    att_ctx_record(x, "sigma_ratio", e->sigma_ratio);
    att_ctx_record(x, "bound_ratio", e->bound_ratio);
    att_ctx_record(x, "row_ratio", e->row_ratio);
    att_ctx_record(x, "hull", (double)e->hull);
    att_ctx_record(x, "lse_ratio", e->lse_ratio);
    att_ctx_record(x, "max_abs", e->max_abs);
    att_ctx_record(x, "elements", (double)e->elements);
}

static att_status judge(att_ctx *x, const merge_case *c, const att_units *units)
{
    merge_answer right = {.out = c->want, .lse = c->want_lse};
    att_error e, alone;
    att_status status = att_profile_make(&c->plain, c->mask, c->want, c->want_lse, units->acc,
                                         &right.profile, att_ctx_why_buffer(x));

    if (status == ATT_OK)
        status = merge_judge(&c->spec, &right, &c->got, &c->got_lse, units, &e);
    if (status == ATT_OK)
        record(x, &e);
    if (status == ATT_OK && e.bad) {
        status = merge_judge(&c->spec, &right, &c->got, NULL, units, &alone);
        if (status == ATT_OK)
            merge_diagnose(x, c, units, !alone.bad);
    }
    att_profile_drop(right.profile);
    return status;
}

static att_status measure(att_ctx *x, merge_case *c, const att_units *units)
{
    att_status status = att_ctx_oracle(x, ATT_OP_ATTEND, &c->plain);

    if (status == ATT_OK)
        status = agree(x, c);
    if (status == ATT_OK)
        status = att_ctx_call(x, &att_ctx_variant(x)->part[0], ATT_OP_MERGE, &c->given, NULL);
    if (status != ATT_OK)
        return status;
    merge_collect(c);
    status = judge(x, c, units);
    att_ctx_record(x, "redzone", (double)merge_changed(c));
    return status;
}

static att_status run(att_ctx *x)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    att_rng rng = att_ctx_rng(x, "parts");
    att_units units;
    merge_case *c = calloc(1, sizeof *c);
    att_status status = ATT_NO_MEMORY;

    if (!c)
        return status;
    c->spec = spec_of(att_ctx_values(x));
    if (att_units_of(&kernel->precision, c->spec.from, c->spec.dtype, &units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        status = ATT_INVALID;
    } else if (merge_make(c, &rng)) {
        status = measure(x, c, &units);
    }
    merge_drop(c);
    free(c);
    return status;
}

const att_eval att_eval_merge = {
    .name = "merge",
    .summary = "partial results merged by their LSEs, against the float64 oracle",
    .params = params,
    .metrics = metrics,
    .ops = 1u << ATT_OP_MERGE,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
