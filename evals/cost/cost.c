/* SPDX-License-Identifier: Apache-2.0 */
/* Cost: does a kernel read what it declares to read?
 *
 * reads: one call of attention, with K and V on closed pages, a row on pages of its own, so that
 *        which rows are touched is counted and not told (cost_reads.c); that is held to the
 *        kernel's declared `cost` and to the pairs that it says it attends to (cost_judge.c).
 * recur: the same of a recurrence, its FLOPs and its state (cost_recur.c).
 * mix:   the same of a mix of attentions (cost_mix.c).
 * held:  the memory that a filled session holds, against state_bytes (cost_held.c).
 *
 * No clock, no instrumentation: a plugin is measured like any other kernel.  O(rows) page faults
 * beside the call itself. */
#include <math.h>
#include <stdlib.h>

#include "core/eval.h"
#include "evals/cost/cost.h"

static const char *const tasks[] = {"reads", "recur", "held", "mix", NULL};
static const uint32_t task_ops[] = {1u << ATT_OP_ATTEND, 1u << ATT_OP_RECUR, 1u << ATT_OP_SESSION,
                                    1u << ATT_OP_MIX};

static const att_param params[] = {
#include "evals/numeric/parity_params.def"
    {"rule", ATT_PARAM_WORD, 0, "", "linear",
     "linear|linear_elu1|retention|gla|delta|gated_delta|ssd|based", NULL,
     "recur: rule of the linear family"},
    {"kind", ATT_PARAM_WORD, 0, "", "gated", "differential|gated|forgetting|nsa|memory", NULL,
     "mix: what is mixed"},
    {"side", ATT_PARAM_INT, 0, "tokens", "8", "1:4096", NULL, "mix: NSA's blocks"},
    {"keep", ATT_PARAM_INT, 0, "", "4", "1:4096", NULL, "mix: blocks or keys chosen"},
    {"near", ATT_PARAM_INT, 0, "keys", "8", "1:100000", NULL, "mix: keys of the window"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"undeclared", "rows", ATT_LOWER, 0, ATT_BINDS_ALL, "rows of K and V touched beyond `cost`"},
    {"unread", "rows", ATT_LOWER, 0, ATT_BINDS_ALL, "rows that `cost` has touched, and are not"},
    {"outside", "rows", ATT_LOWER, 0, ATT_BINDS_ALL,
     "rows of V touched without a pair attended to, where contents decide which"},
    {"missed", "rows", ATT_LOWER, 0, ATT_BINDS_ALL, "rows of V of such pairs that are not touched"},
    {"keys_off", "rows", ATT_LOWER, 0, ATT_BINDS_ALL,
     "keys_read fewer than pairs or rows of V touched, or more than queries times rows touched"},
    {"bytes_off", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "kv_bytes_read likewise"},
    {"state_short", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL,
     "read by one query beyond state_bytes, though it had to be kept"},
    {"state_off", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "recur: state_bytes against the state"},
    {"unheld", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "held: state_bytes beyond what a session has"},
    {"held_ratio", "ratio", ATT_LOWER, 2, ATT_BINDS_ALL,
     "held: memory of a session over state_bytes; what grows by doubling holds as much again"},
    {"held_bytes", "bytes", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "held: of a filled session"},
    {"flops_off", "ratio", ATT_LOWER, 1e-12, ATT_BINDS_ALL,
     "useful FLOPs against 2 P (Dk + Dv) or the rule's, relative; where contents decide, fewer"},
    {"flops_short", "FLOP", ATT_LOWER, 0, ATT_BINDS_ALL, "useful, where fewer are executed"},
    {"cost_pages", "pages", ATT_LOWER, 0, ATT_BINDS_ALL, "of K and V that `cost` itself touched"},
    {"k_rows", "rows", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "rows of K touched"},
    {"v_rows", "rows", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "rows of V touched"},
    {"rows", "rows", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "rows of K in memory"},
    {0},
};

/* What is peculiar to where tensors lie has no say here. */
static const char *nonsense(const parity_spec *s)
{
    if ((!parity_is(s->layout, "bhsd") && !parity_is(s->layout, "shared")) ||
        !parity_is(s->far, "none"))
        return "K and V are laid out by the eval: layout=bhsd or shared, far=none";
    return parity_nonsense(s);
}

static bool valid(const att_value *values)
{
    const parity_spec s = parity_spec_of(values);

    return !nonsense(&s);
}

static bool covers(const att_value *values)
{
    return valid(values) && parity_covers(values);
}

static double seconds(const char *task, const att_value *values)
{
    const parity_spec s = parity_spec_of(values);

    return 2 * parity_seconds(task, values) + (double)(s.b * s.hkv * s.sk) * 1e-5;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    parity_inputs *in = NULL;
    att_status status = parity_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

static att_status mix(att_ctx *x, const parity_spec *s)
{
    const cost_mixed m = {att_ctx_word(x, "kind"), att_ctx_int(x, "side"), att_ctx_int(x, "keep"),
                          att_ctx_int(x, "near")};
    const char *wrong = cost_mix_nonsense(s, &m);

    if (!wrong)
        return cost_mix(x, s, &m);
    att_ctx_why(x, "%s", wrong);
    return ATT_INVALID;
}

static att_status run(att_ctx *x)
{
    parity_spec spec = parity_spec_of(att_ctx_values(x));
    const char *wrong = nonsense(&spec);
    void *in = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (parity_is(att_ctx_task(x), "recur"))
        return cost_recur(x, &spec, att_ctx_word(x, "rule"));
    if (parity_is(att_ctx_task(x), "held"))
        return cost_held(x, &spec);
    if (parity_is(att_ctx_task(x), "mix"))
        return mix(x, &spec);
    att_status status = att_ctx_shared(x, "inputs", make_shared, &spec, parity_inputs_drop, &in);
    if (status != ATT_OK)
        return status;
    ((parity_inputs *)in)->spec = spec; /* the same words, in this case's memory */
    return cost_reads(x, in);
}

const att_eval att_eval_cost = {
    .name = "cost",
    .summary = "K and V really read, against what the kernel declares and selects",
    .tasks = tasks,
    .params = params,
    .metrics = metrics,
    .group_by = PARITY_GROUP " rule kind side keep near",
    .task_ops = task_ops,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
    .track = ATT_TRACK_COST,
};
