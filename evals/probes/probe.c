/* SPDX-License-Identifier: Apache-2.0 */
/* probe: does the attention still find what matters?  Operator track, one task a file (task.h).
 *
 * A circuit makes Q, K, V of token items, the kernel under test attends, the code nearest to what
 * comes back is the answer.  What a variant should lose follows from its mask alone
 * (closed_form.c); where a task's theory is exact, the measurement is held against it item by item.
 * A loss that theory does not explain, and a hit that it forbids, are both `unexplained`: the
 * suite's failure or the kernel's, never noise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/eval.h"
#include "evals/probes/call.h"
#include "evals/probes/diagnose.h"
#include "evals/probes/judge.h"

#define PROBE_TASK(name) extern const probe_task probe_task_##name;
#include "evals/probes/tasks.def"
#undef PROBE_TASK
#define PROBE_TASK(name) &probe_task_##name,
static const probe_task *const tasks[] = {
#include "evals/probes/tasks.def"
    NULL};
#undef PROBE_TASK
#define PROBE_TASK(name) #name,
static const char *const names[] = {
#include "evals/probes/tasks.def"
    NULL};

#define SEEN (INT64_C(1) << 24)

enum { LEN, FACTS, HAY, MATCH, STORE, NORM, DIMS, CONTEXTS };

static const probe_task *task_named(const char *name)
{
    for (size_t i = 0; tasks[i]; i++)
        if (strcmp(tasks[i]->name, name) == 0)
            return tasks[i];
    return NULL;
}

/* A circuit to be made. */
typedef struct order {
    const probe_task *task;
    const char *stream; /* of its random numbers, and its key among the shared objects */
    int64_t len;
} order;

/* Keys and queries of fewer dimensions. */
static void narrow(probe_circuit *c, int64_t dims)
{
    probe_narrow(c->k, c->contexts * c->len, dims);
    probe_narrow(c->q, c->contexts * c->heads * c->rows, dims);
}

static probe_manner manner_of(att_ctx *x, probe_held *held)
{
    const att_value *values = att_ctx_values(x);

    return (probe_manner){
        .match = values[MATCH].f, .norm = values[NORM].f, .store = values[STORE].s, .held = held};
}

static att_status make_circuit(att_ctx *x, void *arg, void **out)
{
    const order *made = arg;
    const probe_task *t = made->task;
    const att_value *values = att_ctx_values(x);
    att_rng rng = att_ctx_group_rng(x, made->stream);
    probe_circuit *c = calloc(1, sizeof *c);
    att_status status = c ? probe_codes(x, &c->code) : ATT_NO_MEMORY;

    if (status == ATT_OK) {
        c->len = made->len;
        c->facts = values[FACTS].i ? values[FACTS].i : t->facts;
        c->contexts = values[CONTEXTS].i;
        c->haystack = strcmp(values[HAY].s, "own") ? values[HAY].s : t->haystack;
        status = t->make(c, &rng, att_ctx_why_buffer(x));
        c->haystack = NULL;
        if (status == ATT_OK && values[CONTEXTS].i && values[CONTEXTS].i != c->contexts) {
            att_ctx_why(x, "%s has %lld contexts", t->name, (long long)c->contexts);
            status = ATT_UNSUPPORTED;
        }
        if (status == ATT_OK)
            narrow(c, values[DIMS].i);
    }
    if (status != ATT_OK) {
        probe_circuit_drop(c);
        c = NULL;
    }
    *out = c;
    return status;
}

/* Asks with what came back, at norm 1; a zero stays one. */
static void follow(const probe_circuit *c, int64_t i, int64_t hop, const float *out, float *q)
{
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, out);
    float *to = probe_query(c, a, q);
    double size = 0;

    (void)hop;
    for (int d = 0; d < PROBE_CODE; d++)
        size += (double)row[d] * (double)row[d];
    for (int d = 0; d < PROBE_CODE; d++)
        to[d] = size == 0 ? 0 : (float)((double)row[d] / sqrt(size));
}

/* All hops of a circuit: out [hops][contexts * heads,rows,width], owned by the caller; NULL on an
 * error. */
