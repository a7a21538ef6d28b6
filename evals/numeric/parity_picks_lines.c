/* SPDX-License-Identifier: Apache-2.0 */
/* Vertical and slash: columns and diagonals on which the last rows of a head have most weight.
 *
 * A weight's error is that of its logit, p expm1(2 b), and what may underflow; a line's is the sum
 * of its weights' and what summing `last` of them adds.  Where one is not a number, all lines may
 * be kept or not.  A pair is kept where its column or its diagonal is; diagonal 0 comes first,
 * whatever it weighs. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity_picks.h"

typedef struct lines {
    int64_t n;
    double *score, *error;
    uint8_t *must, *may;
} lines;

static bool make(lines *l, int64_t n)
{
    l->n = n;
    l->score = calloc((size_t)(2 * n) + 1, sizeof *l->score);
    l->must = calloc((size_t)(2 * n) + 1, 1);
    l->error = l->score + n;
    l->may = l->must + n;
    return l->score && l->must;
}

static void drop(lines *l)
{
    free(l->score);
    free(l->must);
}

/* Diagonal o = p_i - j lies at o + origin, of sq + sk. */
static int64_t origin_of(const choice_head *c)
{
    return parity_is(c->in->spec.causal, "tl") ? c->in->spec.sk : c->in->spec.sq;
}

/* One row's weights on its columns and diagonals; s, b: logits and their errors. */
static void add_row(const choice_head *c, int64_t i, const double *s, const double *b,
                    lines *column, lines *slash)
{
    const int64_t sk = c->in->spec.sk, at = choice_position(c, i) + origin_of(c);
    const double rounding = c->u * ((double)sk + (double)c->v[2].i + 4);
    double top = -(double)INFINITY, sum = 0;

    for (int64_t j = 0; j < sk; j++)
        top = s[j] > top ? s[j] : top;
    for (int64_t j = 0; j < sk; j++)
        sum += isnan(s[j]) && !c->may[i * sk + j] ? 0 : exp(s[j] - top);
    for (int64_t j = 0; j < sk; j++) {
        if (isnan(s[j]) && !c->may[i * sk + j])
            continue;
        const double p = exp(s[j] - top) / sum;
        const double off = expm1(2 * (b[j] + 2 * c->u * (1 + fabs(s[j] - top)))) + rounding;
        const double error = p * off + 0x1p-126; /* f32's smallest normal number */
        column->score[j] += p;
        column->error[j] += error;
        slash->score[at - j] += p;
        slash->error[at - j] += error;
    }
}

static void judge(const choice_head *c, const lines *column, const lines *slash, choice_tally *t)
{
    const int64_t sk = c->in->spec.sk;

    for (int64_t i = 0; i < c->in->nq[c->b]; i++) {
        const int64_t at = choice_position(c, i) + origin_of(c);
        for (int64_t j = 0; j < sk; j++) {
            const bool kept = c->kept[i * sk + j];
            if (!c->may[i * sk + j])
                continue;
            t->missing += !kept && (column->must[j] || slash->must[at - j]);
            t->over += kept && !column->may[j] && !slash->may[at - j];
        }
    }
}

att_status choice_lines(const choice_head *c, choice_tally *t)
{
    const parity_spec *s = &c->in->spec;
    const int64_t nq = c->in->nq[c->b], origin = origin_of(c);
    double *x = malloc((size_t)(2 * s->sk + 1) * sizeof *x);
    lines column = {0}, slash = {0};
    att_status status = ATT_NO_MEMORY;

    if (c->in->plain.q_positions.data) { /* diagonals count keys */
        status = ATT_OK;
        goto done;
    }
    if (!x || !make(&column, s->sk) || !make(&slash, s->sq + s->sk))
        goto done;
    for (int64_t i = nq > c->v[2].i ? nq - c->v[2].i : 0; i < nq; i++)
        if (att_profile_logits(c->profile, (c->b * s->hq + c->h) * s->sq + i, x, x + s->sk))
            add_row(c, i, x, x + s->sk, &column, &slash);
        else if (s->sk > 0)
            column.score[0] = slash.score[0] = (double)NAN; /* a row without numbers */
    if (origin < slash.n) {
        slash.score[origin] = (double)INFINITY;
        slash.error[origin] = 0;
    }
    if (!choice_ranks(column.score, column.error, column.n, c->v[0].i, column.must, column.may) ||
        !choice_ranks(slash.score, slash.error, slash.n, c->v[1].i, slash.must, slash.may))
        goto done;
    judge(c, &column, &slash, t);
    status = ATT_OK;
done:
    free(x);
    drop(&column);
    drop(&slash);
    return status;
}
