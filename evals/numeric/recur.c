/* SPDX-License-Identifier: Apache-2.0 */
/* Recur: does a kernel compute the linear family's recurrence, to rounding, in one call or many?
 *
 * One case is one rule on one problem: inputs lie frozen in guarded memory, outputs start as NaN.
 * A case may be cut into calls that hand the state on; the answer is that of one call.  Outputs and
 * states are judged by the error analysis in recur_walk.c.  O(tokens Dk Dv). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/recur.h"

enum {
    P_B,
    P_HQ,
    P_HKV,
    P_T,
    P_D,
    P_DV,
    P_RULE,
    P_SCALE,
    P_GATES,
    P_PER,
    P_BETAS,
    P_VALUES,
    P_STATE,
    P_CALLS,
    P_LIMIT,
    P_LAYOUT,
    P_DTYPE,
    P_PLACE,
    P_THREADS
};

#define INT  ATT_PARAM_INT
#define REAL ATT_PARAM_REAL
#define WORD ATT_PARAM_WORD

#define LIMITS "none|open|one_gate|fixed|ungated|idle|orthogonal|still|narrow"
#define RULES  "linear|linear_elu1|retention|gla|delta|gated_delta|ssd|based"

static const att_param params[] = {
    {"b", INT, 0, "", "1", "0:100000", "1 0 2 3", "batch"},
    {"hq", INT, 0, "heads", "1", "0:100000", "1 2 3 6", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:100000", "0 1 2 3", "state heads; 0 = as many as query heads"},
    {"t", INT, 0, "tokens", "17", "0:100000", "17 0 1 2 15 16 63 64 65 130", "tokens"},
    {"d", INT, 0, "", "8", "1:4096", "8 1 16 40 64", "head_dim"},
    {"dv", INT, 0, "", "0", "0:4096", "0 1 8 24 80", "value_dim; 0 = head_dim"},
    {"rule", WORD, 0, "", "linear", RULES,
     "linear linear_elu1 retention gla delta gated_delta ssd based", "rule of the linear family"},
    {"scale", REAL, 0, "", "0", "0:1e6", "0 0.37", "0 = the rule's default"},
    {"gates", WORD, 0, "", "mild", "mild|off|near|strong|mixed|fading|steep",
     "mild off near strong mixed fading steep", "family of log decays"},
    {"per", WORD, 0, "", "head", "head|channel", "head channel", "one gate a head or a channel"},
    {"betas", WORD, 0, "", "mixed", "mixed|zero|one", "mixed zero one",
     "family of write strengths"},
    {"values", WORD, 0, "", "normal",
     "normal|heavy|outlier|large|small|ones|constant|coded|nan|onehot|still",
     "normal heavy outlier large small ones constant coded nan", "family of q, k and v"},
    {"state", WORD, 0, "", "both", "both|none|in|out|same", "both none in out same",
     "is a state given, and asked for; same: updated in place"},
    {"calls", WORD, 0, "", "whole", "whole|by1|by15|by64|ragged", "whole by1 by15 by64 ragged",
     "tokens a call; the state is handed on"},
    {"limit", WORD, 0, "", "none", LIMITS, "none", "held to another rule, where the two meet"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|reversed|stepped|broadcast",
     "bhsd bshd padded reversed stepped broadcast", "strides"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16",
     "storage of q, k, v, beta and out"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {"threads", INT, 0, "", "1", "1:64", "1 2 5", "threads the host lends"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the outputs"},
    {"sigma_ratio", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "largest error over its likely size"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"state_sigma_ratio", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "the same of state and normaliser"},
    {"state_bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "the same of state and normaliser"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error of the output"},
    {"nmse", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "sum of squared errors over sum of squares"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {0},
};

/* ------------------------------------------------------------------------- parameters */

/* The place of a word among those of a domain, "a|b|c". */
static int32_t place_of(const char *word, const char *domain)
{
    int32_t place = 0;

    for (;; place++) {
        size_t n = strcspn(domain, "|");
        if (strlen(word) == n && strncmp(word, domain, n) == 0)
            return place;
        if (!domain[n])
            return -1;
        domain += n + 1;
    }
}

