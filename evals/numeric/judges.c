/* SPDX-License-Identifier: Apache-2.0 */
/* Judges: one output under this suite's rule and under other people's, side by side.
 *
 * A case is parity's case, with parity's parameters; nothing recorded here has a limit, so nothing
 * fails.  Each rule gives a ratio, at most 1 where it lets the output pass.  All of them fail an
 * output whose NaN/Inf pattern is wrong (each of their tests would see a NaN), none sees places
 * where the answer itself is not finite, and only this suite's looks at the LSE.  The rules that
 * want "plain attention in the storage type" get it from logits, probabilities and results rounded
 * to that type, or, for f32, from a kernel that adds in order.  O(pairs (Dk + Dv)). */
#include "evals/numeric/judges.h"

#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "core/error_profile.h"
#include "core/eval.h"
#include "evals/numeric/parity.h"

static const att_param params[] = {
#include "evals/numeric/parity_params.def"
    {0},
};

#define JUDGE(name, text) {#name, "ratio", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, text},
static const att_metric_spec metrics[] = {
    {"attest", "ratio", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "sigma <= 6, bound, row, hull and LSE; this suite's rule"},
#include "evals/numeric/judges.def"
    {0},
};
#undef JUDGE

/* --------------------------------------------------- plain attention in the storage type */

/* Row r with logits, probabilities and result rounded to the type. */
static void round_row(const att_profile *f, int64_t r, int32_t dtype, double *to)
{
    att_error_keys k = att_profile_keys(f, r);
    double top = -(double)INFINITY, total = 0;

    for (int64_t j = 0; j < k.n; j++)
        top = fmax(top, att_fp_round(dtype, k.s[j]));
    for (int64_t j = 0; j < k.n; j++)
        total += exp(att_fp_round(dtype, k.s[j]) - top);
    for (int64_t j = 0; j < k.n; j++) {
        double p = att_fp_round(dtype, exp(att_fp_round(dtype, k.s[j]) - top) / total);
        for (int64_t d = 0; d < f->dv; d++)
            to[d] += p * k.v[j][d];
    }
    for (int64_t d = 0; d < f->dv; d++)
        to[d] = att_fp_round(dtype, to[d]);
}

/* Dense [B,Hq,Sq,Dv]. */
static att_status round_all(att_ctx *x, parity_inputs *in, double *low)
{
    att_profile *f = NULL;
    att_status status = parity_profile(x, in, 0x1p-24, &f);

    for (int64_t r = 0; status == ATT_OK && r < f->rows; r++)
        if (f->n[r] > 0)
            round_row(f, r, in->spec.dtype, low + r * f->dv);
    return status;
}

static int64_t elements(const parity_inputs *in)
{
    return in->spec.b * in->spec.hq * in->spec.sq * in->spec.dv;
}

static att_status ask_plain(att_ctx *x, const parity_inputs *in, double *low)
{
    const att_variant *plain = att_ctx_find(x, "dot_in_order");
    att_problem p = in->given;
    parity_outputs o = {0};
    att_status status = ATT_NO_MEMORY;

    if (!plain) {
        att_ctx_why(x, "the tables have no dot_in_order");
        return ATT_FAILED;
    }
    if (parity_outputs_make(in, &p, &o))
        status = att_ctx_call(x, &plain->part[0], ATT_OP_ATTEND, &p, NULL);
    if (status == ATT_OK)
        parity_outputs_collect(in, &p, &o);
    for (int64_t i = 0; status == ATT_OK && i < elements(in); i++)
        low[i] = att_fp_load(o.got.data, o.got.dtype, i);
    parity_outputs_drop(&o);
    return status;
}

static att_status make_low(att_ctx *x, void *arg, void **out)
{
    parity_inputs *in = arg;
    double *low = calloc((size_t)elements(in) + 1, sizeof *low);
    att_status status = !low                        ? ATT_NO_MEMORY
                        : in->spec.dtype == ATT_F32 ? ask_plain(x, in, low)
                                                    : round_all(x, in, low);

    if (status != ATT_OK) {
        free(low);
        low = NULL;
    }
    *out = low;
    return status;
}

/* -------------------------------------------------------------------------- judgement */

