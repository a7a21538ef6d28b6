/* SPDX-License-Identifier: Apache-2.0 */
/* Climb: an adversary that knows the rule.  Starts from numbers of a family and edits rows of q, k
 * and v (scales, copies, cancels, flattens them), keeping each edit after which the kernel's error
 * lies nearer to a limit: random local search on the error ratio.
 *
 * Why: random inputs meet the middle of a kernel's error; ties, cancellation, one dominant key or a
 * run of equal products are met by looking for them.  Judged is what must hold for any numbers: the
 * worst-case bound, the hull, the LSE's bound, the NaN pattern.  The likely error (sigma, a row's
 * mean square) supposes roundings that know nothing of each other, which an adversary may undo: how
 * far they were driven is shown.  O(steps x pairs x (Dk + Dv)). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/eval.h"
#include "evals/numeric/parity.h"

#include "base/fp.h"

#define INT  ATT_PARAM_INT
#define REAL ATT_PARAM_REAL
#define WORD ATT_PARAM_WORD
#define MOST 1e4 /* no edited number grows beyond it: it must be one of the storage type's */

enum {
    P_HQ,
    P_HKV,
    P_SQ,
    P_SK,
    P_D,
    P_DV,
    P_CAUSAL,
    P_MASK,
    P_SOFTCAP,
    P_SINKS,
    P_DTYPE,
    P_VALUES,
    P_STEPS
};