static recur_spec spec_of(const att_value *v)
{
    const char *state = v[P_STATE].s;

    recur_spec s = {
        .b = v[P_B].i,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i ? v[P_HKV].i : v[P_HQ].i,
        .t = v[P_T].i,
        .d = v[P_D].i,
        .dv = v[P_DV].i ? v[P_DV].i : v[P_D].i,
        .rule = place_of(v[P_RULE].s, RULES),
        .scale = v[P_SCALE].f > 0 ? v[P_SCALE].f : (double)NAN,
        .gates = v[P_GATES].s,
        .channels = parity_is(v[P_PER].s, "channel"),
        .betas = v[P_BETAS].s,
        .values = v[P_VALUES].s,
        .layout = v[P_LAYOUT].s,
        .calls = v[P_CALLS].s,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = parity_is(v[P_PLACE].s, "flush") ? ATT_PLACE_FLUSH : ATT_PLACE_ALIGNED,
        .starts = !parity_is(state, "none") && !parity_is(state, "out"),
        .returns = !parity_is(state, "none") && !parity_is(state, "in"),
        .in_place = parity_is(state, "same"),
    };
    s.limit = recur_limit_of(v[P_LIMIT].s, s.rule);
    if (s.limit)
        recur_limit_adapt(s.limit, &s);
    return s;
}

/* What contradicts itself; NULL = nothing. */
static const char *nonsense(const recur_spec *s)
{
    if ((s->hkv == 0) != (s->hq == 0) || (s->hkv && s->hq % s->hkv))
        return "hkv does not divide hq";
    if (!recur_gated(s->rule) && (s->channels || !parity_is(s->gates, "mild")))
        return "the rule has no gates";
    if (!recur_delta(s->rule) && !parity_is(s->betas, "mixed"))
        return "the rule has no betas";
    if (s->rule == ATT_RULE_LINEAR_ELU1 && !isnan(s->scale))
        return "linear_elu1 has no scale";
    return recur_fits(s) ? NULL : "the problem is too large";
}

static bool no_limit(const att_value *values, const recur_spec *s)
{
    return !s->limit && !parity_is(values[P_LIMIT].s, "none");
}

static bool valid(const att_value *values)
{
    recur_spec s = spec_of(values);

    return !nonsense(&s) && !no_limit(values, &s);
}

static bool covers(const att_value *values)
{
    recur_spec s = spec_of(values);

    return !nonsense(&s) && !no_limit(values, &s) && recur_work(&s) <= 3e6 &&
           (s.rule != ATT_RULE_BASED || s.d <= 16);
}

static double seconds(const char *task, const att_value *values)
{
    recur_spec s = spec_of(values);

    (void)task;
    return 0.001 + recur_work(&s) * 2e-8;
}

/* -------------------------------------------------------------------------- the calls */

/* Tokens first .. first + n of a tensor. */
static att_tensor part(att_tensor t, int64_t first, int64_t n)
{
    if (t.data) {
        t.data = (unsigned char *)t.data + first * t.stride[2] * (int64_t)att_dtype_size(t.dtype);
        t.shape[2] = n;
    }
    return t;
}

