/* SPDX-License-Identifier: Apache-2.0 */
/* What rotary embedding makes of a case, in double, with its bound; and of the same case as those
 * read it who have a known bug.
 * Source: Su et al. 2021; error analysis after Higham 2002. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/rope.h"

/* One pair in work. */
typedef struct turn {
    double c, s;
    double slack;  /* how far the angle may be off */
    double rounds; /* of c, of a product and of the sum */
} turn;

static turn turn_of(const rope_case *r, const att_units *u, bool loose, int64_t row, int64_t i)
{
    double power = 2 * (double)i / r->width;
    double plain = (double)r->positions[row] * pow(r->theta, -power);
    double angle = r->rate ? (double)r->positions[row] * r->rate[i] : plain;
    turn t = {r->gain * cos(angle), r->gain * r->sign * sin(angle), 0, 3};

    if (r->cos) {
        t.c = r->cos[row * (r->rotary / 2) + i];
        t.s = r->sin[row * (r->rotary / 2) + i];
    } else if (loose) {
        t.slack = u->acc * ((r->rate ? 10 : 4) + power * fabs(log(r->theta))) * fabs(plain);
        t.rounds = r->rate ? 6 : 3;
    }
    return t;
}

static void put(const att_units *u, double plus, double minus, double slope, const turn *t,
                int64_t at, bool free, rope_answer *out)
{
    att_format format = {.unit = u->out, .tiny = u->out_tiny};
    double o = plus + minus, rest = t->rounds * (u->acc * (fabs(plus) + fabs(minus)) + u->acc_lost);

    rest += t->slack * fabs(slope);
    if (rest > 0 && isfinite(o))
        rest += att_fp_ulp(&format, fabs(o) + rest) / 2;
    out->o[at] = o;
    out->bound[at] = rest;
    out->free[at] = free;
}

void rope_answer_of(const rope_case *r, const att_units *u, bool loose, rope_answer *out)
{
    for (int64_t at = 0; at < r->b * r->h * r->s * r->d; at++) {
        out->o[at] = r->x[at];
        out->bound[at] = 0;
        out->free[at] = 0;
    }
    for (int64_t row = 0; row < r->b * r->h * r->s; row++) {
        int64_t b = row / (r->h * r->s), i = row % r->s;
        for (int64_t pair = 0; pair < r->rotary / 2; pair++) {
            int64_t one = row * r->d + pair * r->step, two = one + r->distance;
            double x1 = r->x[one], x2 = r->x[two];
            turn t = turn_of(r, u, loose, b * r->s + i, pair);
            bool free = (t.c == 0 || t.s == 0) && !(isfinite(x1) && isfinite(x2));
            put(u, t.c * x1, -t.s * x2, t.s * x1 + t.c * x2, &t, one, free, out);
            put(u, t.s * x1, t.c * x2, t.c * x1 - t.s * x2, &t, two, free, out);
        }
    }
}

/* ------------------------------------------------------------------------------ readings */

typedef struct reading {
    const rope_case *c;
    const att_problem *p;
    bool in_place;
    rope_case own;     /* as the bug reads it */
    int64_t *position; /* [B][S] to be filled, for readings of positions */
    double *rate;      /* [rotary/2] likewise, of scaled frequencies */
} reading;

static bool pairing_other(reading *r)
{
    bool halves = r->c->step == 1;

    r->own.step = halves ? 2 : 1;
    r->own.distance = halves ? 1 : r->own.rotary / 2;
    return r->own.rotary > 2;
}

static bool angle_negated(reading *r)
{
    r->own.sign = -1;
    return !r->c->cos;
}

static bool moved(reading *r, int64_t first)
{
    for (int64_t i = 0; i < r->c->b * r->c->s; i++)
        r->position[i] = first + i % r->c->s;
    r->own.positions = r->position;
    return !r->c->cos;
}

static bool offset_ignored(reading *r)
{
    return r->p->kv_len > 0 && moved(r, r->p->kv_len - r->c->s);
}

static bool positions_ignored(reading *r)
{
    return moved(r, 0);
}

static bool width_of_head(reading *r)
{
    r->own.width = (double)r->c->d;
    if (r->own.step == 1)
        r->own.distance = r->c->d / 2;
    return r->c->rotary < r->c->d && r->c->d % 2 == 0 && !r->c->cos && !r->c->rate;
}

static bool whole_head(reading *r)
{
    r->own.rotary = r->c->d / 2 * 2;
    r->own.width = (double)r->own.rotary;
    if (r->own.step == 1)
        r->own.distance = r->own.rotary / 2;
    return r->c->rotary < r->own.rotary && !r->c->cos && !r->c->rate;
}

static bool nothing_turns(reading *r)
{
    r->own.rotary = 0;
    return r->c->rotary > 0;
}

static bool scaling_ignored(reading *r)
{
    r->own.rate = NULL;
    r->own.gain = 1;
    return r->c->rate != NULL;
}

static bool gain_missing(reading *r)
{
    r->own.gain = 1;
    return r->c->gain != 1;
}

static bool other_ramp(reading *r)
{
    if (!r->c->rate)
        return false;
    rope_rates(r->c, r->p->rope, true, r->rate);
    r->own.rate = r->rate;
    return true;
}

static bool as_asked(reading *r)
{
    (void)r;
    return true;
}

/* ---- what no reading states is done to the answer */

