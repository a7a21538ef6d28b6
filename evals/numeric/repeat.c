/* SPDX-License-Identifier: Apache-2.0 */
/* Repeat: is the same call bit by bit the same, however often and on however many threads?
 *
 * The call is made `runs` times: on 1, 2, 3, 5 and heads + 3 threads, items in order, reversed,
 * shuffled or dealt, threads late, giving way or stopped in the middle; outputs, scratch and the
 * heap hold something else each time; scratch is closed and freed memory filled as soon as they are
 * dead.  Runs on equally many threads must be equal (always), those on different numbers where the
 * kernel declares it.  Run 0 is judged by the numeric rule, as in parity, where parity can.
 * O(runs pairs (Dk + Dv)). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/parity_own.h"
#include "evals/numeric/repeat.h"

enum {
    P_RUNS,
    P_B,
    P_HQ,
    P_HKV,
    P_SQ,
    P_SK,
    P_D,
    P_CAUSAL,
    P_WL,
    P_MASK,
    P_LENS,
    P_STORE,
    P_DTYPE,
    P_VALUES
};

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"runs", INT, 0, "", "24", "2:1000", 0, "how often the call is made"},
    {"b", INT, 0, "", "1", "0:64", "1 2", "batch"},
    {"hq", INT, 0, "heads", "2", "0:256", "2 6 12", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:256", "0 1 2", "key/value heads; 0 = as many as query heads"},
    {"sq", INT, 0, "tokens", "16", "0:10000", "1 17 65 130", "queries"},
    {"sk", INT, 0, "keys", "65", "0:10000", "17 65 257 520", "keys"},
    {"d", INT, 0, "", "8", "1:1024", "8 40 64", "head_dim"},
    {"causal", WORD, 0, "", "none", "none|tl|br|pos", "none br", "alignment of the causal mask"},
    {"wl", INT, 0, "keys", "-1", "-1:10000", "-1 7 64", "window to the left; -1 = off"},
    {"mask", WORD, 0, "", "none", "none|full|rows|heads|keys|batch|column|ones|tile|empty",
     "none heads tile", "boolean mask, by what it varies over"},
    {"lens", WORD, 0, "", "none", "none|keys|both", "none keys", "used lengths, some of them 0"},
    {"store", WORD, 0, "", "dense", "dense|packed|page1|page3|page16|page64", "dense packed page16",
     "batches dense, packed, or paged K/V"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16|f64", "f32 f16 bf16", "storage type"},
    {"values", WORD, 0, "", "normal", "normal|heavy|outlier|late|ramp|coded", "normal late coded",
     "family of q, k and v"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"runs_differ", "runs", ATT_LOWER, 0, ATT_BINDS_ALL,
     "runs that differ from the first one on as many threads"},
    {"threads_differ", "runs", ATT_LOWER, 0, ATT_BINDS_ALL,
     "thread counts that differ from one thread, where the kernel declares that none does"},
    {"threads_differ_allowed", "runs", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "the same of a kernel that declares nothing"},
    {"dead_pages", "pages", ATT_LOWER, 0, ATT_BINDS_ALL, "scratch used after the call"},
#include "evals/numeric/parity_limits.def"
    {"nmse", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "sum of squared errors over sum of squares"},
    {"unjudged", "count", ATT_LOWER, (double)NAN, ATT_BINDS_OWN,
     "elements whose weights may all underflow"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {"runs", "runs", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "runs compared"},
    {0},
};

/* ------------------------------------------------------------------------- parameters */

static parity_spec spec_of(const att_value *v)
{
    const char *store = v[P_STORE].s;
    const parity_spec s = {
        .b = v[P_B].i,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i ? v[P_HKV].i : v[P_HQ].i,
        .sq = v[P_SQ].i,
        .sk = v[P_SK].i,
        .d = v[P_D].i,
        .dv = v[P_D].i,
        .left = v[P_WL].i,
        .right = -1,
        .causal = v[P_CAUSAL].s,
        .mask = v[P_MASK].s,
        .bias = "none",
        .block = "none",
        .sinks = "none",
        .alibi = "none",
        .lens = v[P_LENS].s,
        .store = store,
        .layout = "bhsd",
        .values = v[P_VALUES].s,
        .page = strncmp(store, "page", 4) == 0 ? strtoll(store + 4, NULL, 10) : 0,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .place = ATT_PLACE_ALIGNED,
        .lse = true,
    };

    return s;
}

static bool valid(const att_value *values)
{
    const parity_spec s = spec_of(values);

    return !parity_nonsense(&s);
}

static bool covers(const att_value *values)
{
    const parity_spec s = spec_of(values);

    return !parity_nonsense(&s) && parity_work(&s) <= 4e6;
}

static double seconds(const char *task, const att_value *values)
{
    const parity_spec s = spec_of(values);

    (void)task;
    return 0.005 + (double)values[P_RUNS].i * (0.0005 + parity_work(&s) * 1e-9);
}

