/* SPDX-License-Identifier: Apache-2.0 */
#include "ctx_own.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/param.h"
#include "core/watch.h"

/* ------------------------------------------------------------------------ the case */

const char *att_ctx_line(const att_ctx *x)
{
    return x->c->line;
}

const char *att_ctx_task(const att_ctx *x)
{
    return x->c->task;
}

/* An undeclared name is a mistake in the eval, never in the case: it stops the worker loudly. */
static const att_value *value_of(const att_ctx *x, const char *name)
{
    int i = att_param_index(x->c->eval->params, name);

    if (i < 0) {
        fprintf(stderr, "eval %s reads parameter %s, which it does not declare\n", x->c->eval->name,
                name);
        abort();
    }
    return &x->c->values[i];
}

int64_t att_ctx_int(const att_ctx *x, const char *name)
{
    return value_of(x, name)->i;
}

double att_ctx_real(const att_ctx *x, const char *name)
{
    return value_of(x, name)->f;
}

const char *att_ctx_word(const att_ctx *x, const char *name)
{
    return value_of(x, name)->s;
}

const att_value *att_ctx_values(const att_ctx *x)
{
    return x->c->values;
}

const char *att_ctx_option(const att_ctx *x, const char *name)
{
    if (strcmp(name, "model") == 0)
        return x->options->model;
    return strcmp(name, "datasets") == 0 ? x->options->datasets : NULL;
}

static att_rng stream(const att_ctx *x, const char *of, const char *name)
{
    att_rng whole = att_rng_make(x->c->seed, of);
    att_rng named = att_rng_make(0, name);

    return att_rng_split(&whole, att_rng_u64(&named));
}

att_rng att_ctx_rng(const att_ctx *x, const char *name)
{
    return stream(x, x->c->items, name);
}

att_rng att_ctx_group_rng(const att_ctx *x, const char *name)
{
    return stream(x, x->c->group_items, name);
}

/* ---------------------------------------------------------------------- the kernel */

const att_variant *att_ctx_variant(const att_ctx *x)
{
    return x->c->variant;
}

const att_kernel *att_ctx_kernel(const att_ctx *x)
{
    return x->c->variant->part[0].kernel;
}

const att_host *att_ctx_host(const att_ctx *x)
{
    return x->host;
}

const att_variant *att_ctx_find(att_ctx *x, const char *text)
{
    const att_variant *v = NULL;

    return att_variant_parse(x->registry, text, &x->arena, &v, &x->why) == ATT_OK ? v : NULL;
}

static att_status watched(const att_kernel *k, att_op op, const att_problem *p,
                          const att_scratch *s, uint8_t *allowed)
{
    switch (op) {
    case ATT_OP_ATTEND:
        return k->attend(k, p, s);
    case ATT_OP_ATTEND_BACKWARD:
        return k->attend_backward(k, p, s);
    case ATT_OP_RECUR:
        return k->recur(k, p, s);
    case ATT_OP_SELECT:
        return k->select(k, p, s, allowed);
    case ATT_OP_ROPE:
        return k->rope(k, p, s);
    case ATT_OP_MERGE:
        return k->merge(k, p, s);
    case ATT_OP_MIX:
        return k->mix(k, p, s);
    case ATT_OP_QUANTISE:
        return k->quantise(k, p, s);
    default:
        return k->dequantise(k, p, s);
    }
}

/* Watched and timed. */
static att_status operate(att_ctx *x, const att_kernel *k, att_op op, const att_problem *p,
                          const att_scratch *s, uint8_t *allowed)
{
    const bool oracle = strcmp(k->name, att_registry_tables(x->registry)->oracle) == 0;
    double *spent = oracle ? &x->record->oracle_seconds : &x->record->kernel_seconds;
    const double start = att_clock_now();

    att_watch_begin();
    const att_status status = watched(k, op, p, s, allowed);
    att_watch_end();
    *spent += att_clock_now() - start;
    return status;
}

