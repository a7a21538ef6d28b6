/* SPDX-License-Identifier: Apache-2.0 */
/* Precision: which arithmetic explains a kernel's errors, and is it the one that it declares?
 *
 * One case is a handful of problems, each answered once and judged by the numeric rule under every
 * triple of known types (accumulator, probabilities, result).  What the kernel uses is the triple
 * of the smallest slack, mean log2 sigma over all elements, that explains every answer; triples
 * within half a bit of it can't be told from it, so the declared one is taken if it is among them,
 * else the coarsest.  A declaration that explains less fails; one that allows more is shown, in
 * bits of slack, since whoever declares bf16 sums buys room for errors that f32 sums do not make.
 *
 * Rounding the result to 8 bits would hide how it was summed, so some problems cancel: the last
 * three values are chosen such that o is 0 to within the storage type's third power of rounding,
 * and what is left is the error of the weights and sums alone.  O(problems pairs (Dk + Dv)). */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/parity_own.h"

#define CORRECTIONS 3   /* values that make a row cancel */
#define HALF_A_BIT  0.5 /* slack that can't be told apart */

static const att_param params[] = {
    {"d", ATT_PARAM_INT, 0, "", "64", "1:512", "64", "head_dim and value_dim"},
    {"dtype", ATT_PARAM_WORD, 0, "", "f32", "f32|f16|bf16|f64", "f32 f16 bf16", "storage type"},
    {0},
};

/* Bits: -log2 u, that is 53 for f64, 24 f32, 11 f16, 8 bf16, 4 e4m3, 3 e5m2; 0 = no known type. */
static const att_metric_spec metrics[] = {
    {"unexplained", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "problems whose errors the declared precision does not explain"},
    {"acc_declared", "bits", ATT_HIGHER, (double)NAN, ATT_BINDS_ALL, "declared accumulator"},
    {"acc_used", "bits", ATT_HIGHER, (double)NAN, ATT_BINDS_ALL,
     "accumulator of the smallest triple that explains the errors"},
    {"prob_declared", "bits", ATT_HIGHER, (double)NAN, ATT_BINDS_ALL, "declared probabilities"},
    {"prob_used", "bits", ATT_HIGHER, (double)NAN, ATT_BINDS_ALL, "probabilities of that triple"},
    {"out_declared", "bits", ATT_HIGHER, (double)NAN, ATT_BINDS_ALL, "declared result"},
    {"out_used", "bits", ATT_HIGHER, (double)NAN, ATT_BINDS_ALL, "result of that triple"},
    {"slack", "bits", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "log2 of the likely error declared over that of the triple"},
    {0},
};

/* ------------------------------------------------------------------------- the problems */

typedef struct asked {
    int64_t heads, sq, sk;
    const char *values;
    bool cancels; /* one query a head */
} asked;

static const asked problems[] = {
    {2, 8, 65, "normal", false}, {2, 8, 129, "heavy", false}, {1, 8, 129, "outlier", false},
    {1, 4, 65, "ramp", false},   {1, 4, 640, "equal", false}, {2, 8, 2, "normal", false},
    {6, 1, 67, "normal", true},  {6, 1, 640, "normal", true},
};
#define PROBLEMS (sizeof problems / sizeof *problems)

static parity_spec spec_of(const asked *a, int64_t d, int32_t dtype)
{
    return (parity_spec){.b = 1,
                         .hq = a->heads,
                         .hkv = a->heads,
                         .sq = a->sq,
                         .sk = a->sk,
                         .d = d,
                         .dv = d,
                         .left = -1,
                         .right = -1,
                         .causal = "none",
                         .mask = "none",
                         .bias = "none",
                         .block = "none",
                         .sinks = "none",
                         .alibi = "none",
                         .lens = "none",
                         .store = "dense",
                         .layout = "bhsd",
                         .values = a->values,
                         .dtype = dtype,
                         .place = ATT_PLACE_ALIGNED};
}

/* The weights of one query over n keys, by plain f64. */
static void weigh(const double *q, const double *k, int64_t n, int64_t d, double *p)
{
    double top = -(double)INFINITY, total = 0;

    for (int64_t j = 0; j < n; j++) {
        p[j] = 0;
        for (int64_t c = 0; c < d; c++)
            p[j] += q[c] * k[j * d + c];
        p[j] /= sqrt((double)d);
        top = p[j] > top ? p[j] : top;
    }
    for (int64_t j = 0; j < n; j++)
        total += p[j] = exp(p[j] - top);
    for (int64_t j = 0; j < n; j++)
        p[j] /= total;
}

/* Chooses the last values of each head so that its row is 0, as far as the storage type goes.  arg:
 * room for the weights. */
