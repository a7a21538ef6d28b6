/* SPDX-License-Identifier: Apache-2.0 */
/* Do kernels whose choice has a history keep what their parameters promise?  Told by their names:
 *
 *   budget recent       a cache that evicts by accumulated attention.  The trace that the kernel
 *                       reports is followed: a row's keys are the last row's and the new ones, less
 *                       those evicted; what is gone stays gone, never more than `budget` stay, the
 *                       last `recent` always; and where one key came and one went, none of those
 *                       that could have gone had less mass.
 *   budget window pool  the last `window` keys, and of those before them the budget - window of the
 *                       largest votes: the attention of the last `window` rows, summed over `pool`
 *                       neighbours.
 *
 * Mass and votes are softmax's weights in f64, summed over the query heads of a group, which share
 * what is kept.  A weight p of n keys in f32 is off by at most (e^(2 b) - 1 + (n + 8) u) p, b the
 * largest of the row's worst logit errors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/names.h"
#include "evals/numeric/parity_own.h"

typedef struct stream {
    const parity_inputs *in, *own;
    double u;
    int64_t budget, recent, window, pool, rows; /* rows: that vote at once */
    double *p, *mass, *err, *ring, *ring_err;   /* [Skv] [Skv] [Skv] [window][Skv] */
    uint8_t *held, *may;                        /* [Skv] */
    parity_tally choice;
    int64_t broken; /* pairs against the pattern */
    int64_t shift;  /* a reading's: votes are pooled so many keys late */
} stream;

/* Logit of (b, h, i, j), and its worst error but for what depends on the row's maximum. */
static double logit(const parity_inputs *in, int64_t b, int64_t h, int64_t i, int64_t j,
                    double *err)
{
    const parity_spec *s = &in->spec;
    const double *q = in->q + ((b * s->hq + h) * s->sq + i) * s->d;
    const double *k = in->k + ((b * s->hkv + h / (s->hq / s->hkv)) * s->sk + j) * s->d;
    const double scale = att_scale(&in->plain), cap = in->plain.softcap;
    double dot = 0, size = 0, x = 0;

    for (int64_t d = 0; d < s->d; d++) {
        dot += q[d] * k[d];
        size += fabs(q[d] * k[d]);
    }
    dot *= scale;
    size *= fabs(scale);
    if (cap > 0) {
        const double t = tanh(dot / cap);
        x += fabs(dot) + fabs(cap * t);
        size *= 1 - t * t;
        dot = cap * t;
    }
    if (in->plain.alibi_slopes.data) {
        const att_tensor *m = &in->plain.alibi_slopes;
        const double far = fabs((double)(parity_position(in, b, i) - j));
        const double term = att_fp_load(m->data, m->dtype, m->shape[3] == 1 ? 0 : h * m->stride[3]);
        x += term * far + fabs(dot - term * far);
        dot -= term * far;
    }
    *err = (double)(s->d + 3) * size + 2 * x;
    return dot;
}

/* Adds the weights of one row over the keys of `keys` to sum, and their errors to err. */
static void add_weights(stream *w, int64_t b, int64_t h, int64_t i, const uint8_t *keys,
                        double *sum, double *err)
{
    const int64_t n = w->in->spec.sk;
    double top = -(double)INFINITY, total = 0, worst = 0, low = INFINITY;
    int64_t count = 0;

    for (int64_t j = 0; j < n; j++) {
        double e;
        if (!keys[j])
            continue;
        w->p[j] = logit(w->in, b, h, i, j, &e);
        top = isnan(w->p[j]) || w->p[j] > top ? w->p[j] : top;
        low = fmin(low, w->p[j]);
        worst = fmax(worst, e);
        count++;
    }
    for (int64_t j = 0; j < n; j++)
        if (keys[j])
            total += w->p[j] = exp(w->p[j] - top);
    const double b_row = w->u * (worst + 2 * (1 + fmin(top - low, 100)));
    const double rel = expm1(2 * b_row) + (double)(count + 8) * w->u;
    for (int64_t j = 0; j < n; j++)
        if (keys[j]) {
            sum[j] += w->p[j] / total;
            err[j] += rel * w->p[j] / total + 0x1p-126;
        }
}