/* The case's calls, one after the other.  Each reads the state that the one before wrote. */
static att_status call_all(att_ctx *x, const recur_inputs *in, recur_outputs *o)
{
    const recur_spec *s = &in->spec;
    const bool normed = recur_normed(s->rule);
    const att_variant_part *kernel = &att_ctx_variant(x)->part[0];
    att_tensor state = in->section.state_in, z = in->section.z_in;
    att_status status = ATT_OK;
    int64_t first = 0, call = 0;

    if (s->in_place) {
        recur_output_fill(&o->s, in->numbers.s);
        recur_output_fill(&o->z, in->numbers.z);
        state = o->s.at;
        if (normed)
            z = o->z.at;
    }
    do {
        const int64_t n = recur_call_length(s, first);
        const bool last = first + n == s->t;
        att_recur r = in->section;
        att_problem p = in->given;
        p.q_len = p.kv_len = n;
        p.q = part(p.q, first, n);
        p.k = part(p.k, first, n);
        p.v = part(p.v, first, n);
        p.out = part(o->out.at, first, n);
        p.recur = &r;
        r.g = part(r.g, first, n);
        r.beta = part(r.beta, first, n);
        r.state_in = state;
        r.z_in = z;
        if (!last || s->returns) {
            const bool ends = last || s->in_place;
            state = r.state_out = ends ? o->s.at : o->between_s[call % 2].at;
            if (normed)
                z = r.z_out = ends ? o->z.at : o->between_z[call % 2].at;
        }
        status = att_ctx_call(x, kernel, ATT_OP_RECUR, &p, NULL);
        first += n;
        call++;
    } while (first < s->t && status == ATT_OK);
    return status;
}

static att_status run_kernel(att_ctx *x, const recur_inputs *in, const att_units *units)
{
    const recur_spec *s = &in->spec;
    const bool normed = recur_normed(s->rule);
    recur_outputs o;
    recur_error e;
    recur_answer other = {0};
    att_status status = recur_outputs_make(s, &o) ? call_all(x, in, &o) : ATT_NO_MEMORY;

    if (status == ATT_OK && s->limit)
        status = recur_limit_answer(s->limit, s, &in->numbers, &other);
    if (status == ATT_OK) {
        const size_t changed = recur_outputs_collect(&o);
        const att_tensor none = {0};
        const att_tensor *state = s->returns ? &o.s.got : &none;
        const att_tensor *z = s->returns && normed ? &o.z.got : &none;
        recur_judge(s, s->limit ? &other : &in->answer, &o.out.got, state, z, units, &e);
        att_ctx_record(x, "nonfinite", (double)e.nonfinite);
        att_ctx_record(x, "redzone", (double)changed);
        att_ctx_record(x, "sigma_ratio", e.sigma_ratio);
        att_ctx_record(x, "bound_ratio", e.bound_ratio);
        att_ctx_record(x, "state_sigma_ratio", e.state_sigma_ratio);
        att_ctx_record(x, "state_bound_ratio", e.state_bound_ratio);
        att_ctx_record(x, "max_abs", e.max_abs);
        att_ctx_record(x, "nmse", e.nmse);
        att_ctx_record(x, "elements", (double)e.elements);
        if (e.bad.what)
            recur_diagnose(x, in, &o.out.got, state, z, units, &e);
    }
    recur_outputs_drop(&o);
    recur_answer_drop(&other);
    return status;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    recur_inputs *in = NULL;
    att_status status = recur_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

/* Between calls the state is rounded to f32, however finely the kernel counts. */
static void hand_on_singles(att_units *u)
{
    const att_format single = att_fp_format(ATT_F32);

    u->acc = fmax(u->acc, single.unit);
    u->acc_lost = fmax(u->acc_lost, single.half_subnormal);
}

static att_status run(att_ctx *x)
{
    recur_spec spec = spec_of(att_ctx_values(x));
    const att_kernel *kernel = att_ctx_kernel(x);
    const char *wrong = no_limit(att_ctx_values(x), &spec) ? "the rule has no such limit"
                                                           : nonsense(&spec);
    att_units units;
    void *in = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (!kernel->recur) {
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
    if (recur_call_length(&spec, 0) < spec.t)
        hand_on_singles(&units);
    att_status status = att_ctx_shared(x, "inputs", make_shared, &spec, recur_inputs_drop, &in);
    if (status != ATT_OK)
        return status;
    ((recur_inputs *)in)->spec = spec; /* the same words, in this case's memory */
    return run_kernel(x, in, &units);
}

const att_eval att_eval_recur = {
    .name = "recur",
    .summary = "the linear family's recurrence, against float64, in one call or many",
    .params = params,
    .metrics = metrics,
    .group_by =
        "b hq hkv t d dv rule scale gates per betas values state calls limit layout dtype place "
        "threads",
    .ops = 1u << ATT_OP_RECUR,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
