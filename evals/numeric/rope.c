/* SPDX-License-Identifier: Apache-2.0 */
/* Rope: does a kernel turn what it must by the angle it must, and copy the rest untouched?
 *
 *   (x1, x2) -> (c x1 - s x2, s x1 + c x2)     |e| <= ulp_out / 2 + 3 u_acc (|c x1| + |s x2|)
 *
 * One case is one call: frozen inputs in guarded memory with NaN between the rows, a result that
 * starts as NaN (or, in place, is the input), strides of source and result chosen apart, positions
 * that are not the default ones.  A kernel that computes its own angles in its accumulator may be
 * off by that accumulator's rounding of the angle (rope.h); with given tables it may not.  O(B H S
 * D). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/eval.h"
#include "evals/numeric/parity.h"
#include "evals/numeric/rope.h"

enum {
    P_B,
    P_H,
    P_S,
    P_D,
    P_ROT,
    P_PAIRING,
    P_POS,
    P_TABLES,
    P_THETA,
    P_SCALING,
    P_LAYOUT,
    P_TO,
    P_ALIAS
};

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"b", INT, 0, "", "1", "0:65536", "1 0 2 3", "batch"},
    {"h", INT, 0, "heads", "2", "0:65536", "2 1 3", "heads"},
    {"s", INT, 0, "tokens", "5", "0:100000", "5 1 17 0", "tokens"},
    {"d", INT, 0, "", "64", "1:4096", "64 8 40 1 128", "head_dim"},
    {"rot", INT, 0, "", "0", "0:4096", "0 2 8 32", "dimensions that turn, even; 0 = all"},
    {"pairing", WORD, 0, "", "half", "half|inter", "half inter", "which dimensions make a pair"},
    {"pos", WORD, 0, "", "offset", "none|rows|offset|far|huge|mixed",
     "offset none rows far huge mixed", "positions; none = not given"},
    {"tables", WORD, 0, "", "none", "none|f32|same", "none f32 same",
     "cos and sin given, in f32 or the storage type"},
    {"theta", ATT_PARAM_REAL, 0, "", "10000", "1:1e9", "10000 500000", "base of the frequencies"},
    {"scaling", WORD, 0, "", "none", "none|yarn|yarn_gain|llama3", "none yarn yarn_gain llama3",
     "of the frequencies to longer contexts"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|reversed|stepped|broadcast",
     "bhsd bshd padded reversed stepped broadcast", "strides of the source"},
    {"to", WORD, 0, "", "same", "same|dense|padded", "same dense padded", "strides of the result"},
    {"alias", WORD, 0, "", "none", "none|inplace", "none inplace", "is the result the source"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16|f64", "f32 f16 bf16", "storage type"},
    {"values", WORD, 0, "", "normal", "normal|large|small|subnormal|ones|nan",
     "normal large small subnormal ones nan", "family of the vectors"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the output"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"strict_ratio", "ratio", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "the same, were the angle exact"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {0},
};

/* One case's memory. */
typedef struct work {
    rope_case c;
    att_rope section;
    att_problem p, plain;
    att_guard q, out, cos, sin, positions;
    bool in_place;
    double *x, *got, *want, *tables, *rate;
    rope_answer strict, loose, own;
} work;

static const char *nonsense(int64_t d, int64_t rotary, bool in_place, const char *layout,
                            const char *to)
{
    if (rotary > d || rotary % 2)
        return "rot must be even and at most d";
    if (in_place && (parity_is(layout, "broadcast") || !parity_is(to, "same")))
        return "in place the result has the source's strides, none of them 0";
    return NULL;
}

static bool valid(const att_value *v)
{
    int64_t cells;

    return !nonsense(v[P_D].i, v[P_ROT].i, parity_is(v[P_ALIAS].s, "inplace"), v[P_LAYOUT].s,
                     v[P_TO].s) &&
           !__builtin_mul_overflow(v[P_B].i * v[P_H].i, v[P_S].i * v[P_D].i, &cells) &&
           cells <= 1 << 26;
}

/* ----------------------------------------------------------------------------- the case */

static int64_t position(const char *pos, int64_t b, int64_t i, att_rng *rng)
{
    if (parity_is(pos, "offset"))
        return 5 + 11 * b + i;
    if (parity_is(pos, "far"))
        return 700 + 97 * b + i;
    if (parity_is(pos, "huge"))
        return 100000 + 999 * b + i;
    if (parity_is(pos, "mixed"))
        return (int64_t)att_rng_below(rng, 2000) - 50;
    return i;
}