/* ------------------------------------------------------------------------ judging run 0 */

static void record(att_ctx *x, const att_error *e)
{
    att_ctx_record(x, "nonfinite", (double)e->nonfinite);
    att_ctx_record(x, "sigma_ratio", e->sigma_ratio);
    att_ctx_record(x, "bound_ratio", e->bound_ratio);
    att_ctx_record(x, "row_ratio", e->row_ratio);
    att_ctx_record(x, "hull", (double)e->hull);
    att_ctx_record(x, "lse_ratio", e->lse_ratio);
    att_ctx_record(x, "max_abs", e->max_abs);
    att_ctx_record(x, "nmse", e->nmse);
    att_ctx_record(x, "elements", (double)e->elements);
}

static att_status judge(att_ctx *x, parity_inputs *in, const parity_outputs *o,
                        const att_units *units, bool *broken)
{
    att_profile *profile = NULL;
    att_error e = {0};
    att_status status = parity_profile(x, in, units->acc, &profile);

    if (status == ATT_OK)
        status = att_error_judge(profile, &o->got, &o->got_lse, units, &e);
    if (status == ATT_OK)
        record(x, &e);
    *broken = e.bad;
    return status;
}

static att_status judge_approx(att_ctx *x, parity_inputs *in, const att_problem *p,
                               const parity_outputs *o, const att_units *units, bool *broken)
{
    const bool pools = parity_pools(att_ctx_kernel(x));
    parity_inputs own = {0};
    double illegal = 0;
    att_status status = pools ? parity_on_pooled(x, in, &own)
                              : parity_on_own_keys(x, in, p, &own, &illegal);

    if (status == ATT_OK && !pools) {
        att_ctx_record(x, "select_illegal", illegal);
        status = parity_check_top(x, in, &own, units->acc, false);
    }
    if (status == ATT_OK)
        status = judge(x, &own, o, units, broken);
    parity_drop_own(&own);
    return status;
}

/* ------------------------------------------------------------------------- the calls */

typedef struct attended {
    const parity_inputs *in;
    att_problem p;
    parity_outputs o;
} attended;

static void dirty(repeat_call *c, int byte)
{
    attended *a = c->arg;

    memset(a->o.out.data, byte, a->o.out.bytes);
    memset(a->o.lse.data, byte, a->o.lse.bytes);
    for (size_t i = 0; i < REPEAT_OUTPUTS && c->output[i].bytes; i++)
        memset((void *)(uintptr_t)c->output[i].data, 0, c->output[i].bytes);
}

static void collect(repeat_call *c)
{
    attended *a = c->arg;

    parity_outputs_collect(a->in, &a->p, &a->o);
}

static void describe(repeat_call *c, attended *a)
{
    const parity_spec *s = &a->in->spec;
    const size_t rows = (size_t)(s->b * s->hq * s->sq);
    const size_t width = (size_t)s->dv * att_dtype_size(s->dtype);
    size_t n = 0;

    if (rows > 0 && width > 0)
        c->output[n++] = (repeat_output){"out", a->o.got.data, rows * width, width, s->hq, s->sq};
    if (rows > 0 && a->p.lse.data)
        c->output[n++] = (repeat_output){
            "LSE", a->o.got_lse.data, rows * sizeof(float), sizeof(float), s->hq, s->sq};
}

/* What comparing runs has brought. */
typedef struct tally {
    double runs_differ, threads_differ;
    char difference[320];
} tally;

static void note(const repeat_call *c, int r, const repeat_way *way, const unsigned char *saved,
                 tally *t)
{
    char ways[96], rows[128];

    if (*t->difference)
        return;
    repeat_way_text(way, ways, sizeof ways);
    repeat_difference(c, saved, rows, sizeof rows);
    snprintf(t->difference, sizeof t->difference, "run %d (%s): %s", r, ways, rows);
}

/* Runs 1, 2, ...; saved: room for the first run of each thread count, run 0's in place. */
static att_status run_again(repeat_call *c, const int *threads, size_t counts, unsigned char *saved,
                            tally *t)
{
    const int64_t runs = att_ctx_int(c->x, "runs");
    att_rng rng = att_ctx_rng(c->x, "schedules");
    const uint64_t seed = att_rng_u64(&rng);
    const size_t bytes = repeat_bytes(c);
    att_status status = ATT_OK;

    for (int r = 1; r < runs && status == ATT_OK; r++) {
        const size_t n = (size_t)r % counts;
        unsigned char *first = saved + n * bytes;
        const repeat_way way = repeat_way_of(seed, r, threads[n]);
        if ((status = repeat_once(c, &way)) != ATT_OK)
            break;
        const bool is_first = n && (size_t)r < counts;
        if (is_first)
            repeat_save(c, first);
        if (repeat_equals(c, is_first ? saved : first))
            continue;
        *(is_first ? &t->threads_differ : &t->runs_differ) += 1;
        note(c, r, &way, is_first ? saved : first, t);
    }
    return status;
}