static att_status ask(att_ctx *x, const probe_task *task, const probe_circuit *c, float **out)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    probe_held held = {0};
    const probe_manner how = manner_of(x, &held);
    const size_t rows = (size_t)(c->contexts * c->heads * c->rows);
    const int64_t hops = probe_hops(task);
    float *q = malloc(rows * PROBE_CODE * sizeof *q);
    float *all = malloc((size_t)hops * rows * (size_t)c->width * sizeof *all);
    att_status status = q && all ? ATT_OK : ATT_NO_MEMORY;

    if (status == ATT_OK)
        memcpy(q, c->q, rows * PROBE_CODE * sizeof *q);
    for (int64_t hop = 0; hop < hops && status == ATT_OK; hop++) {
        float *last = all + (size_t)(hop ? hop - 1 : 0) * rows * (size_t)c->width;
        for (int64_t i = 0; hop && i < c->n_asked; i++)
            (task->next ? task->next : follow)(c, i, hop, last, q);
        probe_narrow(q, (int64_t)rows, att_ctx_values(x)[DIMS].i);
        status = probe_call(x, part, c, q, &how, all + (size_t)hop * rows * (size_t)c->width);
    }
    free(q);
    probe_held_drop(&held);
    if (status != ATT_OK) {
        free(all);
        all = NULL;
    }
    *out = all;
    return status;
}

/* The share answered right, against that of a short context with the same facts. */
static att_status compare_base(att_ctx *x, const probe_task *task, double accuracy)
{
    const order short_one = {task, "base", task->base};
    void *shared = NULL;
    float *out = NULL;
    int64_t hits = 0;
    att_status status = att_ctx_shared(x, short_one.stream, make_circuit, (void *)&short_one,
                                       probe_circuit_drop, &shared);
    const probe_circuit *c = shared;

    if (status == ATT_OK)
        status = ask(x, task, c, &out);
    if (status != ATT_OK)
        return status;
    for (int64_t i = 0; i < c->n_asked; i++) {
        hits += probe_answer(task, c, i, out).hit;
    }
    free(out);
    const double base = (double)hits / (double)c->n_asked;
    att_ctx_record(x, "base_accuracy", base);
    if (base > 0)
        att_ctx_record(x, "relative", accuracy / base);
    return ATT_OK;
}

/* Which keys the kernel says that it sees in the first attention; NULL: it doesn't, or they are
 * more than SEEN pairs. */
static att_status select_keys(att_ctx *x, const probe_circuit *c, const probe_manner *how,
                              uint8_t **out)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const int64_t pairs = c->contexts * c->heads * c->rows * c->len;

    *out = NULL;
    if (!probe_selects(part->kernel) || pairs > SEEN)
        return ATT_OK;
    uint8_t *allowed = malloc((size_t)pairs);
    att_status status = allowed ? probe_seen(x, part, c, c->q, how, allowed) : ATT_NO_MEMORY;
    if (status == ATT_OK) {
        *out = allowed;
        return ATT_OK;
    }
    free(allowed);
    return status == ATT_UNSUPPORTED ? ATT_OK : status;
}

static att_status measure(att_ctx *x, const probe_task *task, const probe_circuit *c)
{
    const probe_manner how = manner_of(x, NULL);
    probe_tally t = {.reach = -1, .nearest = (double)INFINITY};
    float *out = NULL;
    uint8_t *chosen = NULL;
    att_status status = ask(x, task, c, &out);

    if (status == ATT_OK)
        status = select_keys(x, c, &how, &chosen);
    if (status == ATT_OK) {
        att_ctx_record(x, "chance", task->chance ? task->chance(c) : 1.0 / PROBE_CODES);
        probe_judge(x, task, c, &how, out, chosen, &t);
        probe_record(x, c, &t);
        if (task->record)
            task->record(x, c, out);
        status = probe_diagnose(x, c, &how, out, chosen);
    }
    free(chosen);
    free(out);
    return status == ATT_OK && task->base ? compare_base(x, task, (double)t.hits / (double)t.n)
                                          : status;
}

