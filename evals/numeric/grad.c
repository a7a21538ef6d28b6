/* SPDX-License-Identifier: Apache-2.0 */
/* Grad: does a kernel's backward give the gradients of attention, to rounding?
 *
 * One case is one problem of parity's, a dout, and the forward's out and LSE; all inputs lie frozen
 * in guarded memory (gaps and unseen keys hold NaN), gradients start as NaN.  They are judged by
 * the bound of grad_rule.c against the oracle's analytic ones.  Gradients that no allowed pair
 * adds to are exactly +0.  The kernel is called again with -2 dout, to which its gradients must
 * answer in proportion.  A kernel in f64, the oracle among them, is held besides against central
 * differences of the oracle's forward (grad_differences.c).  O(pairs (Dk + Dv)). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/grad.h"

enum {
    P_B,
    P_HQ,
    P_HKV,
    P_SQ,
    P_SK,
    P_D,
    P_DV,
    P_CAUSAL,
    P_WL,
    P_WR,
    P_MASK,
    P_BIAS,
    P_BLOCK,
    P_SOFTCAP,
    P_SINKS,
    P_ALIBI,
    P_LENS,
    P_STORE,
    P_LAYOUT,
    P_DTYPE,
    P_VALUES,
    P_PLACE,
    P_THREADS
};

#define INT  ATT_PARAM_INT
#define REAL ATT_PARAM_REAL
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"b", INT, 0, "", "1", "0:65536", "1 0 2 3", "batch"},
    {"hq", INT, 0, "heads", "2", "0:65536", "2 1 3 6", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:65536", "0 1 2 3",
     "key/value heads; 0 = as many as query heads"},
    {"sq", INT, 0, "tokens", "17", "0:100000", "17 0 1 2 38 65", "queries"},
    {"sk", INT, 0, "keys", "17", "0:100000", "17 0 1 2 38 65 129", "keys"},
    {"d", INT, 0, "", "8", "1:4096", "8 1 40 64", "head_dim"},
    {"dv", INT, 0, "", "0", "0:4096", "0 1 8 40", "value_dim; 0 = head_dim"},
    {"causal", WORD, 0, "", "none", "none|tl|br|pos", "none tl br pos",
     "alignment of the causal mask"},
    {"wl", INT, 0, "keys", "-1", "-1:100000", "-1 0 7", "window to the left; -1 = off"},
    {"wr", INT, 0, "keys", "-1", "-1:100000", "-1 0 7", "window to the right; -1 = off"},
    {"mask", WORD, 0, "", "none", "none|full|rows|heads|keys|batch|column|ones|tile|empty",
     "none full heads keys column tile empty", "boolean mask, by what it varies over"},
    {"bias", WORD, 0, "", "none", "none|full|rows|heads|keys|batch|column|inf",
     "none full rows heads keys batch column inf", "additive bias, by what it varies over"},
    {"block", WORD, 0, "", "none", "none|full|heads|rows|batch|keys", "none full heads keys",
     "block mask, by what it varies over"},
    {"softcap", REAL, 0, "", "0", "0:1e6", "0 2 50", "0 = off"},
    {"sinks", WORD, 0, "", "none", "none|low|zero|high|mixed", "none high mixed", "sink logits"},
    {"alibi", WORD, 0, "", "none", "none|on", "none on", "ALiBi slopes"},
    {"lens", WORD, 0, "", "none", "none|keys|both", "none keys both",
     "used lengths, some of them 0"},
    {"store", WORD, 0, "", "dense", "dense|packed", "dense packed", "batches dense or packed"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|pooled|reversed|stepped|broadcast|shared",
     "bhsd bshd padded pooled reversed stepped broadcast shared", "strides"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16|f64", "f32 f16 bf16", "storage type"},
    {"values", WORD, 0, "", "normal",
     "normal|heavy|outlier|deep|flat|late|ramp|large|small|equal|zero|ones|constant|coded|"
     "subnormal|nan|captured",
     "normal heavy outlier deep flat late ramp large small equal zero ones constant coded "
     "subnormal nan captured",
     "family of q, k and v"},
    {"place", WORD, 0, "", "aligned", "aligned|flush|front", "aligned flush front",
     "memory placement"},
    {"threads", INT, 0, "", "1", "1:64", "1 2 5", "threads the host lends"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the gradients"},
    {"unreached", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "elements that no allowed pair adds to and that are not +0"},
    {"dq_sigma", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "dq: largest error over its likely size"},
    {"dk_sigma", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "dk: the same"},
    {"dv_sigma", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "dv: the same"},
    {"dbias_sigma", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL, "dbias: the same"},
    {"dq_bound", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "dq: largest error over its bound"},
    {"dk_bound", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "dk: the same"},
    {"dv_bound", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "dv: the same"},
    {"dbias_bound", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "dbias: the same"},
    {"linear", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "gradients of -2 dout against -2 times those of dout, over both bounds"},
    {"difference_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "f64 kernels: central differences of the forward less gradient, over truncation and rounding"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"nmse", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "sum of squared errors over sum of squares"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {0},
};

/* ------------------------------------------------------------------------- parameters */

