/* SPDX-License-Identifier: Apache-2.0 */
/* Mix: are attentions that are mixed of softmax attentions (ATT_OP_MIX) right, to rounding?
 *
 * One case is one kind of mix on one problem: inputs lie frozen in guarded memory, what lies past a
 * length is NaN, the result starts as NaN.  The result is judged by the error analysis in
 * mix_walk.c, built on the numeric rule of each part.  O(pairs (Dk + Dv)). */
#include "evals/numeric/mix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/parity.h"

enum {
    P_KIND,
    P_B,
    P_HQ,
    P_HKV,
    P_SQ,
    P_SK,
    P_D,
    P_DV,
    P_CAUSAL,
    P_WL,
    P_MASK,
    P_LENS,
    P_SCALE,
    P_BLOCK,
    P_KEEP,
    P_WINDOW,
    P_LAMBDA,
    P_GATE,
    P_PER,
    P_DECAY,
    P_VALUES,
    P_LAYOUT,
    P_DTYPE,
    P_AUX,
    P_PLACE,
    P_THREADS
};

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"kind", WORD, 0, "", "gated", "differential|gated|forgetting|nsa|memory",
     "gated differential forgetting nsa memory", "what is mixed"},
    {"b", INT, 0, "", "1", "0:100000", "1 0 2 3", "batch"},
    {"hq", INT, 0, "heads", "2", "0:100000", "2 1 3 6", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:100000", "0 1 2 3", "kv heads; 0 = as many as query heads"},
    {"sq", INT, 0, "tokens", "17", "0:100000", "17 0 1 2 38 65", "queries"},
    {"sk", INT, 0, "tokens", "33", "0:100000", "33 0 1 17 64 65 130", "keys"},
    {"d", INT, 0, "", "8", "1:4096", "8 2 16 40 64", "head_dim"},
    {"dv", INT, 0, "", "0", "0:4096", "0 1 8 24 80", "value_dim; 0 = head_dim"},
    {"causal", WORD, 0, "", "br", "none|tl|br", "br none tl", "causality"},
    {"wl", INT, 0, "tokens", "-1", "-1:100000", "-1 0 7 16", "the problem's own window; -1 = none"},
    {"mask", WORD, 0, "", "none", "none|rows", "none rows", "holes, and rows with nothing"},
    {"lens", WORD, 0, "", "none", "none|keys|both", "none keys both", "used lengths"},
    {"scale", ATT_PARAM_REAL, 0, "", "0", "0:1e6", "0 0.37", "0 = the kind's default"},
    {"block", INT, 0, "tokens", "8", "1:4096", "8 1 4 16", "NSA's blocks"},
    {"keep", INT, 0, "", "4", "1:4096", "4 1 2 3 6 64", "blocks or keys chosen"},
    {"window", INT, 0, "tokens", "8", "1:100000", "8 1 5 16 200", "keys of the window"},
    {"lambda", WORD, 0, "", "normal", "normal|wide|zero|one", "normal wide zero one",
     "family of lambdas"},
    {"gate", WORD, 0, "", "normal", "normal|wide|open|closed|first|second|third",
     "normal wide open closed first second third", "family of gates"},
    {"per", WORD, 0, "", "full", "full|row|head|one", "full row head one",
     "where gates differ: everywhere, a row, a head and column, a head; lambda: one for all"},
    {"decay", WORD, 0, "", "mild", "mild|zero|strong|mixed", "mild zero strong mixed",
     "family of the forget gates' logarithms"},
    {"values", WORD, 0, "", "normal", "normal|heavy|outlier|large|ones|coded|late|nan",
     "normal heavy outlier large ones coded late nan", "family of q, k and v"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|reversed|stepped|broadcast",
     "bhsd bshd padded reversed stepped broadcast", "strides"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16", "storage of q, k, v and out"},
    {"aux", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16", "storage of gates and decays"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {"threads", INT, 0, "", "1", "1:64", "1 2 5", "threads the host lends"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the output"},
    {"sigma_ratio", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "largest error over its likely size"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"unjudged", "rows", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "rows whose choice of keys is a near tie"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"nmse", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "sum of squared errors over sum of squares"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {0},
};

/* ------------------------------------------------------------------------- parameters */

static int32_t kind_named(const char *word)
{
    static const char *const names[] = {
        [ATT_MIX_DIFFERENTIAL] = "differential",
        [ATT_MIX_GATED] = "gated",
        [ATT_MIX_FORGETTING] = "forgetting",
        [ATT_MIX_NSA] = "nsa",
        [ATT_MIX_MEMORY] = "memory",
    };
    int32_t kind = 0;

    while (!parity_is(names[kind], word))
        kind++;
    return kind;
}

static mix_spec spec_of(const att_value *v)
{
    return (mix_spec){
        .kind = kind_named(v[P_KIND].s),
        .b = v[P_B].i,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i ? v[P_HKV].i : v[P_HQ].i,
        .sq = v[P_SQ].i,
        .sk = v[P_SK].i,
        .d = v[P_D].i,
        .dv = v[P_DV].i ? v[P_DV].i : v[P_D].i,
        .causal = v[P_CAUSAL].s,
        .left = v[P_WL].i,
        .mask = v[P_MASK].s,
        .lens = v[P_LENS].s,
        .scale = v[P_SCALE].f > 0 ? v[P_SCALE].f : (double)NAN,
        .block = v[P_BLOCK].i,
        .keep = v[P_KEEP].i,
        .window = v[P_WINDOW].i,
        .lambdas = v[P_LAMBDA].s,
        .gates = v[P_GATE].s,
        .per = v[P_PER].s,
        .decays = v[P_DECAY].s,
        .values = v[P_VALUES].s,
        .layout = v[P_LAYOUT].s,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .aux = att_dtype_named(v[P_AUX].s),
        .place = parity_is(v[P_PLACE].s, "flush") ? ATT_PLACE_FLUSH : ATT_PLACE_ALIGNED,
    };
}

/* A parameter that the kind has no use for, but with another value than its default. */
static const char *of_no_use(const mix_spec *s)
{
    if (s->kind != ATT_MIX_NSA && s->block != 8)
        return "the kind has no blocks";
    if (!mix_selects(s->kind) && (s->keep != 4 || s->window != 8))
        return "the kind keeps nothing and has no window of its own";
    if (s->kind != ATT_MIX_DIFFERENTIAL && !parity_is(s->lambdas, "normal"))
        return "the kind has no lambda";
    if (!mix_gated(s->kind) && !parity_is(s->gates, "normal"))
        return "the kind has no gates";
    if (s->kind == ATT_MIX_FORGETTING && !parity_is(s->per, "full"))
        return "forget gates are a head and token";
    if (s->kind == ATT_MIX_DIFFERENTIAL && !parity_is(s->per, "full") && !parity_is(s->per, "one"))
        return "lambda is one a head, or one for all";
    if (s->kind != ATT_MIX_FORGETTING && !parity_is(s->decays, "mild"))
        return "the kind has no forget gates";
    if (s->kind == ATT_MIX_DIFFERENTIAL && s->aux != ATT_F32)
        return "lambda is f32";
    return NULL;
}

/* What contradicts itself; NULL = nothing. */
static const char *nonsense(const mix_spec *s)
{
    const bool branch = parity_is(s->gates, "first") || parity_is(s->gates, "second") ||
                        parity_is(s->gates, "third");
    int64_t cells = 1;
    const int64_t of[] = {s->b, s->hq, s->sq + s->d, s->sk + s->dv};

    if ((s->hkv == 0) != (s->hq == 0) || (s->hkv && s->hq % s->hkv))
        return "hkv does not divide hq";
    if (s->kind == ATT_MIX_DIFFERENTIAL && s->d % 2)
        return "differential attention has two halves";
    if (s->kind >= ATT_MIX_FORGETTING && !parity_is(s->causal, "br"))
        return "this mix is causal, bottom-right";
    if (mix_selects(s->kind) && (s->left >= 0 || !parity_is(s->mask, "none")))
        return "this mix has no other rules";
    if (branch && s->kind != ATT_MIX_NSA)
        return "one branch alone is for NSA";
    if (parity_is(s->values, "nan") && mix_selects(s->kind))
        return "a NaN has no place among scores";
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (of[i] < 0 || __builtin_mul_overflow(cells, of[i] ? of[i] : 1, &cells))
            return "the problem is too large";
    return mix_work(s) > 0x1p32 || cells > (int64_t)1 << 26 ? "the problem is too large"
                                                            : of_no_use(s);
}

static bool valid(const att_value *values)
{
    mix_spec s = spec_of(values);

    return !nonsense(&s);
}

static bool covers(const att_value *values)
{
    mix_spec s = spec_of(values);

    return !nonsense(&s) && mix_work(&s) <= 1.5e6;
}

static double seconds(const char *task, const att_value *values)
{
    mix_spec s = spec_of(values);

    (void)task;
    return 0.001 + mix_work(&s) * 3e-8;
}

/* ------------------------------------------------------------------------------ result */

/* The output in guarded memory, all NaN, and a dense copy of what was written. */
typedef struct result {
    att_guard guard;
    att_tensor at, got;
} result;

static bool make_result(const mix_spec *s, result *r)
{
    const char *layout = parity_is(s->layout, "broadcast") ? "bhsd" : s->layout;
    const parity_shape shape = parity_shape_of(layout, s->b, s->hq, s->sq, s->dv);
    const size_t size = att_dtype_size(s->dtype);

    *r = (result){0};
    if (!att_guard_make(&r->guard, (size_t)shape.extent * size, s->place))
        return false;
    r->at = parity_tensor(&shape, r->guard.data, s->dtype);
    r->got = att_tensor_dense(malloc((size_t)(s->b * s->hq * s->sq * s->dv + 1) * size), s->dtype,
                              s->b, s->hq, s->sq, s->dv);
    return r->got.data != NULL;
}

/* Takes the rows within the lengths; the bytes still changed were written where nothing should be.
 */
static size_t collect(const mix_inputs *in, result *r)
{
    const mix_spec *s = &in->spec;
    const size_t size = att_dtype_size(s->dtype);

    for (int64_t at = 0; at < s->b * s->hq * s->sq * s->dv; at++) {
        const int64_t row = at / s->dv, b = row / s->sq / s->hq, i = row % s->sq;
        unsigned char *place = (unsigned char *)r->at.data +
                               att_tensor_at(&r->at, b, row / s->sq % s->hq, i, at % s->dv) *
                                   (int64_t)size;
        memcpy((unsigned char *)r->got.data + (size_t)at * size, place, size);
        if (i < in->numbers.nq[b])
            memset(place, 0xff, size);
    }
    return att_guard_written(&r->guard);
}

static att_status judge(att_ctx *x, mix_inputs *in, const att_tensor *got, const att_units *units)
{
    const mix_answer *want = mix_answer_for(in, units);
    mix_error e;

    if (!want)
        return ATT_NO_MEMORY;
    mix_judge(want, &in->spec, got, units, &e);
    if (!e.elements && e.unjudged) {
        att_ctx_why(x, "in every row, rounding may choose other keys");
        return ATT_UNSUPPORTED;
    }
    att_ctx_record(x, "nonfinite", (double)e.nonfinite);
    att_ctx_record(x, "sigma_ratio", e.sigma_ratio);
    att_ctx_record(x, "bound_ratio", e.bound_ratio);
    att_ctx_record(x, "unjudged", (double)e.unjudged);
    att_ctx_record(x, "max_abs", e.max_abs);
    att_ctx_record(x, "nmse", e.nmse);
    att_ctx_record(x, "elements", (double)e.elements);
    if (e.ratio > 1)
        mix_diagnose(x, in, got, units, &e);
    return ATT_OK;
}

static att_status run_kernel(att_ctx *x, mix_inputs *in, const att_units *units)
{
    att_problem p = in->given;
    result r;
    att_status status = make_result(&in->spec, &r) ? ATT_OK : ATT_NO_MEMORY;

    p.out = r.at;
    if (status == ATT_OK)
        status = att_ctx_call(x, &att_ctx_variant(x)->part[0], ATT_OP_MIX, &p, NULL);
    if (status == ATT_OK) {
        const size_t changed = collect(in, &r);
        status = judge(x, in, &r.got, units);
        if (status == ATT_OK)
            att_ctx_record(x, "redzone", (double)changed);
    }
    att_guard_drop(&r.guard);
    free(r.got.data);
    return status;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    mix_inputs *in = NULL;
    att_status status = mix_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

static att_status run(att_ctx *x)
{
    mix_spec spec = spec_of(att_ctx_values(x));
    const att_kernel *kernel = att_ctx_kernel(x);
    const char *wrong = nonsense(&spec);
    att_units units;
    void *in = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (!kernel->mix) {
        att_ctx_why(x, "%s does not offer this operator", kernel->name);
        return ATT_UNSUPPORTED;
    }
    if (spec.place == ATT_PLACE_FLUSH &&
        (kernel->over_read > 0 || kernel->align > (int64_t)att_dtype_size(spec.dtype))) {
        att_ctx_why(x, "the kernel declares an alignment or over-read that flush placement denies");
        return ATT_UNSUPPORTED;
    }
    if (att_units_of(&kernel->precision, spec.dtype, spec.dtype, &units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    att_status status = att_ctx_shared(x, "inputs", make_shared, &spec, mix_inputs_drop, &in);
    if (status != ATT_OK)
        return status;
    ((mix_inputs *)in)->spec = spec; /* the same words, in this case's memory */
    return run_kernel(x, in, &units);
}

const att_eval att_eval_mix = {
    .name = "mix",
    .summary = "mixes of softmax attentions (differential, gated, forgetting, NSA, memory), "
               "against float64",
    .params = params,
    .metrics = metrics,
    .group_by = "kind b hq hkv sq sk d dv causal wl mask lens scale block keep window lambda gate "
                "per decay values layout dtype aux place threads",
    .ops = 1u << ATT_OP_MIX,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
