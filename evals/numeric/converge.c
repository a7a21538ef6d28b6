/* SPDX-License-Identifier: Apache-2.0 */
/* Converge: does an approximation come nearer to dense attention as its declared budget grows?
 *
 * The budget is a parameter of the kernel's that says so by its role (attn.h).  BUDGET: what is
 * kept never shrinks, and with everything kept the answer is dense attention to rounding.  SAMPLES:
 * the estimate is unbiased over seeds, its error falls as the budget grows, and random features of
 * softmax (unit "features": positive ones) scatter no more than their variance in closed form.
 * Queries and keys are scaled to |x|^2 = scale |q|^2 = size.  O(budgets draws) calls. */
#include "evals/numeric/converge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/param.h"

enum {
    P_B,
    P_HQ,
    P_HKV,
    P_SQ,
    P_SK,
    P_D,
    P_DV,
    P_CAUSAL,
    P_LENS,
    P_STORE,
    P_DTYPE,
    P_VALUES,
    P_SIZE,
    P_DRAWS,
    P_BASE
};

#define INT  ATT_PARAM_INT
#define REAL ATT_PARAM_REAL
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"b", INT, 0, "", "1", "1:64", "1 2", "batch"},
    {"hq", INT, 0, "heads", "2", "1:64", "2 4", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:64", "0 1 2", "key/value heads; 0 = as many as query heads"},
    {"sq", INT, 0, "tokens", "17", "1:1024", "17 1 33", "queries"},
    {"sk", INT, 0, "keys", "33", "1:1024", "33 17 65", "keys"},
    {"d", INT, 0, "", "8", "2:256", "8 16 40", "head_dim"},
    {"dv", INT, 0, "", "0", "0:256", "0 24", "value_dim; 0 = head_dim"},
    {"causal", WORD, 0, "", "none", "none|tl|br", "none tl br", "alignment of the causal mask"},
    {"lens", WORD, 0, "", "none", "none|keys|both", "none both", "used lengths, some of them 0"},
    {"store", WORD, 0, "", "dense", "dense|packed|page16", "dense packed page16",
     "batches dense, packed, or paged K/V"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16", "storage type"},
    {"values", WORD, 0, "", "normal", "normal|self|coded|constant|equal",
     "normal self coded constant equal", "family of q, k and v; self: queries are keys"},
    {"size", REAL, 0, "", "0.5", "0.01:100", "0.5 0.25 16", "scale |q|^2 and scale |k|^2"},
    {"draws", INT, 0, "", "24", "8:1000", 0, "seeds"},
    {"base", INT, 0, "", "32", "1:65536", 0, "smallest number of samples"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the output"},
    {"select_illegal", "pairs", ATT_LOWER, 0, ATT_BINDS_ALL, "kept pairs that are not allowed"},
    {"mass_fell", "share", ATT_LOWER, 0, ATT_BINDS_ALL,
     "softmax's weight that a larger budget no longer keeps"},
    {"sigma_ratio", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL,
     "everything kept: largest error over its likely size"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"row_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "a row's mean squared error over tau(nu)"},
    {"hull", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements outside the range of the values"},
    {"lse_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "LSE error over its bound"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"bias", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "mean over seeds: how unlikely if unbiased"},
    {"lse_bias", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "the same of the denominator"},
    {"rate_short", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL,
     "errors fall slower than the fourth root of the samples"},
    {"variance", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "errors scatter more than in closed form"},
    {"lse_variance", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "the same of the denominator"},
    {"variance_ratio", "ratio", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "mean squared error over its expectation for independent features"},
    {"error_first", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "relative L2 error, smallest budget"},
    {"error_last", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "relative L2 error, largest budget"},
    {0},
};

/* ------------------------------------------------------------------------- parameters */

static parity_spec spec_of(const att_value *v)
{
    const char *store = v[P_STORE].s, *values = v[P_VALUES].s;

    return (parity_spec){
        .b = v[P_B].i,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i ? v[P_HKV].i : v[P_HQ].i,
        .sq = v[P_SQ].i,
        .sk = v[P_SK].i,
        .d = v[P_D].i,
        .dv = v[P_DV].i ? v[P_DV].i : v[P_D].i,
        .left = -1,
        .right = -1,
        .causal = v[P_CAUSAL].s,
        .mask = "none",
        .bias = "none",
        .block = "none",
        .sinks = "none",
        .alibi = "none",
        .lens = v[P_LENS].s,
        .store = store,
        .layout = "bhsd",
        .values = parity_is(values, "self") ? "normal" : values,
        .page = strncmp(store, "page", 4) == 0 ? strtoll(store + 4, NULL, 10) : 0,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = ATT_PLACE_ALIGNED,
        .lse = true,
    };
}

static bool valid(const att_value *values)
{
    const parity_spec s = spec_of(values);

    return !parity_nonsense(&s);
}

/* Closed forms take a pair of keys at a time. */
static double work(const att_value *v)
{
    const parity_spec s = spec_of(v);
    const double rows = (double)(s.b * s.hq * s.sq), keys = (double)(s.b * s.hkv * s.sk);
    const double width = (double)(s.d + s.dv), samples = (double)(v[P_BASE].i * v[P_DRAWS].i);

    return (rows + keys + (double)s.d) * width * samples * 21 +
           rows * (double)(s.sk * s.sk) * width * 2;
}

static bool covers(const att_value *values)
{
    return valid(values) && work(values) <= 2e8;
}

static double seconds(const char *task, const att_value *values)
{
    (void)task;
    return 0.005 + work(values) * 1e-9;
}

/* ------------------------------------------------------------------------------ inputs */

typedef struct shape {
    double size;
    bool self;
} shape;

/* Rows of n to the length that makes scale |x|^2 = size; rows of zeros stay. */
static void set_length(double *x, int64_t rows, int64_t n, double size)
{
    const double length = sqrt(size) * pow((double)n, 0.25);

    for (int64_t r = 0; r < rows; r++, x += n) {
        double sum = 0;
        for (int64_t c = 0; c < n; c++)
            sum += x[c] * x[c];
        for (int64_t c = 0; c < n && sum > 0; c++)
            x[c] *= length / sqrt(sum);
    }
}

static void edit(parity_inputs *in, void *arg)
{
    const shape *how = arg;
    const parity_spec *s = &in->spec;
    const int64_t rows = s->b * s->hq * s->sq;

    for (int64_t r = 0; r < rows && how->self; r++) {
        const int64_t kv = r / s->sq / (s->hq / s->hkv), j = r % s->sq + s->sk - s->sq;
        if (j >= 0)
            memcpy(in->q + r * s->d, in->k + (kv * s->sk + j) * s->d, (size_t)s->d * sizeof *in->q);
    }
    set_length(in->q, rows, s->d, how->size);
    set_length(in->k, s->b * s->hkv * s->sk, s->d, how->size);
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    const att_value *v = att_ctx_values(x);
    shape how = {v[P_SIZE].f, parity_is(v[P_VALUES].s, "self")};
    parity_inputs *in = NULL;
    att_status status = parity_inputs_make_edited(x, arg, edit, &how, &in);

    *out = in;
    return status;
}

/* ------------------------------------------------------------------------------- calls */

bool converge_row(const parity_inputs *in, int64_t row)
{
    return row % in->spec.sq < in->nq[row / in->spec.sq / in->spec.hq];
}

static void count_nonfinite(converge_case *c)
{
    const parity_inputs *in = c->in;
    const int64_t dv = in->spec.dv;

    for (int64_t i = 0; i < in->spec.b * in->spec.hq * in->spec.sq * dv; i++)
        if (converge_row(in, i / dv))
            c->nonfinite += isfinite(in->out[i]) !=
                            isfinite(att_fp_load(c->o.got.data, c->o.got.dtype, i));
}

att_status converge_call(converge_case *c, int64_t budget, int64_t seed)
{
    c->values[c->place].i = budget;
    c->values[c->place].f = (double)budget;
    if (c->seed >= 0) {
        c->values[c->seed].i = seed;
        c->values[c->seed].f = (double)seed;
    }
    const att_status status = att_ctx_call(c->x, &c->part, ATT_OP_ATTEND, &c->p, NULL);
    if (status != ATT_OK)
        return status;
    parity_outputs_collect(c->in, &c->p, &c->o);
    count_nonfinite(c);
    return ATT_OK;
}

double converge_error(const converge_case *c)
{
    const parity_inputs *in = c->in;
    const int64_t dv = in->spec.dv;
    double off = 0, size = 0;

    for (int64_t i = 0; i < in->spec.b * in->spec.hq * in->spec.sq * dv; i++) {
        if (!converge_row(in, i / dv))
            continue;
        const double e = att_fp_load(c->o.got.data, c->o.got.dtype, i) - in->out[i];
        off += e * e;
        size += in->out[i] * in->out[i];
    }
    return off == 0 ? 0 : off / size;
}

/* The first parameter of this role; -1 = none. */
static int place_of(const att_kernel *k, int32_t role)
{
    for (int i = 0; k->params && k->params[i].name; i++)
        if (k->params[i].role == role && k->params[i].type == ATT_PARAM_INT)
            return i;
    return -1;
}

static att_status run_kernel(converge_case *c, bool samples)
{
    const att_variant_part *from = &att_ctx_variant(c->x)->part[0];
    const size_t n = att_param_count(from->kernel->params);
    att_reason why = {""};
    att_status status = ATT_NO_MEMORY;

    c->part = *from;
    c->p = c->in->given;
    c->values = malloc(n * sizeof *c->values);
    if (!c->values || !parity_outputs_make(c->in, &c->p, &c->o))
        goto done;
    memcpy(c->values, from->values, n * sizeof *c->values);
    c->part.values = c->values;
    if (from->kernel->supports(from->kernel, ATT_OP_ATTEND, &c->p, c->values, &why) != ATT_OK)
        c->p.lse = (att_tensor){0}; /* it may do without */
    status = samples ? converge_samples(c) : converge_budget(c);
    if (status == ATT_OK) {
        att_ctx_record(c->x, "nonfinite", (double)c->nonfinite);
        att_ctx_record(c->x, "redzone", (double)parity_outputs_changed(&c->o));
    }
done:
    parity_outputs_drop(&c->o);
    free(c->values);
    return status;
}

static att_status run(att_ctx *x)
{
    const att_value *v = att_ctx_values(x);
    parity_spec spec = spec_of(v);
    const att_kernel *kernel = att_ctx_kernel(x);
    const char *wrong = parity_nonsense(&spec);
    const bool samples = place_of(kernel, ATT_ROLE_SAMPLES) >= 0;
    converge_case c = {.x = x,
                       .seed = place_of(kernel, ATT_ROLE_SEED),
                       .draws = v[P_DRAWS].i,
                       .base = v[P_BASE].i,
                       .size = v[P_SIZE].f};
    void *shared = NULL;

    c.place = place_of(kernel, samples ? ATT_ROLE_SAMPLES : ATT_ROLE_BUDGET);
    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (c.place < 0 || !kernel->attend) {
        att_ctx_why(x, "%s declares no budget", kernel->name);
        return ATT_UNSUPPORTED;
    }
    if (att_units_of(&kernel->precision, spec.dtype, spec.dtype, &c.units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    const att_status status =
        att_ctx_shared(x, "inputs", make_shared, &spec, parity_inputs_drop, &shared);
    if (status != ATT_OK)
        return status;
    c.in = shared;
    c.in->spec = spec; /* the same words, in this case's memory: the first's is gone */
    return run_kernel(&c, samples);
}

const att_eval att_eval_converge = {
    .name = "converge",
    .summary = "approximations come nearer to dense attention as their budget grows",
    .params = params,
    .metrics = metrics,
    .group_by = "b hq hkv sq sk d dv causal lens store dtype values size",
    .ops = 1u << ATT_OP_ATTEND,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
