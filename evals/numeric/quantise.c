/* SPDX-License-Identifier: Apache-2.0 */
/* Quantise: is a quantiser as near as its levels allow, and a dequantiser exact?
 *
 *   |x - dequantise(quantise(x))| <= half a step      (quantise_judge.c)
 *
 * One case is one array through the kernel's quantise, what its codes mean read back here: each
 * element within half a step of its group's range; numbers that are levels already stay (to
 * rounding); a thousandfold later token moves no bit of the groups before it; and through its
 * dequantise, held to the codes' exact meaning.  Sources are strided, channels constant, groups all
 * zero, NaN or subnormal.  O(B H S D). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "core/names.h"
#include "evals/numeric/quantise.h"

enum { P_SCHEME, P_B, P_H, P_S, P_D, P_ZEROS, P_LAYOUT, P_TO, P_DTYPE, P_VALUES, P_PLACE };

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"scheme", WORD, 0, "", "i8tok", "i8tok|i8chan|i8group|i8run|q8_0|q4_0|e4m3|e5m2",
     "i8tok i8chan i8group i8run q8_0 q4_0 e4m3 e5m2", "what numbers become"},
    {"b", INT, 0, "", "1", "0:1000", "1 2 0", "batch"},
    {"h", INT, 0, "heads", "2", "0:1000", "2 1 3", "heads"},
    {"s", INT, 0, "tokens", "17", "0:100000", "17 1 33 0", "tokens"},
    {"d", INT, 0, "", "32", "1:4096", "32 8 40 64", "head_dim"},
    {"zeros", INT, 0, "", "0", "0:1", "0 1", "are zeros asked for (int8 alone)"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|reversed|stepped|broadcast",
     "bhsd bshd padded reversed stepped broadcast", "strides of the source"},
    {"to", WORD, 0, "", "bhsd", "bhsd|bshd|padded|reversed", "bhsd bshd padded reversed",
     "strides of the result"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16 bf16", "type of the numbers"},
    {"values", WORD, 0, "", "normal",
     "normal|constant|zeros|subnormal|outlier|large|onesided|mixed|nan",
     "normal constant zeros subnormal outlier large onesided mixed nan", "family of the numbers"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "numbers that became NaN or Inf, or NaN and Inf that became numbers"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the results"},
    {"step_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "largest error over half a step and rounding"},
    {"again_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "numbers that are levels already: their change over rounding"},
    {"prefix_moved", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "elements moved by later tokens that share no scale with them"},
    {"back_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "dequantised: largest error over rounding"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {0},
};

/* ----------------------------------------------------------------------------- numbers */

static double draw(const quantise_case *c, const char *values, int64_t e, att_rng *rng)
{
    att_format f = att_fp_format(c->dtype);
    int64_t d = e % c->n[3], head = e / c->n[3] / c->n[2];
    double x = att_rng_normal(rng);

    if (parity_is(values, "zeros")) /* tokens of nothing but zeros */
        return e / c->n[3] % 2 ? x : 0;
    if (parity_is(values, "constant") && d % 2 == 0) { /* the same for every token */
        att_rng own = att_rng_make((uint64_t)(head * c->n[3] + d), "channel");
        return (d % 4 ? 100 : 1) * att_rng_normal(&own);
    }
    if (parity_is(values, "subnormal"))
        return x * f.tiny * (att_rng_below(rng, 2) ? 0x1p-3 : 0x1p4);
    if (parity_is(values, "outlier"))
        return d == 0 ? x + 30 : x;
    if (parity_is(values, "large"))
        return 1e3 * x;
    if (parity_is(values, "onesided"))
        return 5 + fabs(x);
    if (parity_is(values, "mixed")) /* a group's numbers of many sizes */
        return x * exp2((double)att_rng_below(rng, 20) - 12);
    if (parity_is(values, "nan") && att_rng_below(rng, 40) == 0)
        return e % 2 ? (double)NAN : (double)INFINITY;
    return x;
}

/* As the source stores them; with a stride of 0 all batches are the last. */
static void fill(const quantise_case *c, const char *values, att_rng *rng, double *x)
{
    int64_t one = c->n[1] * c->n[2] * c->n[3];

    for (int64_t e = 0; e < quantise_cells(c); e++)
        x[e] = att_fp_round(c->dtype, draw(c, values, e, rng));
    for (int64_t e = 0; parity_is(c->layout, "broadcast") && e < quantise_cells(c); e++)
        x[e] = x[(c->n[0] - 1) * one + e % one];
}

