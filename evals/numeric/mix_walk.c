/* SPDX-License-Identifier: Apache-2.0 */
/* A mix in float64, row by row, and what its elements may be off by.
 *
 *   o = sum_c w_c A_c      worst  = sum (|w_c| B_c + dw_c (|A_c| + B_c)) + C u sum |w_c A_c| +
 * ulp/2 likely = root of sum (w_c sigma_c)^2 + (dw_c A_c)^2 / 4
 *                                   + C (u sum |w_c A_c|)^2 / 3 + ulp^2 / 12
 *
 * B_c and sigma_c are those of the numeric rule (core/error_row.h) for part c alone, whose result a
 * kernel may round to the output's type before it is mixed: u = max(u_acc, u_out).  C parts.
 * dw: sigmoid 5 u_acc (absolute, as 0.5 (1 + tanh) has it) + u w; 1 - gate: u w; else 0.
 * A sum of decays may be a difference of running sums in the accumulator: with C_k = sum of decays
 * 0..k, each of its roundings is u_acc |C_k|; x_j gets the larger of their root sum of squares and
 * half their sum, and |C_p| + |C_j|.  A pooled key adds block / 2 a_j + a_j to x_j, a pooled value
 * block u_acc sum p |v| to B.  Keys chosen otherwise than the oracle does within rounding are no
 * fault: such rows are marked (mix_choice.c).  O(pairs (Dk + Dv)). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/mix_row.h"
#include "evals/numeric/parity.h"

/* ------------------------------------------------------------------------ gates and weights */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* The head and sequence whose number is read in place of the row's own. */
static int64_t head_of(const mix_row *w)
{
    return w->r->per_first_head ? 0 : w->r->per_kv_head ? w->h / (w->s->hq / w->s->hkv) : w->h;
}

static int64_t sequence_of(const mix_row *w)
{
    return w->r->per_first_sequence ? 0 : w->b;
}

static double gate_at(const mix_row *w, int64_t c)
{
    const mix_reading *r = w->r;
    const int64_t n = mix_gate_width(w->s), i = r->gate_of_first_row ? 0 : w->i;
    const int64_t at = r->gate_first_column ? 0
                       : r->gates_reversed  ? n - 1 - c
                                            : (c + r->gates_turned) % n;
    double g = w->n->gate[((sequence_of(w) * w->s->hq + head_of(w)) * w->s->sq + i) * n + at];

    if (r->gate_missing)
        return 1;
    if (r->gate_silu)
        return g * sigmoid(g);
    if (r->gate_sigmoid)
        g = sigmoid(g);
    return w->s->kind == ATT_MIX_GATED && !r->gate_raw ? sigmoid(g) : g;
}

/* Weight of each part at element d, and what it may be off by. */
static void weights(const mix_row *w, int64_t d, double weight[3], double off[3])
{
    const mix_reading *r = w->r;
    const double u = fmax(w->u->acc, w->u->out);

    off[0] = off[1] = off[2] = 0;
    weight[0] = 1;
    weight[1] = weight[2] = 0;
    if (w->s->kind == ATT_MIX_DIFFERENTIAL) {
        const double lambda = r->lambda_missing   ? 1
                              : r->second_missing ? 0
                                                  : w->n->lambda[head_of(w)];
        weight[1] = r->added ? lambda : -lambda;
        if (r->halves_swapped) {
            weight[0] = weight[1];
            weight[1] = 1;
        }
    } else if (w->s->kind == ATT_MIX_GATED) {
        weight[0] = gate_at(w, d);
        off[0] = 5 * w->u->acc + u * weight[0];
    } else if (w->s->kind == ATT_MIX_NSA) {
        for (int c = 0; c < 3; c++)
            weight[c] = gate_at(w, c);
    } else if (w->s->kind == ATT_MIX_MEMORY && !r->joint) {
        const double g = gate_at(w, 0);
        weight[0] = r->complement ? 1 - g : g;
        weight[1] = r->gate_missing ? 1 : 1 - weight[0];
        off[1] = u * fabs(weight[1]);
    }
}

/* ------------------------------------------------------------------------------- a row */

static double ulp(double x, const att_units *u)
{
    int e = 0;

    x = fmax(fabs(x), u->out_tiny);
    frexp(x, &e);
    return isfinite(x) ? ldexp(2 * u->out, e - 1) : 0;
}

static void mix_element(const mix_row *w, int64_t d, mix_answer *a, int64_t at)
{
    const double u = fmax(w->u->acc, w->u->out), parts = w->parts;
    double weight[3], off[3], x = 0, size = 0, worst = 0, likely = 0, own = 0;

    weights(w, d, weight, off);
    for (int c = 0; c < w->parts; c++) {
        const mix_part *p = &w->part[c];
        const double along = weight[c] * p->o[d], aside = off[c] * (fabs(p->o[d]) + p->worst[d]);
        x += along;
        size += fabs(along);
        worst += fabs(weight[c]) * p->worst[d] + aside;
        likely += weight[c] * weight[c] * p->variance[d] + aside * aside / 4;
        own += fabs(weight[c]) * p->own[d];
    }
    if (w->s->kind != ATT_MIX_FORGETTING) { /* whose part is the result */
        worst += parts * u * size;
        likely += parts * u * size * u * size / 3;
    }
    const double last = ulp(fabs(x) + worst, w->u);
    a->x[at] = x;
    a->worst[at] = worst + last / 2;
    a->likely[at] = sqrt(likely + last * last / 12);
    a->own[at] = own + 0x1p-50 * size + 0x1p-1060;
}

/* All parts of the row, then their mix. */
static void walk_row(mix_row *w, mix_answer *a)
{
    const int64_t row = (w->b * w->s->hq + w->h) * w->s->sq + w->i;
    bool tied = false;

    if (w->i >= w->n->nq[w->b]) {
        a->skip[row] = 1;
        return;
    }
    mix_row_parts(w, &tied);
    for (int64_t d = 0; d < w->s->dv; d++)
        mix_element(w, d, a, row * w->s->dv + d);
    a->skip[row] = tied ? 2 : 0;
}

static bool make_answer(const mix_spec *s, mix_answer *a)
{
    const int64_t rows = s->b * s->hq * s->sq, n = rows * s->dv;
    double *x = calloc((size_t)(4 * n + 1), sizeof *x);

    *a = (mix_answer){.x = x, .skip = calloc((size_t)rows + 1, 1), .rows = rows, .dv = s->dv};
    if (x) {
        a->likely = x + n;
        a->worst = a->likely + n;
        a->own = a->worst + n;
    }
    return x && a->skip;
}

void mix_answer_drop(mix_answer *a)
{
    free(a->x);
    free(a->skip);
    *a = (mix_answer){0};
}

att_status mix_walk(const mix_spec *s, const mix_numbers *n, const mix_reading *reading,
                    const att_units *units, mix_answer *out)
{
    static const mix_reading none = {0};
    mix_row w = {.s = s, .n = n, .r = reading ? reading : &none, .u = units};
    att_status status = ATT_NO_MEMORY;

    if (make_answer(s, out) && mix_row_make(&w)) {
        for (w.b = 0; w.b < s->b; w.b++)
            for (int64_t h = 0; h < s->hq; h++) {
                mix_row_open(&w, h);
                for (w.i = 0; w.i < s->sq; w.i++)
                    walk_row(&w, out);
            }
        status = ATT_OK;
    }
    mix_row_drop(&w);
    if (status != ATT_OK)
        mix_answer_drop(out);
    return status;
}