static bool make_positions(work *w, const char *pos, att_placement place, att_rng *rng)
{
    const rope_case *c = &w->c;

    if (!att_guard_make(&w->positions, (size_t)(c->b * c->s) * sizeof(int64_t), place))
        return false;
    int64_t *at = w->positions.data;
    for (int64_t b = 0; b < c->b; b++)
        for (int64_t i = 0; i < c->s; i++)
            at[b * c->s + i] = position(pos, b, i, rng);
    w->c.positions = at;
    if (!parity_is(pos, "none"))
        w->p.q_positions = att_tensor_dense(at, ATT_I64, 1, 1, c->b, c->s);
    att_guard_freeze(&w->positions, true);
    return true;
}

/* Both tables, rounded to dtype, in guarded memory; `tables` holds what they say. */
static bool make_tables(work *w, int32_t dtype, att_placement place)
{
    const rope_case *c = &w->c;
    int64_t half = c->rotary / 2, n = c->b * c->s * half;
    size_t bytes = (size_t)n * att_dtype_size(dtype);

    w->tables = calloc((size_t)(2 * n) + 1, sizeof *w->tables);
    if (!w->tables || !att_guard_make(&w->cos, bytes, place) ||
        !att_guard_make(&w->sin, bytes, place))
        return false;
    for (int64_t at = 0; at < n; at++) {
        double angle = (double)c->positions[at / half] *
                       (c->rate ? c->rate[at % half]
                                : pow(c->theta, -2 * (double)(at % half) / (double)c->rotary));
        att_fp_store(w->cos.data, dtype, at, c->gain * cos(angle));
        att_fp_store(w->sin.data, dtype, at, c->gain * sin(angle));
        w->tables[at] = att_fp_load(w->cos.data, dtype, at);
        w->tables[n + at] = att_fp_load(w->sin.data, dtype, at);
    }
    att_guard_freeze(&w->cos, true);
    att_guard_freeze(&w->sin, true);
    w->section.cos = att_tensor_dense(w->cos.data, dtype, 1, c->b, c->s, half);
    w->section.sin = att_tensor_dense(w->sin.data, dtype, 1, c->b, c->s, half);
    w->c.cos = w->tables;
    w->c.sin = w->tables + n;
    return true;
}

/* Moves every row between doubles and a tensor, either way; taken ones leave the pattern behind. */
static void store_rows(const work *w, const att_tensor *t, const double *x)
{
    const rope_case *c = &w->c;

    for (int64_t r = 0; r < c->b * c->h * c->s; r++)
        parity_store_row(t, r / c->s / c->h, r / c->s % c->h, r % c->s, c->d, x + r * c->d);
}

static void load_rows(const work *w, const att_tensor *t, double *x)
{
    const rope_case *c = &w->c;

    for (int64_t r = 0; r < c->b * c->h * c->s; r++)
        parity_load_row(t, r / c->s / c->h, r / c->s % c->h, r % c->s, c->d, x + r * c->d);
}

static bool make_vectors(att_ctx *x, work *w, int32_t dtype, att_placement place)
{
    const rope_case *c = &w->c;
    const char *layout = att_ctx_word(x, "layout"), *to = att_ctx_word(x, "to");
    parity_shape q = parity_shape_of(layout, c->b, c->h, c->s, c->d), out = q;
    att_rng rng = att_ctx_rng(x, "values");

    if (!parity_is(to, "same"))
        out = parity_shape_of(parity_is(to, "padded") ? to : "bhsd", c->b, c->h, c->s, c->d);
    else if (parity_is(layout, "broadcast"))
        out = parity_shape_of("bhsd", c->b, c->h, c->s, c->d);
    if (!att_guard_make(&w->q, (size_t)q.extent * att_dtype_size(dtype), place))
        return false;
    w->p.q = parity_tensor(&q, w->q.data, dtype);
    rope_fill(att_ctx_word(x, "values"), dtype, c->b * c->h * c->s * c->d, &rng, w->x);
    store_rows(w, &w->p.q, w->x);
    load_rows(w, &w->p.q, w->x);
    w->p.out = w->p.q;
    if (w->in_place)
        return true;
    att_guard_freeze(&w->q, true);
    if (!att_guard_make(&w->out, (size_t)out.extent * att_dtype_size(dtype), place))
        return false;
    w->p.out = parity_tensor(&out, w->out.data, dtype);
    return true;
}

