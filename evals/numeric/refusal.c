/* SPDX-License-Identifier: Apache-2.0 */
/* Refusal: does a kernel turn down a problem that contradicts itself, and touch nothing?
 *
 * One case is one lie.  The honest problem comes first, in the first float type that the kernel
 * takes: who can't do it can't be asked.  Then the same with the lie told in it: `supports`, `plan`
 * or the operator must answer INVALID or UNSUPPORTED, and not one byte of out or LSE may have been
 * written.  Inputs end at pages without access, so that whoever reads by the lie is stopped. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/refusal.h"

#define LIE(name, with, fault) "|" #name
static const char domain[] =
#include "evals/numeric/refusal_lies.def"
    ;
#undef LIE
#define LIE(name, with, fault) " " #name
static const char levels[] =
#include "evals/numeric/refusal_lies.def"
    ;
#undef LIE

static const att_param params[] = {
    {"lie", ATT_PARAM_WORD, 0, "", "flag_unknown", domain + 1, levels + 1, "what is not true"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"accepted", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "lies answered with OK"},
    {"odd_answer", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "lies answered with neither INVALID nor UNSUPPORTED"},
    {"touched", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes of the output that were written"},
    {0},
};

static const refusal_lie *lie_named(const char *name)
{
    const refusal_lie *l = refusal_lies;

    while (l->name && strcmp(l->name, name) != 0)
        l++;
    return l;
}

/* The kernel's answer to the problem, told a lie or (NULL) honest. */
static att_status answer(att_ctx *x, const refusal_lie *lie, bool honest, int32_t dtype,
                         int32_t rule, size_t *touched)
{
    refusal r;
    att_status status = ATT_NO_MEMORY;
    att_op op = refusal_recurs(lie->with) ? ATT_OP_RECUR : ATT_OP_ATTEND;

    if (refusal_make(&r, lie->with, dtype, rule)) {
        if (att_ctx_kernel(x)->class_ == ATT_OWN)
            r.p.lse = (att_tensor){0}; /* no softmax, no LSE */
        if (!honest)
            lie->tell(&r);
        refusal_freeze(&r, true);
        status = att_ctx_call(x, &att_ctx_variant(x)->part[0], op, &r.p, NULL);
        *touched = refusal_touched(&r);
    } else {
        att_ctx_why(x, "no memory for the problem");
    }
    refusal_drop(&r);
    return status;
}

static att_status run(att_ctx *x)
{
    static const int32_t dtypes[] = {ATT_F32, ATT_F16, ATT_BF16, ATT_F64};
    const refusal_lie *lie = lie_named(att_ctx_word(x, "lie"));
    static const int32_t rules[] = {ATT_RULE_LINEAR_ELU1, ATT_RULE_BASED, ATT_RULE_LINEAR,
                                    ATT_RULE_RETENTION,   ATT_RULE_GLA,   ATT_RULE_DELTA,
                                    ATT_RULE_GATED_DELTA, ATT_RULE_SSD};
    att_status status = ATT_UNSUPPORTED;
    size_t touched = 0, i = 0, r = 0;

    if (lie->with == REFUSAL_LSE && att_ctx_kernel(x)->class_ == ATT_OWN) {
        att_ctx_why(x, "has a function of its own, without an LSE");
        return status;
    }
    const size_t ways = lie->with == REFUSAL_STATE ? 8 : lie->with == REFUSAL_NORM ? 2 : 1;
    const size_t most = ways * sizeof dtypes / sizeof *dtypes;
    for (; status == ATT_UNSUPPORTED && i < most; i++) /* the first honest problem that it takes */
        status = answer(x, lie, true, dtypes[i / ways], rules[r = i % ways], &touched);
    if (status != ATT_OK)
        return status;
    status = answer(x, lie, false, dtypes[(i - 1) / ways], rules[r], &touched);
    att_ctx_record(x, "accepted", status == ATT_OK);
    att_ctx_record(x, "odd_answer",
                   status != ATT_OK && status != ATT_INVALID && status != ATT_UNSUPPORTED);
    att_ctx_record(x, "touched", (double)touched);
    if ((status == ATT_OK || touched) && *lie->fault)
        att_ctx_diagnose(x, lie->fault, 0, "a length past the memory it indexes was believed");
    return ATT_OK;
}

const att_eval att_eval_refusal = {
    .name = "refusal",
    .summary = "problems that contradict themselves are turned down, untouched",
    .params = params,
    .metrics = metrics,
    .chance = (double)NAN,
    .run = run,
};
