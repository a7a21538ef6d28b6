/* SPDX-License-Identifier: Apache-2.0 */
/* Sequence: does a call stay right after other calls?
 *
 * calls:   calls on one kernel, with settings, sizes and addresses that change between them
 *          (sequence_calls.c).
 * session: a KV cache that is appended to, rolled back, forked and read (sequence_session.c).
 *
 * The steps are drawn from the seed, or given as `ops`.  A sequence runs in a process of its own,
 * so that a kernel's state begins with it; one that fails is shortened to steps that still fail
 * alone, which the record names as a case line. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/sequence.h"

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const char *const tasks[] = {"calls", "session", NULL};
static const uint32_t task_ops[] = {1u << ATT_OP_ATTEND, 1u << ATT_OP_SESSION};

static const att_param params[] = {
    {"b", INT, 0, "", "2", "1:64", "2 1 3", "batch at first"},
    {"hq", INT, 0, "heads", "4", "1:64", "4 1 6", "query heads"},
    {"hkv", INT, 0, "heads", "2", "1:64", "2 1", "key/value heads"},
    {"sq", INT, 0, "tokens", "3", "1:256", "3 1 8", "queries at first; session: most a step"},
    {"sk", INT, 0, "keys", "17", "1:1024", "17 40",
     "keys at first; session: most a sequence holds"},
    {"d", INT, 0, "", "8", "1:256", "8 40", "head_dim"},
    {"dv", INT, 0, "", "0", "0:256", "0 12", "value_dim; 0 = head_dim"},
    {"wl", INT, 0, "keys", "-1", "-1:1024", "-1 5 9", "session: window to the left; -1 = off"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16|i8", "f32 f16 bf16",
     "storage type; i8: session, with a scale a token"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {"steps", INT, 0, "", "40", "1:64", "40", "how many steps are drawn"},
    {"ops", WORD, 0, "", "", "", NULL, "the steps, as c:s1:c; '' = drawn from the seed"},
    {0},
};

static const att_metric_spec metrics[] = {
#include "evals/numeric/parity_metrics.def"
    {"held_steps", "half steps", ATT_LOWER, 2, ATT_BINDS_ALL,
     "largest change of a key or value by a session that rounds it, in 2 bits of the largest"},
    {"held_loss_k", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "relative L2 of held keys to those appended"},
    {"held_loss_v", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "relative L2 of held values to those appended"},
    {"repeat_differs", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "elements that differ when a deterministic kernel is called twice"},
    {"refused", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "steps of a session refused though the contract has them done"},
    {"calls", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "calls judged"},
    {"steps", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "steps taken"},
    {"trials", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL,
     "sequences run, shrinking included"},
    {0},
};

static parity_spec spec_of(const att_ctx *x)
{
    int64_t d = att_ctx_int(x, "d"), dv = att_ctx_int(x, "dv");
    const char *dtype = att_ctx_word(x, "dtype");

    return (parity_spec){
        .b = att_ctx_int(x, "b"),
        .hq = att_ctx_int(x, "hq"),
        .hkv = att_ctx_int(x, "hkv"),
        .sq = att_ctx_int(x, "sq"),
        .sk = att_ctx_int(x, "sk"),
        .d = d,
        .dv = dv ? dv : d,
        .left = att_ctx_int(x, "wl"),
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
        .values = "normal",
        .dtype = att_dtype_named(dtype),
        .place = parity_is(att_ctx_word(x, "place"), "flush") ? ATT_PLACE_FLUSH : ATT_PLACE_ALIGNED,
        .lse = true,
    };
}

/* The case's line with the steps written out, into text. */
static void shortest(const att_ctx *x, const sequence *steps, int64_t drawn, att_why *out)
{
    const char *line = att_ctx_line(x), *seed = strstr(line, " seed="),
               *ops = strstr(line, " ops=");
    char text[400];

    sequence_print(steps, text, sizeof text);
    att_why_set(out, "shortest of %lld steps: attest repro '%.*s ops=%s%s'", (long long)drawn,
                (int)((ops ? ops : seed) - line), line, text, seed);
}