static const uint8_t *row_of(const parity_inputs *in, int64_t b, int64_t h, int64_t i)
{
    return in->allowed + ((b * in->spec.hq + h) * in->spec.sq + i) * in->spec.sk;
}

/* Keys before its place that a row sees; the heads of the group must have kept the same. */
static int64_t reach(stream *w, int64_t b, int64_t h0, int64_t group, int64_t i)
{
    const int64_t n = w->in->spec.sk;
    const uint8_t *may = row_of(w->in, b, h0, i), *first = row_of(w->own, b, h0, i);
    int64_t hi = 0;

    while (hi < n && may[hi])
        hi++;
    for (int64_t h = h0 + 1; h < h0 + group; h++)
        for (int64_t j = 0; j < n; j++)
            w->broken += first[j] != row_of(w->own, b, h, i)[j];
    return hi;
}

/* -------------------------------------------------------------------------- eviction */

/* One row: what it kept of what was held and the keys from `next` on. */
static void check_evicted(stream *w, const uint8_t *kept, int64_t next, int64_t hi)
{
    const parity_scores r = {.n = hi, .s = w->mass, .err = w->err};
    int64_t there = 0, have = 0;

    for (int64_t j = 0; j < hi; j++) {
        const bool held = w->held[j] || j >= next, last = j >= hi - w->recent;
        there += held;
        have += kept[j] != 0;
        w->broken += (kept[j] && !held) || (last && !kept[j]);
        w->may[j] = held && !last;
    }
    there = there < w->budget ? there : w->budget;
    if (hi - next != 1) { /* which of many went first is not known: only how many */
        w->choice.missing += have < there ? there - have : 0;
        w->choice.over += have > w->budget ? have - w->budget : 0;
        return;
    }
    for (int64_t j = 0; j < hi; j++) /* of those that could go, this many stay */
        there -= kept[j] && !w->may[j];
    parity_scores_add(&w->choice, &r, there > 0 ? there : 0, w->may, kept);
}

static void follow(stream *w, int64_t b, int64_t h0, int64_t group)
{
    const size_t n = (size_t)w->in->spec.sk;
    int64_t next = 0;

    memset(w->held, 0, n);
    memset(w->mass, 0, n * sizeof *w->mass);
    memset(w->err, 0, n * sizeof *w->err);
    for (int64_t i = 0; i < w->in->nq[b]; i++) {
        const uint8_t *kept = row_of(w->own, b, h0, i);
        const int64_t hi = reach(w, b, h0, group, i);
        check_evicted(w, kept, next, hi);
        next = hi;
        memcpy(w->held, kept, n);
        for (int64_t h = h0; h < h0 + group; h++)
            add_weights(w, b, h, i, kept, w->mass, w->err);
    }
}

/* -------------------------------------------------------------------- observation */

static void vote(stream *w, int64_t rows, int64_t keys, int64_t group)
{
    const int64_t n = w->in->spec.sk;
    double *votes = w->p;

    for (int side = 0; side < 2; side++) {
        double *to = side ? w->err : w->mass;
        for (int64_t j = 0; j < keys; j++) {
            votes[j] = 0;
            for (int64_t r = 0; r < rows; r++)
                votes[j] += (side ? w->ring_err : w->ring)[r * n + j];
        }
        for (int64_t j = 0; j < keys; j++) {
            to[j] = 0;
            for (int64_t c = j - w->pool / 2 + w->shift; c <= j + w->pool / 2 + w->shift; c++)
                to[j] += c >= 0 && c < keys ? votes[c] : 0;
        }
    }
    for (int64_t j = 0; j < keys; j++)
        w->err[j] += (double)(rows + group + w->pool + 4) * w->u * w->mass[j];
}