/* This suite's rule as one ratio. */
static double own_ratio(const att_error *e)
{
    double most = 0;
    const double ratios[] = {e->sigma_ratio / 6, e->bound_ratio, e->row_ratio, e->lse_ratio};

    if (e->nonfinite > 0 || e->hull > 0)
        return (double)INFINITY;
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++)
        most = att_error_fold(most, ratios[i]);
    return isnan(most) ? (double)INFINITY : most;
}

/* Fills the pair with what can be compared: judged rows, places where both sides are finite. */
static void compare(const parity_inputs *in, const parity_outputs *o, const double *low,
                    double *room, judge_pair *pair)
{
    const parity_spec *s = &in->spec;
    double *got = room, *want = room + elements(in), *plain = room + 2 * elements(in);

    *pair = (judge_pair){.got = got, .want = want, .low = plain, .dtype = s->dtype};
    for (int64_t i = 0; i < elements(in); i++) {
        int64_t row = i / s->dv;
        double x = att_fp_load(o->got.data, o->got.dtype, i),
               y = att_fp_round(s->dtype, in->out[i]);
        if (row % s->sq >= in->nq[row / (s->hq * s->sq)] || !isfinite(x) || !isfinite(y) ||
            !isfinite(low[i]))
            continue;
        got[pair->n] = x;
        want[pair->n] = y;
        plain[pair->n++] = low[i];
    }
}

static att_status judge_all(att_ctx *x, parity_inputs *in, const parity_outputs *o,
                            const att_units *units)
{
    att_profile *profile = NULL;
    att_error e, out_alone;
    void *low = NULL;
    judge_pair pair;
    double *room = calloc((size_t)(3 * elements(in)) + 1, sizeof *room);
    att_status status = room ? parity_profile(x, in, units->acc, &profile) : ATT_NO_MEMORY;

    if (status == ATT_OK)
        status = att_error_judge(profile, &o->got, &o->got_lse, units, &e);
    if (status == ATT_OK)
        status = att_error_judge(profile, &o->got, NULL, units, &out_alone);
    if (status == ATT_OK)
        status = att_ctx_shared(x, "low", make_low, in, free, &low);
    if (status == ATT_OK) {
        compare(in, o, low, room, &pair);
        att_ctx_record(x, "attest", own_ratio(&e));
        for (const judge *j = judges; j->name; j++)
            att_ctx_record(x, j->name, out_alone.nonfinite > 0 ? (double)INFINITY : j->rule(&pair));
    }
    free(room);
    return status;
}

static att_status make_inputs(att_ctx *x, void *arg, void **out)
{
    parity_inputs *in = NULL;
    att_status status = parity_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

static att_status run(att_ctx *x)
{
    parity_spec spec = parity_spec_of(att_ctx_values(x));
    const att_kernel *kernel = att_ctx_kernel(x);
    const char *wrong = parity_nonsense(&spec);
    parity_outputs o = {0};
    att_units units;
    void *shared = NULL;

    if (wrong || att_units_of(&kernel->precision, spec.dtype, spec.dtype, &units) != ATT_OK) {
        att_ctx_why(x, "%s", wrong ? wrong : "the declared precision names no float type");
        return ATT_INVALID;
    }
    if (kernel->class_ != ATT_EXACT) {
        att_ctx_why(x, "other people's rules are for exact kernels");
        return ATT_UNSUPPORTED;
    }
    att_status status =
        att_ctx_shared(x, "inputs", make_inputs, &spec, parity_inputs_drop, &shared);
    if (status != ATT_OK)
        return status;
    parity_inputs *in = shared;
    in->spec = spec; /* the same words, in this case's memory: the first's is gone */
    att_problem p = in->given;
    status = parity_outputs_make(in, &p, &o) ? att_ctx_attend(x, &p) : ATT_NO_MEMORY;
    if (status == ATT_OK) {
        parity_outputs_collect(in, &p, &o);
        if (!p.lse.data)
            o.got_lse.data = (free(o.got_lse.data), NULL);
        status = judge_all(x, in, &o, &units);
    }
    parity_outputs_drop(&o);
    return status;
}

const att_eval att_eval_judges = {
    .name = "judges",
    .summary = "other people's rules on parity's cases, only to compare",
    .params = params,
    .metrics = metrics,
    .group_by = PARITY_GROUP,
    .ops = 1u << ATT_OP_ATTEND,
    .chance = (double)NAN,
    .valid = parity_valid,
    .covers = parity_covers,
    .seconds = parity_seconds,
    .run = run,
};
