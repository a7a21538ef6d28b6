/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of keys chosen by a score of their keys: Quest's bound, and MoBA's mean. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity_picks.h"

/* One block as one row sees it. */
typedef struct block {
    int64_t n; /* allowed keys */
    double *x; /* [2 d]: minima and maxima, or means and means of magnitudes */
} block;

typedef struct blocks {
    const choice_head *c;
    bool means;
    int64_t side, count;
    block *of;
    double *room;
    candidate *row;
} blocks;

static void summarise(blocks *w, int64_t kb, const uint8_t *seen, int64_t n)
{
    const int64_t d = w->c->in->spec.d;
    block *k = &w->of[kb];

    k->n = 0;
    for (int64_t j = 0; j < n; j++) {
        const double *key = choice_key(w->c, kb * w->side + j);
        if (!seen[j])
            continue;
        for (int64_t e = 0; e < d; e++) {
            double *a = &k->x[e], *b = &k->x[d + e];
            if (w->means) {
                *a = (k->n ? *a : 0) + key[e];
                *b = (k->n ? *b : 0) + fabs(key[e]);
            } else if (!w->c->reading.first_key || k->n == 0) {
                *a = k->n == 0 || key[e] < *a || isnan(key[e]) ? key[e] : *a;
                *b = k->n == 0 || key[e] > *b || isnan(key[e]) ? key[e] : *b;
            }
        }
        k->n++;
    }
}

static void score(const blocks *w, const double *q, const block *k, candidate *out)
{
    const int64_t d = w->c->in->spec.d;
    double sum = 0, size = 0;

    for (int64_t e = 0; e < d; e++) {
        if (w->means) {
            sum += q[e] * k->x[e];
            size += fabs(q[e]) * k->x[d + e];
        } else {
            const double low = q[e] * k->x[e], high = q[e] * k->x[d + e];
            const bool lower = (isnan(low) || low > high) && !w->c->reading.maxima;
            const double term = lower ? low : high;
            sum += term;
            size += fabs(term);
        }
    }
    const double keys = (double)(w->c->reading.whole_block ? w->side : k->n);
    const double n = w->means ? keys : 1;
    out->score = (w->c->reading.smallest ? -sum : sum) / n;
    out->error = w->c->u * ((double)d + n + 3) * size / n;
}

static void judge_row(blocks *w, int64_t i, int64_t budget, choice_tally *t)
{
    const int64_t sk = w->c->in->spec.sk, at = choice_position(w->c, i);
    const uint8_t *may = w->c->may + i * sk, *kept = w->c->kept + i * sk;
    const uint8_t *seen = w->c->seen + i * sk;
    const bool forces = w->means && at >= 0 && !w->c->reading.own_free;
    int64_t open = 0;

    for (int64_t kb = 0; kb < w->count; kb++) {
        const int64_t from = kb * w->side, n = from + w->side < sk ? w->side : sk - from;
        candidate *out = &w->row[kb];
        *out = (candidate){.forced = forces && at / w->side == kb};
        for (int64_t j = from; j < from + n; j++) {
            out->may += may[j];
            out->kept += may[j] && kept[j];
        }
        if (out->may == 0) {
            w->of[kb].n = 0; /* not as the row before saw it */
            continue;
        }
        open++;
        if (w->of[kb].n == 0 || memcmp(seen + from, seen + from - sk, (size_t)n) != 0)
            summarise(w, kb, seen + from, n);
        score(w, choice_query(w->c, i), &w->of[kb], out);
    }
    if (w->c->reading.in_keys)
        budget = budget > w->side ? budget / w->side : 1;
    choice_judge(w->row, w->count, budget + (open > budget ? w->c->reading.more : 0), t);
}

static att_status judge(const choice_head *c, bool means, choice_tally *t)
{
    const parity_spec *s = &c->in->spec;
    blocks w = {.c = c, .means = means, .side = c->v[0].i};
    att_status status = ATT_NO_MEMORY;

    w.count = s->sk / w.side + (s->sk % w.side != 0);
    w.of = calloc((size_t)w.count + 1, sizeof *w.of);
    w.row = calloc((size_t)w.count + 1, sizeof *w.row);
    w.room = calloc((size_t)(2 * w.count * s->d) + 1, sizeof *w.room);
    if (w.of && w.row && w.room) {
        for (int64_t kb = 0; kb < w.count; kb++)
            w.of[kb].x = w.room + 2 * kb * s->d;
        for (int64_t i = 0; i < s->sq; i++)
            judge_row(&w, i, c->v[1].i, t);
        status = ATT_OK;
    }
    free(w.of);
    free(w.row);
    free(w.room);
    return status;
}

att_status choice_pages(const choice_head *c, choice_tally *t)
{
    return judge(c, false, t);
}

att_status choice_means(const choice_head *c, choice_tally *t)
{
    return judge(c, true, t);
}