static bool make_answer(int64_t n, rope_answer *a)
{
    a->o = calloc((size_t)n + 1, sizeof *a->o);
    a->bound = calloc((size_t)n + 1, sizeof *a->bound);
    a->free = calloc((size_t)n + 1, 1);
    return a->o && a->bound && a->free;
}

static bool scale(const char *word, work *w)
{
    rope_scale(word, &w->section);
    w->c.gain = rope_gain(&w->section);
    w->rate = calloc((size_t)w->c.rotary / 2 + 1, sizeof *w->rate);
    if (w->rate && w->section.scaling) {
        rope_rates(&w->c, &w->section, false, w->rate);
        w->c.rate = w->rate;
    }
    return w->rate != NULL;
}

static bool make(att_ctx *x, work *w)
{
    att_placement place = parity_is(att_ctx_word(x, "place"), "flush") ? ATT_PLACE_FLUSH
                                                                       : ATT_PLACE_ALIGNED;
    int32_t dtype = att_dtype_named(att_ctx_word(x, "dtype"));
    rope_case *c = &w->c;
    att_rng rng = att_ctx_rng(x, "positions");

    *c = (rope_case){.b = att_ctx_int(x, "b"),
                     .h = att_ctx_int(x, "h"),
                     .s = att_ctx_int(x, "s"),
                     .d = att_ctx_int(x, "d"),
                     .rotary = att_ctx_int(x, "rot"),
                     .theta = att_ctx_real(x, "theta"),
                     .sign = 1};
    bool half = parity_is(att_ctx_word(x, "pairing"), "half");
    c->rotary = c->rotary ? c->rotary : c->d / 2 * 2;
    c->width = (double)c->rotary;
    c->step = half ? 1 : 2;
    c->distance = half ? c->rotary / 2 : 1;
    w->in_place = parity_is(att_ctx_word(x, "alias"), "inplace");
    w->section = (att_rope){.pairing = half ? ATT_ROPE_HALF : ATT_ROPE_INTERLEAVED,
                            .rotary_dim = c->rotary,
                            .theta = c->theta};
    w->p = att_problem_init();
    w->p.batch = c->b;
    w->p.heads_q = w->p.heads_kv = c->h;
    w->p.q_len = c->s;
    w->p.kv_len = c->s + 37; /* of the cache: it does not move a position */
    w->p.head_dim = w->p.value_dim = c->d;
    int64_t n = c->b * c->h * c->s * c->d;
    w->x = calloc((size_t)n + 1, sizeof *w->x);
    w->got = calloc((size_t)n + 1, sizeof *w->got);
    w->want = calloc((size_t)n + 1, sizeof *w->want);
    if (!w->x || !w->got || !w->want || !scale(att_ctx_word(x, "scaling"), w) ||
        !make_answer(n, &w->strict) || !make_answer(n, &w->loose) || !make_answer(n, &w->own) ||
        !make_positions(w, att_ctx_word(x, "pos"), place, &rng) ||
        !make_vectors(x, w, dtype, place))
        return false;
    c->x = w->x;
    const char *tables = att_ctx_word(x, "tables");
    if (!parity_is(tables, "none") &&
        !make_tables(w, parity_is(tables, "f32") ? ATT_F32 : dtype, place))
        return false;
    w->p.rope = &w->section;
    w->plain = w->p;
    w->plain.q = att_tensor_dense(w->x, ATT_F64, c->b, c->h, c->s, c->d);
    w->plain.out = att_tensor_dense(w->want, ATT_F64, c->b, c->h, c->s, c->d);
    return true;
}

static void drop(work *w)
{
    att_guard *guards[] = {&w->q, &w->out, &w->cos, &w->sin, &w->positions};
    rope_answer *answers[] = {&w->strict, &w->loose, &w->own};

    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        att_guard_drop(guards[i]);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        free(answers[i]->o);
        free(answers[i]->bound);
        free(answers[i]->free);
    }
    free(w->x);
    free(w->got);
    free(w->want);
    free(w->tables);
    free(w->rate);
}

/* ---------------------------------------------------------------------------- judgement */

/* Bytes changed outside the result's rows, whose own bytes are first put back. */
static size_t changed(const work *w, const att_guard *guard)
{
    const rope_case *c = &w->c;
    const att_tensor *t = &w->p.out;
    size_t n = att_guard_changed(guard), size = att_dtype_size(t->dtype);

    for (int64_t r = 0; r < c->b * c->h * c->s; r++)
        for (int64_t d = 0; d < c->d; d++)
            memset((unsigned char *)t->data +
                       att_tensor_at(t, r / c->s / c->h, r / c->s % c->h, r % c->s, d) *
                           (int64_t)size,
                   0xff, size);
    for (size_t i = 0; i < guard->bytes; i++)
        n += ((const unsigned char *)guard->data)[i] != 0xff;
    return n;
}