static const att_param params[] = {
    {"hq", INT, 0, "heads", "1", "1:64", "1 2", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:64", "0 1", "key/value heads; 0 = as many as query heads"},
    {"sq", INT, 0, "tokens", "4", "1:1000", "4 1 17", "queries"},
    {"sk", INT, 0, "keys", "17", "1:10000", "17 2 65 129", "keys"},
    {"d", INT, 0, "", "8", "1:256", "8 1 40 128", "head_dim"},
    {"dv", INT, 0, "", "0", "0:256", "0 1", "value_dim; 0 = head_dim"},
    {"causal", WORD, 0, "", "none", "none|br", "none br", "causal mask"},
    {"mask", WORD, 0, "", "none", "none|full", "none full", "boolean mask"},
    {"softcap", REAL, 0, "", "0", "0:1e6", "0 2 50", "0 = off"},
    {"sinks", WORD, 0, "", "none", "none|low|high", "none low high", "sink logits"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16", "storage type"},
    {"values", WORD, 0, "", "normal", "normal|heavy|late|equal|flat|ramp|constant|captured",
     "normal heavy late equal flat ramp constant captured", "the family it starts from"},
    {"steps", INT, 0, "edits", "40", "1:100000", "40", "edits tried"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the output"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"hull", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements outside the range of the values"},
    {"lse_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "LSE error over its bound"},
    {"sigma_ratio", "sigma", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "largest error over its likely size"},
    {"row_ratio", "ratio", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "a row's mean squared error over tau(nu)"},
    {"kept", "edits", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "edits that brought it nearer"},
    {0},
};

/* ------------------------------------------------------------------------------- edits */

typedef enum kind { SCALE, COPY, ALMOST, NEGATE, SPIKE, FLATTEN, ALIGN, CANCEL, KINDS } kind;

/* One edit, drawn once and applied the same way each time. */
typedef struct edit {
    kind what;
    int tensor; /* 0, 1, 2: q, k, v */
    uint64_t row, other, element;
    double factor;
} edit;

typedef struct edits {
    edit *at;
    size_t n;
} edits;

static edit edit_draw(att_rng *rng)
{
    static const double factors[] = {0.015625, 0.25, 0.5, 2, 4, 64};

    return (edit){.what = (kind)att_rng_below(rng, KINDS),
                  .tensor = (int)att_rng_below(rng, 3),
                  .row = att_rng_u64(rng),
                  .other = att_rng_u64(rng),
                  .element = att_rng_u64(rng),
                  .factor = factors[att_rng_below(rng, sizeof factors / sizeof *factors)]};
}

typedef struct rows {
    double *x;
    int64_t n, width;
} rows;

static rows rows_of(const parity_inputs *in, int tensor)
{
    const parity_spec *s = &in->spec;

    return tensor == 0   ? (rows){in->q, s->hq * s->sq, s->d}
           : tensor == 1 ? (rows){in->k, s->hkv * s->sk, s->d}
                         : (rows){in->v, s->hkv * s->sk, s->dv};
}

/* to = factor * from, as far as both are wide, unless a number would grow beyond MOST. */
static void set_row(double *to, int64_t n, const double *from, int64_t m, double factor)
{
    for (int64_t i = 0; i < m; i++)
        if (!(fabs(from[i] * factor) <= MOST))
            return;
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i % m] * factor;
}

static void edit_apply(const edit *e, parity_inputs *in)
{
    rows t = rows_of(in, e->tensor), q = rows_of(in, 0);
    double *row = t.x + (int64_t)(e->row % (uint64_t)t.n) * t.width;
    const double *other = t.x + (int64_t)(e->other % (uint64_t)t.n) * t.width;
    double *element = row + e->element % (uint64_t)t.width;
    double size = 0;

    for (int64_t i = 0; i < t.width; i++)
        size = fmax(size, fabs(row[i]));
    switch (e->what) {
    case SCALE:
        set_row(row, t.width, row, t.width, e->factor);
        break;
    case COPY:
        set_row(row, t.width, other, t.width, 1);
        break;
    case ALMOST: /* a tie but for a last bit or so */
        set_row(row, t.width, other, t.width, 1 + 0x1p-20);
        break;
    case NEGATE:
        set_row(row, t.width, row, t.width, -1);
        break;
    case SPIKE:
        if (size * e->factor <= MOST)
            *element = size * e->factor;
        break;
    case FLATTEN: /* equal products: every rounding of the sum alike */
        set_row(row, t.width, element, 1, 1);
        break;
    case ALIGN: /* a key that a query singles out */
        set_row(row, t.width, q.x + (int64_t)(e->other % (uint64_t)q.n) * q.width, q.width,
                e->factor);
        break;
    default: /* CANCEL */
        set_row(row, t.width, other, t.width, -1);
    }
}

static void apply_all(parity_inputs *in, void *arg)
{
    const edits *all = arg;

    for (size_t i = 0; i < all->n; i++)
        edit_apply(&all->at[i], in);
}

/* ------------------------------------------------------------------------------ climbing */

typedef struct step {
    att_error e;
    size_t redzone;
} step;

/* The kernel on the edited inputs. */
static att_status look(att_ctx *x, const parity_spec *spec, edits *all, const att_units *units,
                       step *out)
{
    parity_inputs *in = NULL;
    parity_outputs o = {0};
    att_profile *profile;
    att_status status = parity_inputs_make_edited(x, spec, apply_all, all, &in);

    if (status != ATT_OK)
        return status;
    att_problem p = in->given;
    status = parity_outputs_make(in, &p, &o) ? att_ctx_attend(x, &p) : ATT_NO_MEMORY;
    if (status == ATT_OK) {
        parity_outputs_collect(in, &p, &o);
        out->redzone = parity_outputs_changed(&o);
        status = parity_profile(x, in, units->acc, &profile);
    }
    if (status == ATT_OK)
        status = att_error_judge(profile, &o.got, &o.got_lse, units, &out->e);
    parity_outputs_drop(&o);
    parity_inputs_drop(in);
    return status;
}

/* How near to a limit; NaN counts as beyond. */
static double height(const step *s)
{
    const double near = att_error_fold(att_error_fold(s->e.sigma_ratio / 6, s->e.bound_ratio),
                                       att_error_fold(s->e.row_ratio, s->e.lse_ratio));

    return s->redzone || s->e.nonfinite || s->e.hull || isnan(near) ? (double)INFINITY : near;
}

static bool broken(const step *s)
{
    return s->redzone || s->e.nonfinite || s->e.hull || !(s->e.bound_ratio <= 1) ||
           !(s->e.lse_ratio <= 1);
}

static att_status climb(att_ctx *x, const parity_spec *spec, int64_t steps, const att_units *units,
                        edits *all, step *best)
{
    att_rng rng = att_ctx_group_rng(x, "edits"); /* the same however many steps */
    att_status status = look(x, spec, all, units, best);

    for (int64_t i = 0; i < steps && status == ATT_OK && !broken(best); i++) {
        step next = {0};
        all->at[all->n++] = edit_draw(&rng);
        status = look(x, spec, all, units, &next);
        if (status == ATT_OK && height(&next) > height(best))
            *best = next;
        else
            all->n--;
    }
    return status;
}

static parity_spec spec_of(const att_value *v)
{
    return (parity_spec){.b = 1,
                         .hq = v[P_HQ].i,
                         .hkv = v[P_HKV].i ? v[P_HKV].i : v[P_HQ].i,
                         .sq = v[P_SQ].i,
                         .sk = v[P_SK].i,
                         .d = v[P_D].i,
                         .dv = v[P_DV].i ? v[P_DV].i : v[P_D].i,
                         .left = -1,
                         .right = -1,
                         .causal = v[P_CAUSAL].s,
                         .mask = v[P_MASK].s,
                         .bias = "none",
                         .block = "none",
                         .sinks = v[P_SINKS].s,
                         .alibi = "none",
                         .lens = "none",
                         .store = "dense",
                         .layout = "bhsd",
                         .values = v[P_VALUES].s,
                         .softcap = v[P_SOFTCAP].f,
                         .dtype = att_dtype_named(v[P_DTYPE].s),
                         .place = ATT_PLACE_ALIGNED,
                         .lse = true};
}

static bool valid(const att_value *values)
{
    parity_spec s = spec_of(values);

    return !parity_nonsense(&s);
}

static bool covers(const att_value *values)
{
    parity_spec s = spec_of(values);

    return !parity_nonsense(&s) && parity_work(&s) <= 3e5;
}

static double seconds(const char *task, const att_value *values)
{
    parity_spec s = spec_of(values);

    (void)task;
    return (double)values[P_STEPS].i * (0.0004 + parity_work(&s) * 8e-9);
}

static att_status run(att_ctx *x)
{
    const att_value *values = att_ctx_values(x);
    const att_kernel *kernel = att_ctx_kernel(x);
    parity_spec spec = spec_of(values);
    step best = {0};
    att_units units;

    if (kernel->class_ != ATT_EXACT) {
        att_ctx_why(x, "only kernels that are exact have a bound for any numbers");
        return ATT_UNSUPPORTED;
    }
    if (att_units_of(&kernel->precision, spec.dtype, spec.dtype, &units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    edits all = {calloc((size_t)values[P_STEPS].i, sizeof *all.at), 0};
    att_status status = all.at ? climb(x, &spec, values[P_STEPS].i, &units, &all, &best)
                               : ATT_NO_MEMORY;
    if (status == ATT_OK) {
        att_ctx_record(x, "nonfinite", (double)best.e.nonfinite);
        att_ctx_record(x, "redzone", (double)best.redzone);
        att_ctx_record(x, "bound_ratio", best.e.bound_ratio);
        att_ctx_record(x, "hull", (double)best.e.hull);
        att_ctx_record(x, "lse_ratio", best.e.lse_ratio);
        att_ctx_record(x, "sigma_ratio", best.e.sigma_ratio);
        att_ctx_record(x, "row_ratio", best.e.row_ratio);
        att_ctx_record(x, "kept", (double)all.n);
    }
    free(all.at);
    return status;
}

const att_eval att_eval_climb = {
    .name = "climb",
    .summary = "worst-case bounds under numbers chosen against the kernel",
    .params = params,
    .metrics = metrics,
    .group_by = "hq hkv sq sk d dv causal mask softcap sinks dtype values",
    .ops = 1u << ATT_OP_ATTEND,
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