static void observe(stream *w, int64_t b, int64_t h0, int64_t group)
{
    const int64_t n = w->in->spec.sk, near = w->budget < w->window ? w->budget : w->window;

    for (int64_t i = 0; i < w->in->nq[b]; i++) {
        const uint8_t *kept = row_of(w->own, b, h0, i);
        const int64_t hi = reach(w, b, h0, group, i), keys = hi > near ? hi - near : 0;
        const int64_t rows = i + 1 < w->rows ? i + 1 : w->rows, at = i % w->rows * n;
        memset(w->ring + at, 0, (size_t)n * sizeof *w->ring);
        memset(w->ring_err + at, 0, (size_t)n * sizeof *w->ring_err);
        for (int64_t h = h0; h < h0 + group; h++)
            add_weights(w, b, h, i, row_of(w->in, b, h, i), w->ring + at, w->ring_err + at);
        vote(w, rows, keys, group);
        for (int64_t j = keys; j < hi; j++)
            w->broken += !kept[j];
        const parity_scores r = {.n = keys, .s = w->mass, .err = w->err};
        parity_scores_add(&w->choice, &r, w->budget - near, row_of(w->in, b, h0, i), kept);
    }
}

/* --------------------------------------------------------------------------------- all */

static bool make(stream *w)
{
    const size_t n = (size_t)w->in->spec.sk + 1, rows = (size_t)w->rows;

    w->p = calloc(n, sizeof *w->p);
    w->mass = calloc(n, sizeof *w->mass);
    w->err = calloc(n, sizeof *w->err);
    w->ring = calloc(rows * n, sizeof *w->ring);
    w->ring_err = calloc(rows * n, sizeof *w->ring_err);
    w->held = calloc(n, 1);
    w->may = calloc(n, 1);
    return w->p && w->mass && w->err && w->ring && w->ring_err && w->held && w->may;
}

/* All heads. */
static void judge(stream *w)
{
    const parity_spec *s = &w->in->spec;
    const bool votes = w->window > 0 && w->pool > 0;

    w->choice = (parity_tally){0};
    w->broken = 0;
    for (int64_t n = 0; n < s->b * s->hkv; n++) {
        const int64_t group = s->hq / s->hkv;
        (votes ? observe : follow)(w, n / s->hkv, n % s->hkv * group, group);
    }
}

static bool holds(const stream *w)
{
    return parity_tally_holds(&w->choice) && w->broken == 0;
}

/* Which known slip explains what was kept? */
static void explain_stream(att_ctx *x, stream *w)
{
    static const struct {
        const char *name, *text;
        int64_t shift;
        bool newest_alone;
    } readings[] = {
        {"pool_shifted", "votes are pooled one key late", 1, false},
        {"pool_shifted", "votes are pooled one key early", -1, false},
        {"recent_not_spared", "of the recent keys the newest alone is spared", 0, true},
    };
    const int64_t recent = w->recent;
    bool named = false;

    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        w->shift = readings[i].shift;
        w->recent = readings[i].newest_alone ? 1 : recent;
        judge(w);
        if (!holds(w))
            continue;
        att_ctx_diagnose(x, readings[i].name, w->choice.gap, readings[i].text);
        named = true;
    }
    if (!named)
        att_ctx_diagnose(x, ATT_UNKNOWN, (double)INFINITY, "no reading explains the choice");
}

att_status parity_check_stream(att_ctx *x, const parity_inputs *in, const parity_inputs *own,
                               double u_acc, bool explain)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const parity_spec *s = &in->spec;
    stream w = {.in = in,
                .own = own,
                .u = u_acc,
                .budget = parity_value(part, "budget"),
                .recent = parity_value(part, "recent"),
                .window = parity_value(part, "window"),
                .pool = parity_value(part, "pool")};
    const bool votes = w.window > 0 && w.pool > 0;

    if (w.budget < 1 || (w.recent < 1 && !votes))
        return ATT_OK;
    w.recent = w.recent < w.budget ? w.recent : w.budget;
    w.rows = !votes || s->sq < 1 ? 1 : w.window < s->sq ? w.window : s->sq;
    const bool made = make(&w);
    if (made) {
        judge(&w);
        parity_tally_record(x, &w.choice);
        att_ctx_record(x, "select_pattern", (double)w.broken);
        if (explain && !holds(&w) && parity_choice_turn(x))
            explain_stream(x, &w);
    }
    void *owned[] = {w.p, w.mass, w.err, w.ring, w.ring_err, w.held, w.may};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    return made ? ATT_OK : ATT_NO_MEMORY;
}