/* The oracle and the answer made here, written apart, agree to double's rounding. */
static bool agree(att_ctx *x, work *w)
{
    att_precision wide = {.acc = ATT_F64, .prob = ATT_F64, .out = ATT_F64};
    att_units u;

    if (att_units_of(&wide, ATT_F64, ATT_F64, &u) != ATT_OK)
        return false;
    rope_answer_of(&w->c, &u, true, &w->own);
    for (int64_t i = 0; i < w->c.b * w->c.h * w->c.s * w->c.d; i++) {
        double mine = w->own.o[i], other = w->want[i];
        bool same = isfinite(mine) ? fabs(mine - other) <= 4 * w->own.bound[i] : !isfinite(other);
        if (!same && !w->own.free[i]) {
            att_ctx_why(x, "element %lld: the oracle says %.17g, the eval %.17g", (long long)i,
                        other, mine);
            return false;
        }
    }
    return true;
}

static double over(double e, double bound)
{
    return e == 0 ? 0 : bound > 0 ? e / bound : (double)INFINITY;
}

static void judge(att_ctx *x, work *w, const att_units *u)
{
    double nonfinite = 0, ratio = 0, strict = 0, most = 0, judged = 0;

    rope_answer_of(&w->c, u, false, &w->strict);
    rope_answer_of(&w->c, u, true, &w->loose);
    for (int64_t i = 0; i < w->c.b * w->c.h * w->c.s * w->c.d; i++) {
        double want = w->want[i], got = w->got[i], bound = w->loose.bound[i];
        if (w->loose.free[i])
            continue;
        judged++;
        bool over_range = isinf(got) && fabs(want) + bound > u->out_largest;
        nonfinite += isfinite(want) ? !isfinite(got) && !over_range : isfinite(got);
        if (!isfinite(want) || !isfinite(got))
            continue;
        double e = fabs(got - want);
        ratio = att_error_fold(ratio, over(e, bound));
        strict = att_error_fold(strict, over(e, w->strict.bound[i]));
        most = att_error_fold(most, e);
    }
    att_ctx_record(x, "nonfinite", nonfinite);
    att_ctx_record(x, "bound_ratio", ratio);
    att_ctx_record(x, "strict_ratio", strict);
    att_ctx_record(x, "max_abs", most);
    att_ctx_record(x, "elements", judged);
    if (nonfinite > 0 || !(ratio <= 1))
        rope_diagnose(x, &w->c, &w->p, u, w->got, w->in_place);
}

static att_status measure(att_ctx *x, work *w, const att_units *units)
{
    att_status status = att_ctx_oracle(x, ATT_OP_ROPE, &w->plain);

    if (status == ATT_OK && !agree(x, w))
        status = ATT_FAILED;
    if (status == ATT_OK)
        status = att_ctx_call(x, &att_ctx_variant(x)->part[0], ATT_OP_ROPE, &w->p, NULL);
    if (status != ATT_OK)
        return status;
    load_rows(w, &w->p.out, w->got);
    judge(x, w, units);
    att_ctx_record(x, "redzone", (double)changed(w, w->in_place ? &w->q : &w->out));
    return ATT_OK;
}

static att_status run(att_ctx *x)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    int32_t dtype = att_dtype_named(att_ctx_word(x, "dtype"));
    const char *wrong = nonsense(att_ctx_int(x, "d"), att_ctx_int(x, "rot"),
                                 parity_is(att_ctx_word(x, "alias"), "inplace"),
                                 att_ctx_word(x, "layout"), att_ctx_word(x, "to"));
    att_units units;
    work w = {0};

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    if (att_units_of(&kernel->precision, dtype, dtype, &units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    att_status status = make(x, &w) ? measure(x, &w, &units) : ATT_NO_MEMORY;
    drop(&w);
    return status;
}

const att_eval att_eval_rope = {
    .name = "rope",
    .summary = "rotary embedding against the float64 oracle",
    .params = params,
    .metrics = metrics,
    .ops = 1u << ATT_OP_ROPE,
    .chance = (double)NAN,
    .valid = valid,
    .run = run,
};