static void cancel(parity_inputs *in, void *arg)
{
    const parity_spec *s = &in->spec;
    double *p = arg;

    for (int64_t i = 0; i < s->hq * s->d; i++)
        in->q[i] = att_fp_round(s->dtype, in->q[i]);
    for (int64_t i = 0; i < s->hkv * s->sk * s->d; i++) {
        in->k[i] = att_fp_round(s->dtype, in->k[i]);
        in->v[i] = att_fp_round(s->dtype, in->v[i]);
    }
    for (int64_t h = 0; h < s->hq; h++) {
        double *v = in->v + h * s->sk * s->dv;
        weigh(in->q + h * s->d, in->k + h * s->sk * s->d, s->sk, s->d, p);
        for (int64_t c = 0; c < s->dv; c++) {
            double sum = 0;
            for (int64_t j = 0; j < s->sk; j++) {
                if (j >= s->sk - CORRECTIONS)
                    v[j * s->dv + c] = att_fp_round(s->dtype, -sum / p[j]);
                sum += p[j] * v[j * s->dv + c];
            }
        }
    }
}

/* ------------------------------------------------------------------------- the triples */

static const int32_t types[] = {ATT_F64, ATT_F32, ATT_F16, ATT_BF16, ATT_F8_E4M3, ATT_F8_E5M2};
#define TYPES   (sizeof types / sizeof *types)
#define SUMS    4 /* types that sums are made in: the first */
#define TRIPLES (SUMS * TYPES * SUMS)

typedef struct triple {
    att_units units;
    double slack;
} triple;

/* Triples by slack, the smallest first. */
typedef struct ladder {
    triple step[TRIPLES];
    size_t n;
} ladder;

/* What the cases of a group share. */
typedef struct bench {
    parity_inputs *in[PROBLEMS];
    ladder ladder;
} bench;

static void drop_bench(void *object)
{
    bench *b = object;

    for (size_t i = 0; b && i < PROBLEMS; i++)
        parity_inputs_drop(b->in[i]);
    free(b);
}

/* Mean log2 sigma over all problems. */
static att_status slack_of(att_ctx *x, parity_inputs *const *in, const att_units *units,
                           double *slack)
{
    *slack = 0;
    for (size_t i = 0; i < PROBLEMS; i++) {
        att_profile *profile = NULL;
        att_status status = parity_profile(x, in[i], units->acc, &profile);
        if (status != ATT_OK)
            return status;
        *slack += att_profile_slack(profile, units) / (double)PROBLEMS;
    }
    return ATT_OK;
}

static int by_slack(const void *a, const void *b)
{
    double x = ((const triple *)a)->slack, y = ((const triple *)b)->slack;

    return (x > y) - (x < y);
}

/* Probabilities finer than the sums they come from, or a result finer than what is stored, change
 * nothing and are left out. */
static att_status make_ladder(att_ctx *x, parity_inputs *const *in, ladder *l)
{
    int32_t stored = in[0]->spec.dtype;
    double least = att_fp_format(stored).unit;
    att_status status = ATT_OK;

    l->n = 0;
    for (size_t a = 0; a < SUMS; a++)
        for (size_t p = a; p < TYPES; p++)
            for (size_t o = 0; o < SUMS && status == ATT_OK; o++) {
                const att_precision is = {types[a], types[p], types[o], 0};
                triple *t = &l->step[l->n];
                if (att_fp_format(types[o]).unit < least ||
                    att_units_of(&is, stored, stored, &t->units) != ATT_OK)
                    continue;
                status = slack_of(x, in, &t->units, &t->slack);
                l->n++;
            }
    qsort(l->step, l->n, sizeof *l->step, by_slack);
    return status;
}

static att_status make_bench(att_ctx *x, void *arg, void **out)
{
    int32_t dtype = att_dtype_named(att_ctx_word(x, "dtype"));
    bench *b = calloc(1, sizeof *b);
    double *room = calloc(640, sizeof *room);
    att_status status = b && room ? ATT_OK : ATT_NO_MEMORY;

    (void)arg;
    for (size_t i = 0; i < PROBLEMS && status == ATT_OK; i++) {
        parity_spec spec = spec_of(&problems[i], att_ctx_int(x, "d"), dtype);
        status = parity_inputs_make_edited(x, &spec, problems[i].cancels ? cancel : NULL, room,
                                           &b->in[i]);
    }
    if (status == ATT_OK)
        status = make_ladder(x, b->in, &b->ladder);
    free(room);
    if (status != ATT_OK) {
        drop_bench(b);
        b = NULL;
    }
    *out = b;
    return status;
}

/* --------------------------------------------------------------------------- the search */

/* One kernel's answers, and what each is held to: for an approximation the answer on its own keys.
 */
typedef struct answer {
    parity_inputs *in;
    parity_inputs own;
    parity_outputs o;
} answer;

static att_status hold_to_own(att_ctx *x, const att_problem *p, answer *a)
{
    double illegal = 0;
    att_status status = parity_pools(att_ctx_kernel(x))
                            ? parity_on_pooled(x, a->in, &a->own)
                            : parity_on_own_keys(x, a->in, p, &a->own, &illegal);

    a->in = &a->own;
    return status;
}

static att_status ask(att_ctx *x, parity_inputs *in, answer *a)
{
    att_problem p = in->given;
    att_status status = ATT_NO_MEMORY;

    a->in = in;
    if (parity_outputs_make(in, &p, &a->o))
        status = att_ctx_attend(x, &p);
    if (status == ATT_OK)
        parity_outputs_collect(in, &p, &a->o);
    if (status == ATT_OK && att_ctx_kernel(x)->class_ == ATT_APPROX)
        status = hold_to_own(x, &p, a);
    return status;
}