/* Elements from the tensor's first to its last; 0 where strides run backwards. */
static int64_t extent(const att_tensor *t)
{
    int64_t n = 1;

    for (int a = 0; a < 4; a++) {
        if (t->stride[a] < 0 || t->shape[a] < 1)
            return 0;
        n += (t->shape[a] - 1) * t->stride[a];
    }
    return n;
}

static bool tail_by_result(const reading *r, rope_answer *a)
{
    const rope_case *c = r->c;
    int64_t end = extent(&r->p->q);

    if (r->in_place || c->rotary == c->d)
        return false;
    for (int64_t row = 0; row < c->b * c->h * c->s; row++)
        for (int64_t d = c->rotary; d < c->d; d++) {
            int64_t at =
                att_tensor_at(&r->p->out, row / c->s / c->h, row / c->s % c->h, row % c->s, d);
            if (at < 0 || at >= end)
                return false;
            a->o[row * c->d + d] = att_fp_load(r->p->q.data, r->p->q.dtype, at);
        }
    return true;
}

static bool first_sequence_alone(const reading *r, rope_answer *a)
{
    const rope_case *c = r->c;

    for (int64_t at = c->h * c->d; c->s == 1 && at < c->b * c->h * c->d; at++)
        a->o[at] = r->in_place ? c->x[at] : (double)NAN;
    return c->s == 1 && c->b > 1;
}

static bool half_overwritten(const reading *r, rope_answer *a)
{
    const rope_case *c = r->c;

    for (int64_t row = 0; row < c->b * c->h * c->s; row++)
        for (int64_t pair = 0; pair < c->rotary / 2; pair++) {
            int64_t one = row * c->d + pair * c->step, two = one + c->distance;
            att_units none = {0};
            turn t = turn_of(c, &none, false, row / (c->h * c->s) * c->s + row % c->s, pair);
            double stored = att_fp_round(r->p->out.dtype, a->o[one]);
            a->o[two] = t.s * stored + t.c * c->x[two];
            a->bound[two] += fabs(t.s) * a->bound[one];
        }
    return r->in_place && c->rotary > 0;
}

static const struct fault {
    const char *name, *text;
    bool (*read)(reading *r);
    bool (*edit)(const reading *r, rope_answer *a); /* NULL: the reading says it all */
} faults[] = {
    {"rope_offset_ignored", "positions counted from the end of the cache", offset_ignored, NULL},
    {"positions_ignored", "positions 0, 1, 2, ...", positions_ignored, NULL},
    {"partial_rope_width", "frequencies and pairs of the whole head", width_of_head, NULL},
    {"rotary_dim_ignored", "the whole head turned", whole_head, NULL},
    {"rope_scaling_ignored", "frequencies as trained, none interpolated", scaling_ignored, NULL},
    {"yarn_gain_missing", "cos and sin without the attention factor", gain_missing, NULL},
    {"yarn_ramp_axis", "the ramp over turns where pairs are meant, or over pairs for turns",
     other_ramp, NULL},
    {"pairing_swapped", "the other pairing", pairing_other, NULL},
    {"angle_negated", "turned backwards", angle_negated, NULL},
    {"rope_skipped", "nothing turned", nothing_turns, NULL},
    {"rope_tail_noncontig", "dimensions that do not turn read at the result's offsets", as_asked,
     tail_by_result},
    {"rope_one_token_batch", "of single tokens only the first sequence turned", as_asked,
     first_sequence_alone},
    {"rope_inplace_strided", "half of a pair overwritten before it was read", as_asked,
     half_overwritten},
};

/* Largest error over bound; NAN where the reading does not hold. */
static double explains(const rope_answer *a, const double *got, int64_t n)
{
    double worst = 0;

    for (int64_t at = 0; at < n; at++) {
        if (a->free[at] || (!isfinite(a->o[at]) && !isfinite(got[at])))
            continue;
        double e = fabs(a->o[at] - got[at]);
        if (!(e <= a->bound[at]))
            return (double)NAN;
        worst = e > 0 ? fmax(worst, e / a->bound[at]) : worst;
    }
    return worst;
}

void rope_diagnose(att_ctx *x, const rope_case *c, const att_problem *p, const att_units *units,
                   const double *got, bool in_place)
{
    int64_t n = c->b * c->h * c->s * c->d;
    rope_answer a = {calloc((size_t)n + 1, sizeof(double)), calloc((size_t)n + 1, sizeof(double)),
                     calloc((size_t)n + 1, 1)};
    int64_t *position = calloc((size_t)(c->b * c->s) + 1, sizeof *position);

    double *rate = calloc((size_t)(c->rotary / 2) + 1, sizeof *rate);

    for (size_t f = 0;
         a.o && a.bound && a.free && position && rate && f < sizeof faults / sizeof *faults; f++) {
        reading r = {
            .c = c, .p = p, .in_place = in_place, .own = *c, .position = position, .rate = rate};
        if (!faults[f].read(&r))
            continue;
        rope_answer_of(&r.own, units, true, &a);
        if (faults[f].edit && !faults[f].edit(&r, &a))
            continue;
        double ratio = explains(&a, got, n);
        if (!isnan(ratio))
            att_ctx_diagnose(x, faults[f].name, ratio, faults[f].text);
    }
    free(a.o);
    free(a.bound);
    free(a.free);
    free(position);
    free(rate);
}