/* ---------------------------------------------------------------------------- measuring */

/* One case's numbers: as drawn, what became of them, and of changed ones. */
typedef struct work {
    quantise_case c;
    double *x, *first, *other, *again;
    double redzone, moved, ratio;
    quantise_score step, level, back;
    char text[200]; /* the first wrong element */
} work;

/* Keeps where a result is wrong first. */
static void note(work *w, const char *what, const quantise_score *s, const double *want,
                 const double *got)
{
    const int64_t *n = w->c.n, e = s->at;

    if (e < 0 || (s->nonfinite == 0 && s->ratio <= 1) || *w->text)
        return;
    w->ratio = s->nonfinite > 0 ? (double)INFINITY : s->ratio;
    snprintf(w->text, sizeof w->text,
             "%s b=%lld h=%lld token=%lld channel=%lld: got %.9g, want "
             "%.9g, ratio %.3g",
             what, (long long)(e / n[3] / n[2] / n[1]), (long long)(e / n[3] / n[2] % n[1]),
             (long long)(e / n[3] % n[2]), (long long)(e % n[3]), got[e], want[e], w->ratio);
}

/* Where only some groups are wrong, what these have in common. */
static void say_cause(att_ctx *x, const work *w)
{
    const quantise_score *s = &w->step;
    bool named = (s->bad > 0 && (s->bad_equal == s->bad || s->bad_zero == s->bad)) || w->moved > 0;

    if (s->bad > 0 && s->bad_equal == s->bad)
        att_ctx_diagnose(x, "constant_channel_scale", 0,
                         "wrong only where the numbers of a group are all equal: no range");
    if (s->bad > 0 && s->bad_zero == s->bad)
        att_ctx_diagnose(x, "zero_group_scale", 0, "wrong only where a group is all zeros");
    if (w->moved > 0)
        att_ctx_diagnose(x, "future_leak_by_scale", 0,
                         "later tokens move groups before them: a scale is shared");
    if (*w->text && !named)
        att_ctx_diagnose(x, ATT_UNKNOWN, (double)INFINITY, "nothing in the dictionary explains it");
    if (*w->text)
        att_ctx_diagnose(x, "first_bad", w->ratio, w->text);
}

/* Numbers that are levels stay levels: the change against what f32 and the scale's type round. */
static att_status ask_again(att_ctx *x, work *w)
{
    att_format scale = att_fp_format(w->c.how->scales >= 0 ? w->c.how->scales : ATT_F16);
    att_format type = att_fp_format(w->c.dtype);
    att_status status = quantise_call(x, &w->c, w->first, w->again, &w->redzone);

    w->level.at = -1;
    for (int64_t e = 0; status == ATT_OK && e < quantise_cells(&w->c); e++) {
        double off = fabs(w->again[e] - w->first[e]), size = fabs(w->first[e]);
        double most = size * (scale.unit + type.unit + 16 * 0x1p-24) + type.half_subnormal +
                      127 * scale.half_subnormal;
        if (isfinite(w->first[e]) && isfinite(w->again[e]) && off > w->level.ratio * most) {
            w->level.ratio = off / most;
            w->level.at = e;
        }
    }
    return status;
}

/* A later token a thousand times larger. */
static att_status ask_later(att_ctx *x, work *w)
{
    const int64_t *n = w->c.n;
    int64_t first = n[2] / 2, kept = quantise_prefix(&w->c, first);
    att_status status;

    for (int64_t e = 0; e < quantise_cells(&w->c); e++)
        w->other[e] = e / n[3] % n[2] < first ? w->x[e]
                                              : att_fp_round(w->c.dtype, 1000 * w->x[e] + 1);
    status = quantise_call(x, &w->c, w->other, w->again, &w->redzone);
    for (int64_t e = 0; status == ATT_OK && e < quantise_cells(&w->c); e++)
        w->moved += e / n[3] % n[2] < kept && memcmp(&w->again[e], &w->first[e], sizeof(double));
    return status;
}