static att_status run(att_ctx *x)
{
    const probe_task *task = task_named(att_ctx_task(x));
    const order whole = {task, task->name, att_ctx_values(x)[LEN].i};
    void *shared = NULL;

    if (task->longest && whole.len > task->longest) {
        att_ctx_why(x, "%s is asked at most at %lld tokens", task->name, (long long)task->longest);
        return ATT_UNSUPPORTED;
    }
    att_status status =
        att_ctx_shared(x, whole.stream, make_circuit, (void *)&whole, probe_circuit_drop, &shared);
    return status == ATT_OK ? measure(x, task, shared) : status;
}

static att_task_note note(const char *name)
{
    const probe_task *task = task_named(name);

    return (att_task_note){task->exposes, task->spares ? task->spares : ""};
}

static double seconds(const char *task, const att_value *values)
{
    return 0.01 + (double)(probe_hops(task_named(task)) * values[LEN].i) * 3e-6;
}

static const att_param params[] = {
    {"len", ATT_PARAM_INT, 0, "keys", "1024", "4:131072", "256 1024 4096 16384", "of a context"},
    {"facts", ATT_PARAM_INT, 0, "", "0", "0:4096", NULL, "in a context; 0: the task's own number"},
    {"hay", ATT_PARAM_WORD, 0, "", "own", "own|none|noise|prose|needles",
     "none noise prose needles", "what lies between the facts; none: keys and values of 0"},
    {"match", ATT_PARAM_REAL, 0, "nats", "0", "0:1000", NULL,
     "logit of a query that meets its own key; 0: what suits the kernel"},
    {"store", ATT_PARAM_WORD, 0, "", "auto", PROBE_STORES, NULL,
     "K and V for kernels that attend; auto: the first that the kernel takes"},
    {"norm", ATT_PARAM_REAL, 0, "", "0", "0:1000", NULL, "of keys; 0: what suits the kernel"},
    {"dims", ATT_PARAM_INT, 0, "", "64", "1:64", NULL,
     "of keys and queries: less of their codes, at the same norm"},
    {"contexts", ATT_PARAM_INT, 0, "", "0", "0:4096", NULL,
     "laid out and asked; 0: the task's own number"},
    {0}};