/* Scratch of plan->scratch_bytes, dirty, between red zones. */
static bool lend(att_ctx *x, const att_plan *plan, void **data)
{
    size_t align = plan->scratch_align > 64 ? plan->scratch_align : 0, bytes;

    if (__builtin_add_overflow(plan->scratch_bytes, align, &bytes))
        return false;
    if (x->scratch.bytes != bytes || !x->scratch.map) {
        att_guard_drop(&x->scratch);
        x->scratch = (att_guard){0};
        if (!att_guard_make(&x->scratch, bytes, ATT_PLACE_ALIGNED))
            return false;
    }
    *data = x->scratch.data;
    if (align)
        *data = (char *)*data + (align - (uintptr_t)*data % align) % align;
    return true;
}

static const char *words_of(const att_kernel *k)
{
    const char *text = k->last_error ? k->last_error(k) : NULL;

    return text && *text ? text : "no reason given";
}

att_status att_ctx_call(att_ctx *x, const att_variant_part *part, att_op op, const att_problem *p,
                        uint8_t *allowed)
{
    const att_kernel *k = part->kernel;
    att_reason reason = {""};
    att_plan plan = {0};
    att_scratch s = {.params = part->values, .host = x->host};

    if (op == ATT_OP_SESSION || !att_kernel_offers(k, op)) {
        att_ctx_why(x, "%s does not offer this operator", k->name);
        return ATT_UNSUPPORTED;
    }
    att_status status = k->supports(k, op, p, part->values, &reason);
    if (status != ATT_OK) {
        reason.text[sizeof reason.text - 1] = '\0';
        att_ctx_why(x, "%s", *reason.text ? reason.text : "no reason given");
        return status;
    }
    if (k->plan && (status = k->plan(k, op, p, part->values, &plan)) != ATT_OK) {
        att_ctx_why(x, "%s: plan failed: %s", k->name, words_of(k));
        return status;
    }
    s.handle = plan.handle;
    s.bytes = plan.scratch_bytes;
    if (plan.scratch_bytes && !lend(x, &plan, &s.data)) {
        att_ctx_why(x, "%s: no memory for %zu bytes of scratch", k->name, plan.scratch_bytes);
        status = ATT_NO_MEMORY;
    } else if ((status = operate(x, k, op, p, &s, allowed)) != ATT_OK) {
        att_ctx_why(x, "%s: %s", k->name, words_of(k));
    } else if (s.data && att_guard_changed(&x->scratch)) {
        att_ctx_why(x, "%s wrote past its %zu bytes of scratch", k->name, s.bytes);
        status = ATT_FAILED;
        att_guard_drop(&x->scratch);
        x->scratch = (att_guard){0};
    }
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    return status;
}

att_status att_ctx_attend(att_ctx *x, const att_problem *p)
{
    return att_ctx_call(x, &x->c->variant->part[0], ATT_OP_ATTEND, p, NULL);
}

att_status att_ctx_oracle(att_ctx *x, att_op op, const att_problem *p)
{
    const att_tables *t = att_registry_tables(x->registry);
    att_variant_part part = {0, INT64_MAX, att_registry_kernel(x->registry, t->oracle, &x->why),
                             NULL};

    return part.kernel ? att_ctx_call(x, &part, op, p, NULL) : ATT_INVALID;
}

/* -------------------------------------------------------------------- measurements */

static const att_metric_spec *spec_of(const att_ctx *x, const char *metric)
{
    for (const att_metric_spec *s = x->c->eval->metrics; s->name; s++)
        if (strcmp(s->name, metric) == 0)
            return s;
    return NULL;
}

/* One more element of a growing array; NULL when memory ran out (the case is then an error). */
static void *grow(att_ctx *x, void **array, size_t *n, size_t size)
{
    if ((*n & (*n - 1)) == 0) { /* capacities are powers of two */
        size_t room = *n ? *n * 2 : 1;
        void *bigger = realloc(*array, room * size);
        if (!bigger) {
            x->failed = true;
            att_ctx_why(x, "no memory for a measurement");
            return NULL;
        }
        *array = bigger;
    }
    void *element = (char *)*array + *n * size;
    memset(element, 0, size);
    ++*n;
    return element;
}

static char *copy(att_ctx *x, const char *text)
{
    char *out = strdup(text);

    if (!out) {
        x->failed = true;
        att_ctx_why(x, "no memory for a measurement");
    }
    return out;
}