static att_status measure(att_ctx *x, work *w, const char *values)
{
    const att_kernel *k = att_ctx_kernel(x);
    att_rng rng = att_ctx_group_rng(x, "numbers");
    att_status status = ATT_OK;
    /* bf16 holds 127 levels no better than to one of them */
    bool levels = !w->c.zeros && !parity_is(values, "nan") && w->c.dtype != ATT_BF16;

    fill(&w->c, values, &rng, w->x);
    if (k->quantise) {
        status = quantise_call(x, &w->c, w->x, w->first, &w->redzone);
        if (status == ATT_OK) {
            w->step = quantise_judge(&w->c, w->x, w->first);
            note(w, "quantised", &w->step, w->x, w->first);
        }
        if (status == ATT_OK)
            status = ask_later(x, w);
        if (status == ATT_OK && levels)
            status = ask_again(x, w);
        if (status == ATT_OK && levels)
            note(w, "levels quantised again", &w->level, w->first, w->again);
    }
    if (status == ATT_OK && k->dequantise) {
        status = quantise_back(x, &w->c, w->x, w->first, w->other, &w->redzone);
        if (status == ATT_OK) {
            w->back = quantise_judge_back(&w->c, w->first, w->other);
            note(w, "dequantised", &w->back, w->first, w->other);
        }
    }
    return status;
}

static void record(att_ctx *x, const work *w)
{
    const att_kernel *k = att_ctx_kernel(x);

    say_cause(x, w);
    att_ctx_record(x, "nonfinite", w->step.nonfinite + w->back.nonfinite);
    att_ctx_record(x, "redzone", w->redzone);
    if (k->quantise) {
        att_ctx_record(x, "step_ratio", w->step.ratio);
        att_ctx_record(x, "again_ratio", w->level.ratio);
        att_ctx_record(x, "prefix_moved", w->moved);
        att_ctx_record(x, "max_abs", w->step.max_abs);
    }
    if (k->dequantise)
        att_ctx_record(x, "back_ratio", w->back.ratio);
    att_ctx_record(x, "elements", (double)quantise_cells(&w->c));
}

/* ------------------------------------------------------------------------------ the eval */

static quantise_case case_of(const att_value *v)
{
    return (quantise_case){
        .n = {v[P_B].i, v[P_H].i, v[P_S].i, v[P_D].i},
        .how = parity_scheme_named(v[P_SCHEME].s),
        .zeros = v[P_ZEROS].i != 0,
        .dtype = att_dtype_named(v[P_DTYPE].s),
        .layout = v[P_LAYOUT].s,
        .to = v[P_TO].s,
        .place = parity_is(v[P_PLACE].s, "flush") ? ATT_PLACE_FLUSH : ATT_PLACE_ALIGNED,
    };
}

static const char *nonsense(const quantise_case *c, const char *values)
{
    int64_t cells;

    if (c->zeros && c->how->dtype != ATT_I8)
        return "zeros go with int8 alone";
    if (parity_is(values, "nan") && parity_is(c->layout, "broadcast"))
        return "values=nan of one batch are those of all";
    if (__builtin_mul_overflow(c->n[0] * c->n[1], c->n[2] * c->n[3], &cells) || cells > 1 << 24)
        return "the problem is too large";
    return NULL;
}

static bool valid(const att_value *v)
{
    quantise_case c = case_of(v);

    return !nonsense(&c, v[P_VALUES].s);
}

static att_status run(att_ctx *x)
{
    const att_value *v = att_ctx_values(x);
    work w = {.c = case_of(v)};
    const char *wrong = nonsense(&w.c, v[P_VALUES].s);
    size_t cells = (size_t)quantise_cells(&w.c);
    att_status status = ATT_NO_MEMORY;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    double *room = calloc(4 * cells + 1, sizeof *room);
    if (room) {
        w.x = room;
        w.first = room + cells;
        w.other = room + 2 * cells;
        w.again = room + 3 * cells;
        status = measure(x, &w, v[P_VALUES].s);
    }
    if (status == ATT_OK)
        record(x, &w);
    free(room);
    return status;
}

const att_eval att_eval_quantise = {
    .name = "quantise",
    .summary = "quantisers within half a step, dequantisers exact",
    .params = params,
    .metrics = metrics,
    .ops = 1u << ATT_OP_QUANTISE | 1u << ATT_OP_DEQUANTISE,
    .chance = (double)NAN,
    .valid = valid,
    .run = run,
};