static const att_metric_spec metrics[] = {
    {"accuracy", "share", ATT_HIGHER, (double)NAN, 0, "questions answered right"},
    {"chance", "share", ATT_NEITHER, (double)NAN, 0, "of guessing right"},
    {"accuracy_predicted", "share", ATT_HIGHER, (double)NAN, 0,
     "questions whose evidence the closed form shows"},
    {"unexplained", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "items that contradict the closed form"},
    {"guessed", "count", ATT_LOWER, (double)NAN, 0,
     "hidden evidence answered right: unexplained where it is more than luck"},
    {"coverage", "share", ATT_NEITHER, (double)NAN, 0,
     "keys that the closed form shows: the recall of a needle that may lie anywhere"},
    {"selected", "share", ATT_HIGHER, (double)NAN, 0,
     "questions whose evidence the kernel's own selection holds"},
    {"unexplained_by_select", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "items that contradict the kernel's own selection"},
    {"reach", "keys", ATT_HIGHER, (double)NAN, 0, "largest distance of evidence that was found"},
    {"nearest_miss", "keys", ATT_HIGHER, (double)NAN, 0, "smallest distance of what was missed"},
    {"masked", "count", ATT_LOWER, (double)NAN, 0, "missed: the evidence had no weight"},
    {"under_weighted", "count", ATT_LOWER, (double)NAN, 0, "missed: less than half the weight"},
    {"not_decoded", "count", ATT_LOWER, (double)NAN, 0, "missed, though most weight was there"},
    {"mass", "share", ATT_HIGHER, (double)NAN, 0, "weight on the answer's token"},
    {"rival_mass", "share", ATT_LOWER, (double)NAN, 0, "weight on what it may be mistaken for"},
    {"lift", "ratio", ATT_HIGHER, (double)NAN, 0, "mass over that of an even spread"},
    {"signal", "nats", ATT_HIGHER, (double)NAN, 0,
     "log of the weight on answers over that on all other tokens"},
    {"first_mass", "share", ATT_NEITHER, (double)NAN, 0, "weight on the first four tokens"},
    {"weights_sum", "ratio", ATT_NEITHER, (double)NAN, 0, "of all keys"},
    {"keys_effective", "keys", ATT_NEITHER, (double)NAN, 0,
     "1 over the sum of squared weights, estimated"},
    {"set_f1", "share", ATT_HIGHER, (double)NAN, 0,
     "several answers wanted: F1, the mean over questions"},
    {"duplicate_taken", "share", ATT_LOWER, (double)NAN, 0,
     "needle_multi_key: a near-duplicate's value given"},
    {"updated_right", "share", ATT_HIGHER, (double)NAN, 0, "overwrite: of facts stated again"},
    {"untouched_right", "share", ATT_HIGHER, (double)NAN, 0, "overwrite: of facts stated once"},
    {"stale", "share", ATT_LOWER, (double)NAN, 0, "overwrite: the old value given"},
    {"first_key_only", "share", ATT_LOWER, (double)NAN, 0,
     "compositional: a cell with the same first key"},
    {"second_key_only", "share", ATT_LOWER, (double)NAN, 0,
     "compositional: a cell with the same second key"},
    {"exact_right", "share", ATT_HIGHER, (double)NAN, 0, "fuzzy: asked with the key itself"},
    {"blurred_right", "share", ATT_HIGHER, (double)NAN, 0, "fuzzy: asked with nearly the key"},
    {"hops_followed", "hops", ATT_HIGHER, (double)NAN, 0,
     "variables: names found before the first wrong one"},
    {"lured", "share", ATT_LOWER, (double)NAN, 0,
     "latent hop: led astray by what looks like the question"},
    {"right_untouched", "share", ATT_HIGHER, (double)NAN, 0,
     "entities: of boxes no operation touched"},
    {"right_touched_few", "share", ATT_HIGHER, (double)NAN, 0,
     "entities: of boxes touched once or twice"},
    {"right_touched_often", "share", ATT_HIGHER, (double)NAN, 0,
     "entities: of boxes touched more often"},
    {"other_list", "share", ATT_LOWER, (double)NAN, 0, "ordinals: the other list's answered"},
    {"twins_right", "share", ATT_HIGHER, (double)NAN, 0,
     "pronouns: both twins of a sentence right"},
    {"twins_flipped", "share", ATT_HIGHER, (double)NAN, 0,
     "pronouns: another of the two names is nearer once the cue is the other"},
    {"choice", "share", ATT_HIGHER, (double)NAN, 0,
     "pronouns: the right one of the two names is nearer; chance 1/2"},
    {"base_accuracy", "share", ATT_HIGHER, (double)NAN, 0, "of such questions in a short context"},
    {"relative", "ratio", ATT_HIGHER, (double)NAN, 0, "accuracy over that of a short context"},
    {"keys_share", "share", ATT_LOWER, (double)NAN, 0, "keys really read, of all"},
#include "evals/probes/diagnose.def"
    {"answer_right", "share", ATT_HIGHER, (double)NAN, 0,
     "citation: the value, whatever its source"},
    {"source_right", "share", ATT_HIGHER, (double)NAN, 0,
     "citation: its document cited, of answers that are right"},
    {"off_by_one", "share", ATT_LOWER, (double)NAN, 0,
     "the document, ordinal or place before or after it"},
    {"out_of_range", "share", ATT_LOWER, (double)NAN, 0, "citation: most weight in no document"},
    {"offset_mean", "documents", ATT_NEITHER, (double)NAN, 0,
     "from the right document, or ordinal, to that given"},
    {"mass_gold", "share", ATT_HIGHER, (double)NAN, 0, "citation: weight on the right document"},
    {"mass_before", "share", ATT_LOWER, (double)NAN, 0, "citation: on the document before it"},
    {"mass_after", "share", ATT_LOWER, (double)NAN, 0, "citation: on the document after it"},
    {"mass_other", "share", ATT_LOWER, (double)NAN, 0, "citation: on the other documents"},
    {"mass_outside", "share", ATT_LOWER, (double)NAN, 0, "citation: in no document"},
    {"true_refusal", "share", ATT_HIGHER, (double)NAN, 0,
     "grounding: refused, of questions without evidence"},
    {"over_refusal", "share", ATT_LOWER, (double)NAN, 0, "grounding: refused, of those with"},
    {"mutant_answered", "share", ATT_LOWER, (double)NAN, 0, "grounding: of mutated keys"},
    {"answer_margin", "share", ATT_HIGHER, (double)NAN, 0,
     "grounding: weight of an answer over that of the null token"},
    {"abstain_margin", "share", ATT_HIGHER, (double)NAN, 0,
     "grounding: weight of the null token over that of any value, without evidence"},
    {"adherence_weak", "share", ATT_HIGHER, (double)NAN, 0, "adherence: the prior weighs 1/4"},
    {"adherence_even", "share", ATT_HIGHER, (double)NAN, 0, "adherence: 1/2"},
    {"adherence_strong", "share", ATT_HIGHER, (double)NAN, 0, "adherence: 3/4"},
    {"prior_taken", "share", ATT_LOWER, (double)NAN, 0, "adherence: the prior's answer"},
    {"rule_reference", "share", ATT_HIGHER, (double)NAN, 0, "hierarchy: the rule alone, kept"},
    {"rule_aligned", "share", ATT_HIGHER, (double)NAN, 0, "hierarchy: repeated later, kept"},
    {"rule_conflict", "share", ATT_HIGHER, (double)NAN, 0, "hierarchy: contradicted later, kept"},
    {"conflict_effect", "share", ATT_HIGHER, (double)NAN, 0,
     "hierarchy: rules kept in conflict less those kept alone"},
    {"overridden", "share", ATT_LOWER, (double)NAN, 0,
     "hierarchy: the later instruction followed, in conflict"},
    {"turns_kept", "share", ATT_HIGHER, (double)NAN, 0,
     "constraint: turns of which all constraints are kept"},
    {"survival_far", "share", ATT_HIGHER, (double)NAN, 0, "constraint: kept, of the oldest turn"},
    {"survival_near", "share", ATT_HIGHER, (double)NAN, 0, "constraint: kept, of the newest turn"},
    {"half_life", "keys", ATT_HIGHER, (double)NAN, 0,
     "constraint: distance at which half are kept; its interval is open beyond what was asked"},
    {"exact_repeats", "count", ATT_HIGHER, (double)NAN, 0,
     "repeats: the longest count up to which all are exact"},
    {"repeats_asked", "count", ATT_NEITHER, (double)NAN, 0, "repeats: the longest"},
    {"twin_distance", "ratio", ATT_HIGHER, (double)NAN, 0,
     "repeats: between the outputs of the longest twins"},
    {"twin_distance_predicted", "ratio", ATT_HIGHER, (double)NAN, 0, "repeats: by softmax"},
    {"max_weight", "share", ATT_HIGHER, (double)NAN, 0, "dispersion: on a logit of 12"},
    {"max_weight_predicted", "share", ATT_HIGHER, (double)NAN, 0,
     "dispersion: e^12 / (e^12 + n - 1)"},
    {"max_weight_error", "ratio", ATT_LOWER, (double)NAN, 0,
     "dispersion: worst relative difference to softmax over all keys"},
    {"majority_logit", "nats", ATT_LOWER, (double)NAN, 0,
     "dispersion: smallest logit from which on most weight is there"},
    {"majority_logit_predicted", "nats", ATT_LOWER, (double)NAN, 0, "dispersion: by softmax"},
    {"bait_taken", "share", ATT_LOWER, (double)NAN, 0,
     "clusters, decoys: another near key's value"},
    {"bait_order", "share", ATT_NEITHER, (double)NAN, 0,
     "decoys: accuracy with the fact last less that with it first"},
    {0}};

const att_eval att_eval_probe = {.name = "probe",
                                 .summary = "does the attention still find what matters",
                                 .tasks = names,
                                 .note = note,
                                 .params = params,
                                 .metrics = metrics,
                                 .group_by = "len facts hay dims contexts",
                                 .ops = PROBE_OPS,
                                 .chance = 1.0 / PROBE_CODES,
                                 .seconds = seconds,
                                 .run = run,
                                 .track = ATT_TRACK_PROBE};