/* How many answers these units do not explain; stops at `most` of them. */
static att_status count_bad(att_ctx *x, const answer *answers, const att_units *units, size_t most,
                            size_t *bad)
{
    *bad = 0;
    for (size_t i = 0; i < PROBLEMS && *bad < most; i++) {
        att_profile *profile = NULL;
        att_error e;
        att_status status = parity_profile(x, answers[i].in, units->acc, &profile);
        if (status == ATT_OK)
            status = att_error_judge(profile, &answers[i].o.got, NULL, units, &e);
        if (status != ATT_OK)
            return status;
        *bad += e.bad;
    }
    return ATT_OK;
}

/* What the kernel uses; no type at all (unit 0) where nothing known explains it. */
static att_status find_used(att_ctx *x, const ladder *l, const answer *answers,
                            const triple *declared, triple *used)
{
    size_t bad = 1, first = 0, last;
    att_status status = ATT_OK;

    *used = (triple){.slack = (double)NAN};
    for (; first < l->n && status == ATT_OK; first += bad > 0)
        if ((status = count_bad(x, answers, &l->step[first].units, 1, &bad)) == ATT_OK && bad == 0)
            break;
    if (status != ATT_OK || bad > 0)
        return status;
    double until = l->step[first].slack + HALF_A_BIT;
    for (last = first; last + 1 < l->n && l->step[last + 1].slack <= until;)
        last++;
    *used = declared->slack >= l->step[first].slack && declared->slack <= until ? *declared
                                                                                : l->step[last];
    return ATT_OK;
}

static double bits(double unit)
{
    return unit > 0 ? -log2(unit) : 0;
}

static void record(att_ctx *x, const triple *declared, const triple *used)
{
    att_ctx_record(x, "acc_declared", bits(declared->units.acc));
    att_ctx_record(x, "acc_used", bits(used->units.acc));
    att_ctx_record(x, "prob_declared", bits(declared->units.prob));
    att_ctx_record(x, "prob_used", bits(used->units.prob));
    att_ctx_record(x, "out_declared", bits(declared->units.out));
    att_ctx_record(x, "out_used", bits(used->units.out));
    if (!isnan(used->slack))
        att_ctx_record(x, "slack", declared->slack - used->slack);
}

static att_status infer(att_ctx *x, const bench *b, answer *answers, triple *declared)
{
    parity_inputs *in[PROBLEMS];
    const ladder *l = &b->ladder;
    ladder own;
    triple used = {0};
    size_t bad = 0;
    att_status status = ATT_OK;

    for (size_t i = 0; i < PROBLEMS; i++)
        in[i] = answers[i].in;
    if (in[0] != b->in[0]) { /* on its own keys other slack is left */
        status = make_ladder(x, in, &own);
        l = &own;
    }
    if (status == ATT_OK)
        status = slack_of(x, in, &declared->units, &declared->slack);
    if (status == ATT_OK)
        status = count_bad(x, answers, &declared->units, PROBLEMS, &bad);
    att_ctx_record(x, "unexplained", (double)bad);
    if (status == ATT_OK)
        status = find_used(x, l, answers, declared, &used);
    if (status == ATT_OK)
        record(x, declared, &used);
    return status;
}

static att_status run(att_ctx *x)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    int32_t dtype = att_dtype_named(att_ctx_word(x, "dtype"));
    answer answers[PROBLEMS] = {0};
    triple declared = {0};
    void *shared = NULL;
    size_t n = 0;

    if (att_units_of(&kernel->precision, dtype, dtype, &declared.units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    if (kernel->class_ == ATT_OWN ||
        (kernel->class_ == ATT_APPROX && !kernel->select && !parity_pools(kernel))) {
        att_ctx_why(x, "precision is inferred of kernels that are exact on keys they name");
        return ATT_UNSUPPORTED;
    }
    att_status status = att_ctx_shared(x, "bench", make_bench, NULL, drop_bench, &shared);
    for (size_t i = 0; status == ATT_OK && i < PROBLEMS; i++) {
        status = ask(x, ((bench *)shared)->in[i], &answers[n]);
        n++;
    }
    if (status == ATT_OK)
        status = infer(x, shared, answers, &declared);
    for (size_t i = 0; i < n; i++) {
        parity_outputs_drop(&answers[i].o);
        parity_drop_own(&answers[i].own);
    }
    return status;
}

/* Making the ladder is most of it, and is shared by the kernels of a group. */
static double seconds(const char *task, const att_value *values)
{
    (void)task;
    return 0.001 * (double)values[0].i;
}

const att_eval att_eval_precision = {
    .name = "precision",
    .summary = "the precision that explains a kernel's errors, beside the declared one",
    .params = params,
    .metrics = metrics,
    .group_by = "d dtype",
    .ops = 1u << ATT_OP_ATTEND,
    .chance = (double)NAN,
    .seconds = seconds,
    .grace = 60,
    .run = run,
};