static parity_spec spec_of(const att_value *v)
{
    return (parity_spec){
        .b = v[P_B].i,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i ? v[P_HKV].i : v[P_HQ].i,
        .sq = v[P_SQ].i,
        .sk = v[P_SK].i,
        .d = v[P_D].i,
        .dv = v[P_DV].i ? v[P_DV].i : v[P_D].i,
        .left = v[P_WL].i,
        .right = v[P_WR].i,
        .causal = v[P_CAUSAL].s,
        .mask = v[P_MASK].s,
        .bias = v[P_BIAS].s,
        .block = v[P_BLOCK].s,
        .sinks = v[P_SINKS].s,
        .alibi = v[P_ALIBI].s,
        .lens = v[P_LENS].s,
        .store = v[P_STORE].s,
        .layout = v[P_LAYOUT].s,
        .values = v[P_VALUES].s,
        .softcap = v[P_SOFTCAP].f,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = parity_is(v[P_PLACE].s, "flush")   ? ATT_PLACE_FLUSH
                 : parity_is(v[P_PLACE].s, "front") ? ATT_PLACE_FRONT
                                                    : ATT_PLACE_ALIGNED,
        .lse = true,
    };
}

static bool valid(const att_value *values)
{
    parity_spec s = spec_of(values);

    return !parity_nonsense(&s) && parity_work(&s) <= 1e9;
}

static bool covers(const att_value *values)
{
    parity_spec s = spec_of(values);

    return !parity_nonsense(&s) && parity_work(&s) <= 5e5;
}

static double seconds(const char *task, const att_value *values)
{
    parity_spec s = spec_of(values);

    (void)task;
    return 0.002 + parity_work(&s) * 6e-8;
}

/* -------------------------------------------------------------------------- the kernel */

static att_problem problem_of(const grad_inputs *g, const att_grad *section)
{
    att_problem p = g->in->given;

    p.out = g->out;
    p.lse = g->lse;
    p.grad = section;
    return p;
}

/* The rule for these units: kept, since kernels of one precision follow each other. */
static att_status answer_for(att_ctx *x, grad_inputs *g, const att_units units[GRADS])
{
    grad_call call;

    if (g->known && memcmp(g->units, units, sizeof g->units) == 0)
        return ATT_OK;
    g->known = false;
    memcpy(g->units, units, sizeof g->units);
    att_status status = grad_call_of(x, g, units->acc, &call);
    if (status == ATT_OK)
        status = grad_rule(&call, units, &g->answer);
    if (status == ATT_NO_MEMORY)
        att_ctx_why(x, "no memory to judge gradients");
    g->known = status == ATT_OK;
    return status;
}

static att_status call(att_ctx *x, const att_problem *p)
{
    return att_ctx_call(x, &att_ctx_variant(x)->part[0], ATT_OP_ATTEND_BACKWARD, p, NULL);
}

/* Largest |g(-2 dout) + 2 g(dout)| over what rounding may do to both; INFINITY where one of them is
 * finite and the other is not. */
static double disproportion(const grad_inputs *g, const att_tensor one[GRADS],
                            const att_tensor two[GRADS])
{
    double worst = 0;

    for (int of = 0; of < GRADS; of++)
        for (int64_t i = 0; one[of].data && i < g->n[of]; i++) {
            const double a = att_fp_load(one[of].data, one[of].dtype, i);
            const double b = att_fp_load(two[of].data, two[of].dtype, i), e = fabs(b + 2 * a);
            const double reach = 2 * fabs(a) + 4 * g->answer.of[of].bound[i];
            if (isfinite(a) != isfinite(b) && !(reach > g->units[of].out_largest))
                worst = (double)INFINITY;
            else if (isfinite(a) && isfinite(b) && e > 0)
                worst = att_error_fold(worst, e / (4 * g->answer.of[of].bound[i]));
        }
    return worst;
}

static att_status ask_again(att_ctx *x, grad_inputs *g, const att_tensor got[GRADS])
{
    const parity_spec *s = &g->in->spec;
    const int64_t cells = s->b * s->hq * s->sq * s->dv;
    grad_outputs o = {0};
    att_grad section;
    att_status status = ATT_NO_MEMORY;

    for (int64_t i = 0; i < cells; i++)
        if (!(fabs(2 * g->dout_x[i]) <= g->units->out_largest))
            return ATT_OK; /* not a number of the type */
    if (!grad_outputs_make(g, &section, &o))
        goto done;
    att_problem p = problem_of(g, &section);
    grad_scale_dout(g, -2);
    status = call(x, &p);
    grad_scale_dout(g, -0.5);
    if (status != ATT_OK)
        goto done;
    grad_outputs_collect(g, &o);
    att_ctx_record(x, "linear", disproportion(g, got, o.got));
done:
    grad_outputs_drop(&o);
    return status;
}

