/* SPDX-License-Identifier: Apache-2.0 */
/* Right results in the wrong place, and right results times a factor: what an output is told by
 * once the right answer is known, without another one. */
#include <math.h>
#include <stdio.h>

#include "base/fp.h"
#include "evals/numeric/parity_faults.h"

/* An element of the output; n: the fault's own number. */
typedef struct element {
    const parity_inputs *in;
    int64_t b, h, i, d, n;
} element;

#define LEFT_ALONE (-1) /* holds its own result, or was not written */

static int64_t at(const element *e, int64_t b, int64_t h, int64_t i, int64_t d)
{
    const parity_spec *s = &e->in->spec;

    return ((b * s->hq + h) * s->sq + i) * s->dv + d;
}

/* The element lies where head and query in each other's place would put it. */
static int64_t transposed(const element *e)
{
    const parity_spec *s = &e->in->spec;
    const int64_t x = e->h * s->sq + e->i;

    return at(e, e->b, x % s->hq, x / s->hq, e->d);
}

/* Of all tiles of n columns the last one that has the column is stored at column 0. */
static int64_t last_tile_first(const element *e)
{
    const int64_t dv = e->in->spec.dv;

    return e->d < e->n ? at(e, e->b, e->h, e->i, e->d + (dv - 1 - e->d) / e->n * e->n) : LEFT_ALONE;
}

static int64_t columns_reversed(const element *e)
{
    return at(e, e->b, e->h, e->i, e->in->spec.dv - 1 - e->d);
}

/* 1: the first batch, 2: head, 3: row stands everywhere. */
static int64_t first_of_all(const element *e)
{
    return at(e, e->n == 1 ? 0 : e->b, e->n == 2 ? 0 : e->h, e->n == 3 ? 0 : e->i, e->d);
}

/* 1: the next row's result, 2: the one before; none beyond the ends. */
static int64_t neighbour(const element *e)
{
    const int64_t i = e->n == 1 ? e->i + 1 : e->i - 1;

    return i < 0 || i >= e->in->nq[e->b] ? LEFT_ALONE : at(e, e->b, e->h, i, e->d);
}

static int64_t other_head(const element *e)
{
    const int64_t h = e->n == 1 ? e->h + 1 : e->h - 1, all = e->in->spec.hq;

    return at(e, e->b, (h + all) % all, e->i, e->d);
}

static const int64_t columns[] = {8, 16, 32, 64, 128, 0};
static const int64_t dimensions[] = {1, 2, 3, 0};
static const int64_t sides[] = {1, 2, 0};
static const int64_t once[] = {1, 0};

static const struct {
    const char *name, *text;
    int64_t (*from)(const element *e);
    const int64_t *of;
} moves[] = {
    {"out_offset_transposed", "head and query swapped in the output", transposed, once},
    {"v_tile_offset_missing", "every tile of value columns stored at column 0", last_tile_first,
     columns},
    {"columns_reversed", "value columns in reverse", columns_reversed, once},
    {"result_broadcast", "the result of the first batch, head or row everywhere", first_of_all,
     dimensions},
    {"rows_shifted", "rows hold their neighbour's result", neighbour, sides},
    {"heads_shifted", "heads hold their neighbour's result", other_head, sides},
};

static double room_of(const again *g, int64_t from)
{
    double sigma = 0, bound;

    att_profile_element(g->profile, from / g->in->spec.dv, from % g->in->spec.dv, g->units, &sigma,
                        &bound);
    return 6 * sigma;
}

/* |got - want| in units of what is allowed; more than 1 does not hold. */
static double off(double got, double want, double room)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want) ? 0 : 2;
    return got == want ? 0 : room > 0 ? fabs(got - want) / room : 2;
}

/* Largest ratio over the output; more than 1 where the move does not explain it. */
static double moved(const again *g, const att_tensor *got, int64_t (*from)(const element *e),
                    int64_t n)
{
    const parity_spec *s = &g->in->spec;
    double worst = 0;
    int64_t seen = 0; /* finite elements from elsewhere */

    for (int64_t x = 0; x < s->b * s->hq * s->sq * s->dv && worst <= 1; x++) {
        const int64_t row = x / s->dv;
        const element e = {
            g->in, row / (s->hq * s->sq), row / s->sq % s->hq, row % s->sq, x % s->dv, n};
        if (e.i >= g->in->nq[e.b])
            continue;
        const double value = att_fp_load(got->data, got->dtype, x);
        const int64_t source = from(&e);
        if (source == LEFT_ALONE && isnan(value))
            continue;
        const int64_t home = source == LEFT_ALONE ? x : source;
        seen += home != x && isfinite(value);
        worst = fmax(worst, off(value, g->in->out[home], room_of(g, home)));
    }
    return seen ? worst : 2;
}

/* ------------------------------------------------------------------------------- a factor */

/* The row's output over its right result where that is largest; NaN where there is none. */
static double factor_of(const again *g, const att_tensor *got, int64_t row)
{
    const int64_t dv = g->in->spec.dv;
    const double *out = g->in->out + row * dv;
    int64_t best = 0;

    for (int64_t d = 1; d < dv; d++)
        best = fabs(out[d]) > fabs(out[best]) ? d : best;
    return att_fp_load(got->data, got->dtype, row * dv + best) / out[best];
}

static double row_times(const again *g, const att_tensor *got, int64_t row, double factor)
{
    const int64_t dv = g->in->spec.dv;
    double worst = 0;

    for (int64_t d = 0; d < dv; d++)
        worst = fmax(worst, off(att_fp_load(got->data, got->dtype, row * dv + d),
                                factor * g->in->out[row * dv + d],
                                2 * fmax(fabs(factor), 1) * room_of(g, row * dv + d)));
    return worst;
}

/* Every row is its right result times something of its own. */
static bool by_factors(const again *g, const att_tensor *got)
{
    const parity_spec *s = &g->in->spec;
    int64_t other = 0;

    for (int64_t row = 0; row < s->b * s->hq * s->sq && s->dv > 2; row++) {
        if (row % s->sq >= g->in->nq[row / (s->hq * s->sq)])
            continue;
        if (row_times(g, got, row, 1) <= 1)
            continue;
        const double factor = factor_of(g, got, row);
        if (!isfinite(factor) || factor == 0 || !(row_times(g, got, row, factor) <= 1))
            return false;
        other++;
    }
    return other > 0;
}

void parity_moves(const att_tensor *got, again *g)
{
    char name[48];

    for (size_t m = 0; m < sizeof moves / sizeof *moves; m++)
        for (const int64_t *n = moves[m].of; *n; n++) {
            const double ratio = moved(g, got, moves[m].from, *n);
            snprintf(name, sizeof name, moves[m].of == once ? "%s" : "%s{%lld}", moves[m].name,
                     (long long)*n);
            if (ratio <= 1)
                parity_name(g, name, ratio, moves[m].text);
        }
    if (by_factors(g, got)) /* behind every fault that says which factor */
        parity_name(g, "wrong_denominator", 0.99, "rows are their right results times a factor");
}
