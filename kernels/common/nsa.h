/* SPDX-License-Identifier: Apache-2.0 */
/* Native sparse attention, a row at a time, with steps that a kernel may replace.
 *
 *   out = g0 A(q, pooled) + g1 A(q, keys of the chosen blocks) + g2 A(q, the last `window` keys)
 *
 * Why: kernels/sparse/nsa.c says it; the zoo's kernels of this family are this row with one step
 * done wrong.  With nothing replaced it is right. */
#ifndef ATT_COMMON_NSA_H
#define ATT_COMMON_NSA_H

#include "common/choose.h"
#include "common/mix.h"

typedef struct att_nsa_way {
    int64_t (*window)(const att_problem *p);              /* keys up to the query; NULL = window */
    bool (*counts)(const att_mix_work *w, int64_t other); /* does that head have a say in which
                                                           * blocks are chosen?  NULL = all of the
                                                           * group */
} att_nsa_way;

/* Room of a slot: places of blocks, their scores, what was chosen, another head's query. */
typedef struct att_nsa_room {
    int64_t *place;
    float *score, *kept, *q;
    uint8_t *chosen;
} att_nsa_room;

static inline int64_t att_nsa_blocks(const att_problem *p)
{
    return p->mix ? p->kv_len / p->mix->block : 0;
}

static inline int64_t att_nsa_own(const att_problem *p)
{
    const int64_t n = att_nsa_blocks(p) + 1;
    return 5 * n + 2 * ATT_W + p->head_dim + 4;
}

static inline att_nsa_room att_nsa_room_of(const att_mix_work *w)
{
    const int64_t n = att_nsa_blocks(w->p) + 1;
    att_nsa_room r = {.place = (int64_t *)(void *)w->own};

    r.score = (float *)(void *)(r.place + n);
    r.kept = r.score + n + ATT_W;
    r.q = r.kept + n + ATT_W;
    r.chosen = (uint8_t *)(r.q + w->p->head_dim);
    return r;
}

/* Floats of the pooled keys and values of one (sequence, kv head). */
static inline int64_t att_nsa_shared(const att_problem *p)
{
    return att_nsa_blocks(p) * (p->head_dim + p->value_dim);
}

/* The means of whole blocks: keys, then values. */
static inline void att_nsa_pool(const att_problem *p, int64_t b, int64_t hk, float *shared)
{
    const att_seq seq = att_seq_of(p, b);
    const int64_t n = p->mix->block;
    const att_tensor *const from[] = {&p->k, &p->v};
    float *to = shared;

    for (int t = 0; t < 2; t++) {
        const int64_t wide = t ? p->value_dim : p->head_dim;
        for (int64_t at = 0; at < att_nsa_blocks(p); at++, to += wide) {
            memset(to, 0, (size_t)wide * sizeof *to);
            for (int64_t j = at * n; j < (at + 1) * n && (at + 1) * n <= seq.kv_len; j++)
                for (int64_t d = 0; d < wide; d++)
                    to[d] += att_load(from[t]->data, from[t]->dtype,
                                      att_tensor_at(from[t], b, hk, j, d));
            for (int64_t d = 0; d < wide; d++)
                to[d] /= (float)n;
        }
    }
}

/* x: probabilities of the first n pooled keys under query q. */
static inline void att_nsa_compressed(const att_mix_work *w, const float *q, int64_t n, float *x)
{
    for (int64_t c = 0; c < n; c++)
        x[c] = att_dot(q, w->shared + c * w->p->head_dim, w->p->head_dim) * w->rules.scale;
    att_mix_soften(w, n, x);
}

/* score: the compressed probabilities of n blocks, summed over the group's query heads. */
static inline void att_nsa_scores(const att_mix_work *w, const att_nsa_way *way, att_nsa_room *r,
                                  int64_t n)
{
    const att_problem *p = w->p;
    const int64_t group = p->heads_q / p->heads_kv;

    memset(r->score, 0, (size_t)n * sizeof *r->score);
    for (int64_t h = w->kv_head * group; h < (w->kv_head + 1) * group; h++) {
        if (way->counts && !way->counts(w, h))
            continue;
        att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, w->seq.at, h, w->row.i, 0),
                     p->q.stride[3], p->head_dim, r->q);
        att_nsa_compressed(w, r->q, n, w->x);
        for (int64_t c = 0; c < n; c++)
            r->score[c] += w->x[c];
    }
}

/* chosen: the query's own block, the first, the one before its own, then the highest scores. */
static inline void att_nsa_choose(const att_mix_work *w, att_nsa_room *r, int64_t n)
{
    const att_mix *m = w->p->mix;
    const int64_t own = w->row.position / m->block, forced[] = {own, 0, own - 1};
    int64_t left = m->keep;

    memset(r->chosen, 0, (size_t)att_nsa_blocks(w->p) + 1);
    for (int f = 0; f < 3 && left > 0; f++)
        if (forced[f] >= 0 && !r->chosen[forced[f]]) {
            r->chosen[forced[f]] = 1;
            left--;
            if (forced[f] < n)
                r->score[forced[f]] = -1.0f; /* below any sum of probabilities */
        }
    if (left <= 0)
        return;
    const int64_t more = att_choose(r->score, n, 0, left, r->place, r->kept);
    for (int64_t c = 0; c < more; c++)
        r->chosen[r->place[c]] = 1;
}

static inline void att_nsa_row(att_mix_work *w, const att_nsa_way *way)
{
    const att_problem *p = w->p;
    const att_mix *m = p->mix;
    const int64_t position = w->row.position, window = way->window ? way->window(p) : m->window;
    const int64_t n = position < 0 ? 0 : (position + 1) / m->block;
    const float *values = w->shared + att_nsa_blocks(p) * p->head_dim;
    att_nsa_room r = att_nsa_room_of(w);

    if (position < 0)
        return;
    att_nsa_scores(w, way, &r, n);
    att_nsa_choose(w, &r, n);
    att_nsa_compressed(w, w->q, n, w->x);
    for (int64_t c = 0; c < n; c++)
        att_axpy(att_mix_gate(w, 0) * w->x[c], values + c * p->value_dim, p->value_dim, w->o);
    w->n = 0;
    for (int64_t j = 0; j <= position; j++)
        if (r.chosen[j / m->block])
            w->j[w->n++] = j;
    att_mix_scores(w, 0, p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, att_mix_gate(w, 1), w->x);
    att_mix_list(w, att_add_clamped(position, 1 - window), position);
    att_mix_scores(w, 0, p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, att_mix_gate(w, 2), w->x);
}

#endif
