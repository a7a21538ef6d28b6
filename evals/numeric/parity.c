/* SPDX-License-Identifier: Apache-2.0 */
/* Parity: does a kernel compute softmax attention, to rounding, on every shape, layout and extreme?
 *
 * One case is one problem: its inputs lie frozen in guarded memory (gaps and unseen keys hold NaN),
 * the output starts as NaN, and the result is judged by the numeric rule (core/error.h) against the
 * float64 oracle.  A kernel that approximates is judged on the keys that it says it kept
 * (`select`), which must be allowed ones; a kernel with a function of its own by that function's
 * recurrence.  O(pairs (Dk + Dv)). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/eval.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/parity_far.h"
#include "evals/numeric/parity_own.h"

#include "base/fp.h"

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
    P_SCALE,
    P_SOFTCAP,
    P_SINKS,
    P_ALIBI,
    P_LENS,
    P_STORE,
    P_LAYOUT,
    P_FAR,
    P_APART,
    P_DTYPE,
    P_VALUES,
    P_PLACE,
    P_THREADS,
    P_LSE,
    P_QUANT
};

static const att_param params[] = {
#include "evals/numeric/parity_params.def"
    {0},
};

static const att_metric_spec metrics[] = {
#include "evals/numeric/parity_metrics.def"
    {0},
};

/* ------------------------------------------------------------------------- parameters */

static int64_t page_of(const char *store)
{
    return strncmp(store, "page", 4) == 0 ? strtoll(store + 4, NULL, 10) : 0;
}

parity_spec parity_spec_of(const att_value *v)
{
    parity_spec s = {
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
        .far = v[P_FAR].s,
        .apart = v[P_APART].i,
        .values = v[P_VALUES].s,
        .softcap = v[P_SOFTCAP].f,
        .scale = v[P_SCALE].f,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = parity_is(v[P_PLACE].s, "flush")   ? ATT_PLACE_FLUSH
                 : parity_is(v[P_PLACE].s, "loose") ? ATT_PLACE_LOOSE
                                                    : ATT_PLACE_ALIGNED,
        .lse = v[P_LSE].i != 0,
        .quant = v[P_QUANT].s,
    };

    s.page = page_of(s.store);
    return s;
}

/* What contradicts itself; NULL = nothing. */
const char *parity_nonsense(const parity_spec *s)
{
    bool plain = parity_is(s->layout, "bhsd") || parity_is(s->layout, "bshd") ||
                 parity_is(s->layout, "padded") || parity_is(s->layout, "shared");

    if ((s->hkv == 0) != (s->hq == 0) || (s->hkv && s->hq % s->hkv))
        return "hkv does not divide hq";
    if (parity_is(s->layout, "shared") && s->dv > s->d)
        return "layout=shared needs dv <= d";
    if (!parity_is(s->store, "dense") && !plain)
        return "packed and paged storage come in layouts bhsd, bshd, padded and shared";
    if ((parity_is(s->values, "nan") || parity_is(s->values, "dark")) &&
        (parity_is(s->bias, "lowest") || parity_is(s->layout, "broadcast")))
        return "NaN under weights that vanish says nothing";
    if (parity_is(s->values, "dark") && !parity_is(s->sinks, "none"))
        return "values=dark with a sink in the denominator says nothing";
    if (parity_shares_pages(s) && s->far && !parity_is(s->far, "none"))
        return "shared pages are not far apart";
    if (parity_quant_nonsense(s))
        return parity_quant_nonsense(s);
    return parity_fits(s) ? parity_far_nonsense(s) : "the problem is too large";
}

bool parity_valid(const att_value *values)
{
    parity_spec s = parity_spec_of(values);

    return !parity_nonsense(&s);
}

bool parity_covers(const att_value *values)
{
    parity_spec s = parity_spec_of(values);

    return !parity_nonsense(&s) && parity_work(&s) <= 8e6;
}

double parity_seconds(const char *task, const att_value *values)
{
    parity_spec s = parity_spec_of(values);

    (void)task;
    return 0.001 + parity_work(&s) * 4e-9;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    parity_inputs *in = NULL;
    att_status status = parity_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

/* A machine that lends no such span of addresses leaves a hole. */
static att_status without_room(att_ctx *x, const parity_spec *s, att_status status)
{
    if (status != ATT_NO_MEMORY || !s->far || parity_is(s->far, "none"))
        return status;
    att_ctx_why(x, "this machine lends no address space for tensors so far apart");
    return ATT_UNSUPPORTED;
}

static att_status run_kernel(att_ctx *x, parity_inputs *in, const att_units *units)
{
    att_problem p = in->given;
    parity_outputs o = {0};
    att_status status = ATT_NO_MEMORY;

    if (parity_outputs_make(in, &p, &o)) {
        if (parity_class(att_ctx_kernel(x)) == ATT_OWN)
            p.lse = (att_tensor){0}; /* no softmax, no LSE */
        status = att_ctx_attend(x, &p);
    } else {
        status = without_room(x, &in->spec, status);
    }
    if (status == ATT_OK)
        status = parity_judge(x, in, &p, &o, units, true);
    parity_outputs_drop(&o);
    return status;
}

static att_status run(att_ctx *x)
{
    parity_spec spec = parity_spec_of(att_ctx_values(x));
    const char *wrong = parity_nonsense(&spec);
    att_units units;
    void *in = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    att_status status = parity_ready(x, &spec, &units);
    if (status != ATT_OK)
        return status;
    status = att_ctx_shared(x, "inputs", make_shared, &spec, parity_inputs_drop, &in);
    if (status != ATT_OK)
        return without_room(x, &spec, status);
    ((parity_inputs *)in)->spec =
        spec; /* the same words, in this case's memory: the first's is gone */
    return run_kernel(x, in, &units);
}

const att_eval att_eval_parity = {
    .name = "parity",
    .summary = "numerical equivalence with the float64 oracle",
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
