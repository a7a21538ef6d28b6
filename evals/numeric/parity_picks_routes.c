/* SPDX-License-Identifier: Apache-2.0 */
/* Routing: keys go to the nearest of the centroids, queries to the `probes` nearest; a pair is kept
 * where these meet, or where it is the query's own key.
 *
 * Centroid c of KV head h: component e is +1 where the top bit of u(draw, h, c, e) is set, else -1,
 * with u as in common/draw.h.  Where two centroids are as near as rounding can tell, a vector may
 * lie in either cluster. */
#include <math.h>
#include <stdlib.h>

#include "evals/numeric/parity_picks.h"

typedef struct routes {
    const choice_head *c;
    int64_t n, probes;     /* centroids */
    double *centroid;      /* [n][d] */
    double *score, *error; /* [n], of one vector */
    uint8_t *near;         /* [Skv][n] the key may lie in this cluster */
    uint8_t *must, *may;   /* [n] the query surely, possibly attends to it */
} routes;

static uint64_t stirred(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z ^= z >> 30;
    z *= 0xbf58476d1ce4e5b9u;
    z ^= z >> 27;
    z *= 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void draw(const routes *w)
{
    const int64_t d = w->c->in->spec.d;
    const uint64_t head = stirred(stirred((uint64_t)w->c->v[2].i) + (uint64_t)w->c->kv);

    for (int64_t c = 0; c < w->n; c++)
        for (int64_t e = 0; e < d; e++) {
            const uint64_t u = stirred(stirred(head + (uint64_t)c) + (uint64_t)e);
            w->centroid[c * d + e] = u & 0x8000000000000000u ? 1 : -1;
        }
}

static void scores(const routes *w, const double *x)
{
    const int64_t d = w->c->in->spec.d;
    double size = 0;

    for (int64_t e = 0; e < d; e++)
        size += fabs(x[e]);
    for (int64_t c = 0; c < w->n; c++) {
        w->score[c] = 0;
        for (int64_t e = 0; e < d; e++)
            w->score[c] += x[e] * w->centroid[c * d + e];
        w->error[c] = w->c->u * ((double)d + 2) * size;
    }
}

static void judge_row(const routes *w, int64_t i, choice_tally *t)
{
    const int64_t sk = w->c->in->spec.sk, at = choice_position(w->c, i);
    const uint8_t *allowed = w->c->may + i * sk, *kept = w->c->kept + i * sk;

    for (int64_t j = 0; j < sk; j++) {
        bool sure = true, possible = false;
        if (!allowed[j])
            continue;
        for (int64_t c = 0; c < w->n; c++) {
            sure &= !w->near[j * w->n + c] || w->must[c];
            possible |= w->near[j * w->n + c] && w->may[c];
        }
        t->missing += !kept[j] && (sure || j == at);
        t->over += kept[j] && !possible && j != at;
    }
}

static bool judge(const routes *w, choice_tally *t)
{
    draw(w);
    for (int64_t j = 0; j < w->c->in->nk[w->c->b]; j++) {
        scores(w, choice_key(w->c, j));
        if (!choice_ranks(w->score, w->error, w->n, 1, w->must, w->near + j * w->n))
            return false;
    }
    for (int64_t i = 0; i < w->c->in->nq[w->c->b]; i++) {
        scores(w, choice_query(w->c, i));
        if (!choice_ranks(w->score, w->error, w->n, w->probes, w->must, w->may))
            return false;
        judge_row(w, i, t);
    }
    return true;
}

att_status choice_routes(const choice_head *c, choice_tally *t)
{
    const parity_spec *s = &c->in->spec;
    routes w = {.c = c, .n = c->v[0].i, .probes = c->v[1].i};
    const size_t n = (size_t)w.n;
    bool held = false;

    w.centroid = malloc(n * (size_t)s->d * sizeof *w.centroid);
    w.score = malloc(2 * n * sizeof *w.score);
    w.near = calloc(n * (size_t)(s->sk + 2), 1);
    if (w.centroid && w.score && w.near) {
        w.error = w.score + n;
        w.must = w.near + n * (size_t)s->sk;
        w.may = w.must + n;
        held = judge(&w, t);
    }
    free(w.centroid);
    free(w.score);
    free(w.near);
    return held ? ATT_OK : ATT_NO_MEMORY;
}