static att_status compare(repeat_call *c, bool broken)
{
    const bool invariant = att_ctx_kernel(c->x)->traits & ATT_TRAIT_THREAD_INVARIANT;
    const int threads[] = {1, 2, 3, 5, (int)att_ctx_int(c->x, "hq") + 3};
    const size_t counts = sizeof threads / sizeof *threads;
    unsigned char *saved = malloc(counts * repeat_bytes(c) + 1);
    tally t = {0};

    if (!saved)
        return ATT_NO_MEMORY;
    repeat_save(c, saved);
    att_status status = run_again(c, threads, counts, saved, &t);
    free(saved);
    if (status != ATT_OK)
        return status;
    att_ctx_record(c->x, "runs_differ", t.runs_differ);
    att_ctx_record(c->x, invariant ? "threads_differ" : "threads_differ_allowed", t.threads_differ);
    att_ctx_record(c->x, "runs", (double)c->runs);
    if (broken || t.runs_differ > 0 || (invariant && t.threads_differ > 0))
        repeat_explain(c, broken, t.difference);
    return ATT_OK;
}

static att_status ask_support(att_ctx *x, const att_problem *p)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    att_reason reason = {""};
    const att_status status =
        part->kernel->supports(part->kernel, ATT_OP_ATTEND, p, part->values, &reason);

    reason.text[sizeof reason.text - 1] = '\0';
    if (status != ATT_OK)
        att_ctx_why(x, "%s", *reason.text ? reason.text : "no reason given");
    return status;
}

static att_status run_calls(att_ctx *x, parity_inputs *in, const att_units *units)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    const int32_t class_ = parity_class(kernel);
    attended a = {.in = in, .p = in->given};
    repeat_call c = {.x = x, .op = ATT_OP_ATTEND, .p = &a.p, .arg = &a};
    const repeat_way first = repeat_way_of(0, 0, 1);
    att_status status = ATT_NO_MEMORY;
    bool broken = false;

    c.dirty = dirty;
    c.collect = collect;
    c.scratch[0].slot = c.scratch[1].slot = -1;
    if (!parity_outputs_make(in, &a.p, &a.o))
        goto done;
    if (class_ == ATT_OWN)
        a.p.lse = (att_tensor){0}; /* no softmax, no LSE */
    describe(&c, &a);
    if ((status = ask_support(x, &a.p)) != ATT_OK)
        goto done;
    status = repeat_once(&c, &first);
    if (status != ATT_OK)
        goto done;
    att_ctx_record(x, "redzone", (double)parity_outputs_changed(&a.o));
    if (class_ == ATT_OWN)
        status = parity_knows(kernel) ? parity_own(x, in, &a.o.got, units) : ATT_OK;
    else if (class_ == ATT_APPROX && (kernel->select || parity_pools(kernel)))
        status = judge_approx(x, in, &a.p, &a.o, units, &broken);
    else if (class_ == ATT_EXACT)
        status = judge(x, in, &a.o, units, &broken);
    if (status == ATT_OK)
        status = compare(&c, broken);
    repeat_finish(&c);
    if (status == ATT_OK)
        att_ctx_record(x, "dead_pages", (double)c.dead_pages);
    if (status == ATT_OK && c.dead_pages)
        att_ctx_diagnose(x, "use_after_free", 0.0, "scratch is used after the call has returned");
done:
    repeat_finish(&c);
    parity_outputs_drop(&a.o);
    return status;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    parity_inputs *in = NULL;
    att_status status = parity_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

/* What keeps the case from being judged; OK = nothing. */
static att_status check(att_ctx *x, const parity_spec *spec, att_units *units)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    const char *wrong = parity_nonsense(spec);

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (att_units_of(&kernel->precision, spec->dtype, spec->dtype, units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    if (!kernel->attend) {
        att_ctx_why(x, "%s does not offer this operator", kernel->name);
        return ATT_UNSUPPORTED;
    }
    return ATT_OK;
}

static att_status run(att_ctx *x)
{
    const parity_spec spec = spec_of(att_ctx_values(x));
    att_units units;
    void *shared = NULL;
    att_status status = check(x, &spec, &units);

    if (status == ATT_OK)
        status = att_ctx_shared(x, "inputs", make_shared, (void *)(uintptr_t)&spec,
                                parity_inputs_drop, &shared);
    if (status != ATT_OK)
        return status;
    parity_inputs *in = shared;
    in->spec = spec; /* the same words, in this case's memory: the first's is gone */
    return run_calls(x, in, &units);
}

const att_eval att_eval_repeat = {
    .name = "repeat",
    .summary = "the same call, bit by bit, over runs, threads and schedules",
    .params = params,
    .metrics = metrics,
    .group_by = "b hq hkv sq sk d causal wl mask lens store dtype values",
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .grace = 10,
    .run = run,
};