void att_ctx_record_n(att_ctx *x, const char *metric, double value, int64_t n, double lo, double hi)
{
    const att_metric_spec *spec = spec_of(x, metric);
    att_record *r = x->record;

    if (!spec && strcmp(metric, "chance") == 0) {
        r->chance = value;
        return;
    }
    if (!spec) {
        x->failed = true;
        att_ctx_why(x, "eval %s records %s, which its table of metrics lacks", x->c->eval->name,
                    metric);
        return;
    }
    att_metric *m = grow(x, (void **)&r->metrics, &r->n_metrics, sizeof *m);
    if (!m)
        return;
    *m = (att_metric){.name = copy(x, metric),
                      .unit = copy(x, spec->unit),
                      .better = spec->better,
                      .value = value,
                      .n = n,
                      .lo = lo,
                      .hi = hi,
                      .limit = (double)NAN,
                      .baseline = (double)NAN,
                      .verdict = -1};
    if (strcmp(metric, "chance") == 0)
        r->chance = value;
}

void att_ctx_record(att_ctx *x, const char *metric, double value)
{
    att_ctx_record_n(x, metric, value, 0, (double)NAN, (double)NAN);
}

void att_ctx_item(att_ctx *x, int hit, int32_t cluster, double score, double at, const char *note)
{
    att_item *item =
        grow(x, (void **)&x->record->items, &x->record->n_items, sizeof *x->record->items);

    if (item)
        *item = (att_item){.hit = hit != 0,
                           .cluster = cluster,
                           .score = score,
                           .at = at,
                           .note = note && *note ? copy(x, note) : NULL};
}

void att_ctx_diagnose(att_ctx *x, const char *fault, double ratio, const char *text)
{
    att_diagnosis *d = grow(x, (void **)&x->record->diagnoses, &x->record->n_diagnoses, sizeof *d);

    if (d)
        *d = (att_diagnosis){.fault = copy(x, fault), .text = copy(x, text), .ratio = ratio};
}

void att_ctx_why(att_ctx *x, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(x->why.text, sizeof x->why.text, format, args);
    va_end(args);
}

void att_ctx_note(att_ctx *x, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(x->note.text, sizeof x->note.text, format, args);
    va_end(args);
}

att_why *att_ctx_why_buffer(att_ctx *x)
{
    return &x->why;
}

/* ------------------------------------------------------------------------- measure */

static att_outcome outcome_of(att_status status)
{
    switch (status) {
    case ATT_OK:
        return ATT_PASS;
    case ATT_UNSUPPORTED:
        return ATT_HOLE;
    case ATT_NO_MEMORY:
        return ATT_CRASH;
    case ATT_FAILED:
        return ATT_FAIL;
    default:
        return ATT_ERROR;
    }
}

void att_ctx_conclude(att_ctx *x, att_status status)
{
    att_record *record = x->record;
    const char *text = *x->why.text ? x->why.text : "no reason given";
    char *reason = NULL;

    record->status = status == ATT_OK && x->failed ? ATT_ERROR : outcome_of(status);
    if (record->status == ATT_PASS)
        text = *x->note.text ? x->note.text : NULL;
    if (text && status == ATT_NO_MEMORY && asprintf(&reason, "out of memory: %s", text) < 0)
        reason = NULL;
    record->reason = status == ATT_NO_MEMORY || !text ? reason : strdup(text);
}

/* What the clock can tell, in fewer digits than its difference has. */
static double to_nanoseconds(double seconds)
{
    return round(seconds * 1e9) / 1e9;
}

void att_ctx_measure(att_registry *registry, const att_case *c, const att_host *host,
                     const att_options *options, att_shelf *shelf, att_record *record)
{
    att_ctx x = {.registry = registry,
                 .c = c,
                 .host = host,
                 .options = options,
                 .shelf = shelf,
                 .record = record};
    double start = att_clock_now();

    att_shelf_keep(shelf, c->group);
    att_status status = att_record_identify(record, c) ? c->eval->run(&x) : ATT_NO_MEMORY;
    record->seconds = to_nanoseconds(att_clock_now() - start);
    record->kernel_seconds = to_nanoseconds(record->kernel_seconds);
    record->oracle_seconds = to_nanoseconds(record->oracle_seconds);
    att_ctx_conclude(&x, status);
    att_guard_drop(&x.scratch);
    att_arena_drop(&x.arena);
}