/* One number a metric: the worst of the calls, counts added up. */
static void fold(att_ctx *x, const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        double value = m->value;
        bool first = true;
        for (size_t j = 0; j < r->n_metrics; j++) {
            const att_metric *o = &r->metrics[j];
            if (j == i || strcmp(o->name, m->name) != 0)
                continue;
            first = first && j > i;
            value = m->better == ATT_LOWER    ? att_error_fold(value, o->value)
                    : m->better == ATT_HIGHER ? -att_error_fold(-value, -o->value)
                                              : value + o->value;
        }
        if (first)
            att_ctx_record(x, m->name, value);
    }
    for (size_t i = 0; i < r->n_diagnoses; i++)
        att_ctx_diagnose(x, r->diagnoses[i].fault, r->diagnoses[i].ratio, r->diagnoses[i].text);
}

static att_status conclude(att_ctx *x, const att_record *r, const sequence_plan *plan,
                           int64_t drawn)
{
    bool bad = r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT;

    att_why line = {""};

    fold(x, r);
    if (bad)
        shortest(x, &plan->steps, drawn, &line);
    att_ctx_note(x, "%s", line.text);
    if (r->status == ATT_PASS || (bad && !att_ctx_holds(x)))
        return ATT_OK;
    if (bad) { /* no number says so: a crash, a hang, an operator that failed */
        att_ctx_why(x, "%s; %s", r->reason ? r->reason : "failed", line.text);
        return ATT_FAILED;
    }
    att_ctx_why(x, "%s", r->reason ? r->reason : "no reason given");
    return r->status == ATT_HOLE ? ATT_UNSUPPORTED : ATT_INVALID;
}

static att_status run(att_ctx *x)
{
    bool session = parity_is(att_ctx_task(x), "session");
    sequence_plan plan = {.spec = spec_of(x)};
    att_rng rng = att_ctx_group_rng(x, session ? "session" : "calls");
    const char *ops = att_ctx_word(x, "ops");
    att_record record = {0};
    int64_t trials = 0;

    if (plan.spec.hq % plan.spec.hkv) {
        att_ctx_why(x, "hkv does not divide hq");
        return ATT_INVALID;
    }
    if (!session && plan.spec.dtype == ATT_I8) {
        att_ctx_why(x, "i8 is a session's");
        return ATT_INVALID;
    }
    if (*ops &&
        !sequence_parse(ops, session ? SEQUENCE_SESSION_STEPS : SEQUENCE_CALL_STEPS, &plan.steps)) {
        att_ctx_why(x, "ops=%s: steps out of %s, each with a number, separated by ':'", ops,
                    session ? SEQUENCE_SESSION_STEPS : SEQUENCE_CALL_STEPS);
        return ATT_INVALID;
    }
    if (!*ops && session)
        sequence_draw_session(&rng, att_ctx_int(x, "steps"), &plan.spec, &plan.steps);
    else if (!*ops)
        sequence_draw_calls(&rng, att_ctx_int(x, "steps"), &plan.steps);
    int64_t drawn = (int64_t)plan.steps.n;
    att_status status =
        sequence_measure(x, session ? sequence_session : sequence_calls, &plan, &record, &trials);
    if (status != ATT_OK)
        return status;
    status = conclude(x, &record, &plan, drawn);
    att_ctx_record(x, "trials", (double)trials);
    att_record_clear(&record);
    return status;
}

static bool valid(const att_value *v)
{
    return v[1].i % v[2].i == 0;
}

static double seconds(const char *task, const att_value *values)
{
    (void)task;
    return 0.01 + 1e-4 * (double)values[10].i;
}

const att_eval att_eval_sequence = {
    .name = "sequence",
    .summary = "calls after calls: reused plans, changed settings, KV-cache sessions",
    .tasks = tasks,
    .params = params,
    .metrics = metrics,
    .apart = true,
    .task_ops = task_ops,
    .chance = (double)NAN,
    .valid = valid,
    .seconds = seconds,
    .run = run,
};