static att_status ask_differences(att_ctx *x, grad_inputs *g)
{
    double *to[GRADS] = {NULL}, worst = 0;
    grad_of of = GRAD_DQ;
    int64_t at = -1;
    att_problem p = g->in->plain;
    att_status status = ATT_OK;

    for (int o = 0; o < GRADS; o++)
        if (!(to[o] = calloc((size_t)g->n[o] + 1, sizeof(double))))
            status = ATT_NO_MEMORY;
    const att_grad section = grad_plain_section(g, to);
    p.grad = &section;
    if (status == ATT_OK)
        status = call(x, &p);
    if (status == ATT_OK)
        status = grad_differences(x, g, to, &worst, &of, &at);
    if (status == ATT_OK && !isnan(worst))
        att_ctx_record(x, "difference_ratio", worst);
    if (status == ATT_OK && worst > 1) {
        char text[160];
        snprintf(text, sizeof text, "%s, element %lld: not the forward's central difference",
                 grad_names[of], (long long)at);
        att_ctx_diagnose(x, "not_the_derivative", worst, text);
    }
    for (int o = 0; o < GRADS; o++)
        free(to[o]);
    return status;
}

static void record(att_ctx *x, const grad_inputs *g, const grad_error *e)
{
    char name[32];

    att_ctx_record(x, "nonfinite", (double)e->nonfinite);
    att_ctx_record(x, "unreached", (double)e->unreached);
    for (int of = 0; of < GRADS; of++) {
        if (of == GRAD_DBIAS && !g->n[of])
            continue;
        snprintf(name, sizeof name, "%s_sigma", grad_names[of]);
        att_ctx_record(x, name, e->sigma_ratio[of]);
        snprintf(name, sizeof name, "%s_bound", grad_names[of]);
        att_ctx_record(x, name, e->bound_ratio[of]);
    }
    att_ctx_record(x, "max_abs", e->max_abs);
    att_ctx_record(x, "nmse", e->nmse);
    att_ctx_record(x, "elements", (double)e->elements);
}

static att_status run_kernel(att_ctx *x, grad_inputs *g, const att_units units[GRADS])
{
    grad_outputs o = {0};
    grad_error e;
    att_grad section;
    att_status status = ATT_NO_MEMORY;

    if (!grad_outputs_make(g, &section, &o))
        goto done;
    att_problem p = problem_of(g, &section);
    status = call(x, &p);
    if (status == ATT_OK)
        status = answer_for(x, g, units);
    if (status != ATT_OK)
        goto done;
    grad_outputs_collect(g, &o);
    grad_judge(g, &g->answer, o.got, units, &e);
    record(x, g, &e);
    att_ctx_record(x, "redzone", (double)grad_outputs_changed(&o));
    if (e.what || grad_outputs_changed(&o))
        grad_diagnose(x, g, &o, units, &e);
    status = ask_again(x, g, o.got);
    if (status == ATT_OK && att_ctx_kernel(x)->precision.acc == ATT_F64)
        status = ask_differences(x, g);
done:
    grad_outputs_drop(&o);
    return status;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    grad_inputs *g = NULL;
    const att_status status = grad_inputs_make(x, arg, &g);

    *out = g;
    return status;
}

static att_status run(att_ctx *x)
{
    const parity_spec spec = spec_of(att_ctx_values(x));
    const att_kernel *kernel = att_ctx_kernel(x);
    const char *wrong = parity_nonsense(&spec);
    att_units units[GRADS] = {0};
    void *g = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (spec.place != ATT_PLACE_ALIGNED &&
        (kernel->over_read > 0 ||
         (spec.place == ATT_PLACE_FLUSH && kernel->align > (int64_t)att_dtype_size(spec.dtype)))) {
        att_ctx_why(x, "the kernel declares an alignment or over-read that this placement denies");
        return ATT_UNSUPPORTED;
    }
    if (kernel->class_ != ATT_EXACT) {
        att_ctx_why(x, "gradients are defined for exact kernels only");
        return ATT_UNSUPPORTED;
    }
    att_status status =
        att_ctx_shared(x, "gradients", make_shared, (void *)&spec, grad_inputs_drop, &g);
    if (status != ATT_OK)
        return status;
    grad_inputs *in = g;
    in->in->spec = spec; /* the same words, in this case's memory: the first's is gone */
    for (int of = 0; of < GRADS; of++)
        if (att_units_of(&kernel->precision, spec.dtype, in->dtype[of], &units[of]) != ATT_OK) {
            att_ctx_why(x, "the kernel's declared precision names no float type");
            return ATT_INVALID;
        }
    return run_kernel(x, in, units);
}

const att_eval att_eval_grad = {
    .name = "grad",
    .summary = "gradients against the float64 oracle's and against differences of its forward",
    .params = params,
    .metrics = metrics,
    .group_by = "b hq hkv sq sk d dv causal wl wr mask bias block softcap sinks alibi lens store "
                "layout dtype values place threads",
    .ops = 1u << ATT_OP_ATTEND_BACKWARD,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
