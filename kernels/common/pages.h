/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that keeps whole blocks of keys by a score of their summaries: it defines `pages` and
 * names the functions of common/picked.h, and att_pages_cost, in its descriptor.
 *
 *   score(i, J) = s(q_i, summary of the keys of block J that row i may see)
 *   kept: the `budget` blocks of the largest scores (ties: the lower block first; NaN above all),
 *   the query's own block before all others where `own` says so
 *
 * Why: a block's summary is read in place of its keys; what is skipped is a block as a whole.
 * A block that a row sees in part is summarised anew for it, so that no hidden key takes part.
 * Bound: exact on its own keys; which they are is decided on f32 scores.  O(S / side) scores a row;
 * the summaries are made in each call, which reads all of K once: a cache would keep them. */
#ifndef ATT_COMMON_PAGES_H
#define ATT_COMMON_PAGES_H

#include "common/choose.h"
#include "common/picked.h"

typedef struct att_pages {
    int64_t side, budget; /* keys a block, blocks a row */
    int64_t width;        /* a summary's floats, in units of head_dim */
    bool own;
    /* The summary of n keys gains the n + 1st. */
    void (*add)(float *summary, const float *k, int64_t dk, int64_t n);
    float (*score)(const float *q, const float *summary, int64_t dk, int64_t n);
} att_pages;

/* The kernel's own. */
static att_pages pages(const att_value *params);

/* May more than ranges hide a key? */
static inline bool att_pages_hidden(const att_problem *p)
{
    return p->mask.data || p->bias.data || p->block_mask.data;
}

/* Summary of keys from .. to, those that `row` may see where it is given; how many they were. */
static inline int64_t att_pages_sum(const att_pages *g, const att_list *l, const att_row *row,
                                    int64_t from, int64_t to, float *summary)
{
    const att_problem *p = l->rules->p;
    int64_t n = 0;

    for (int64_t j = from; j < to; j++) {
        if (row && !att_pair_allowed(l->rules, l->seq, row, j))
            continue;
        const int64_t at = att_key_at(p, &p->k, l->seq, l->kv_head, j);
        g->add(summary, att_row_floats(&p->k, at, p->head_dim, l->row), p->head_dim, n++);
    }
    return n;
}

static inline void att_pages_prepare(const void *arg, att_list *l, int64_t q_head, float *shared,
                                     float *room)
{
    const att_pages g = pages(arg);
    const int64_t n = l->seq->kv_len;

    (void)q_head, (void)room;
    for (int64_t from = 0; from < n; from += g.side, shared += g.width * l->rules->p->head_dim)
        att_pages_sum(&g, l, NULL, from, att_min(n, from + g.side), shared);
}

/* Scores of the blocks that the row may see, into x, and which they are, into j; how many.  One
 * that is kept whatever it scores is left out and named in *own, else that is -1. */
static inline int64_t att_pages_scores(const att_pages *g, att_list *l, const att_row *row,
                                       const float *shared, float *room, float *x, int64_t *j,
                                       int64_t *own)
{
    const att_problem *p = l->rules->p;
    const int64_t dk = p->head_dim, end = l->seq->kv_len;
    const int64_t at = g->own && row->position >= 0 ? row->position / g->side : -1;
    const bool hidden = att_pages_hidden(p);
    int64_t count = 0;

    *own = -1;
    for (int64_t kb = row->lo / g->side; kb * g->side < row->hi; kb++) {
        const int64_t from = kb * g->side, to = att_min(end, from + g->side);
        const bool part = hidden || from < row->lo || to > row->hi;
        const float *summary = part ? room : shared + kb * g->width * dk;
        int64_t n = to - from;
        if (part)
            n = att_pages_sum(g, l, row, att_max(from, row->lo), att_min(to, row->hi), room);
        if (n > 0 && kb == at) {
            *own = kb;
        } else if (n > 0) {
            j[count] = kb;
            x[count++] = g->score(l->q, summary, dk, n);
        }
    }
    return count;
}

/* The row's keys of block kb join the list. */
static inline void att_pages_take(const att_pages *g, att_list *l, const att_row *row, int64_t kb)
{
    const int64_t from = kb * g->side;
    for (int64_t j = att_max(row->lo, from); j < att_min(row->hi, from + g->side); j++)
        l->j[l->n++] = j;
}

/* Room: a summary, scores (padded), the kept ones, and as int64 the candidates and the kept. */
static inline void att_pages_pick(const void *arg, att_list *l, const att_row *row,
                                  const float *shared, float *room)
{
    const att_pages g = pages(arg);
    const int64_t most = att_ceil_div(l->rules->p->kv_len, g.side) + ATT_W;
    int64_t *block = (int64_t *)(void *)room, *chosen = block + most, own;
    float *x = (float *)(void *)(chosen + most), *kept = x + most;

    const int64_t count = att_pages_scores(&g, l, row, shared, kept + most, x, block, &own);
    const int64_t n = att_choose(x, count, 0, g.budget - (own >= 0), chosen, kept);
    l->n = 0;
    for (int64_t c = 0; c < n; c++) {
        const int64_t kb = block[chosen[c]];
        if (own >= 0 && own < kb) {
            att_pages_take(&g, l, row, own);
            own = -1;
        }
        att_pages_take(&g, l, row, kb);
    }
    if (own >= 0)
        att_pages_take(&g, l, row, own);
}

static att_picker picker(const att_problem *p, const att_value *params)
{
    const att_pages g = pages(params);
    const int64_t blocks = att_ceil_div(p->kv_len, g.side), dk = g.width * p->head_dim;
    const int64_t room = att_picked_floats(blocks + ATT_W, 6);

    return (att_picker){.prepare = att_pages_prepare,
                        .pick = att_pages_pick,
                        .arg = params,
                        .shared = att_picked_floats(blocks, dk),
                        .room = room < 0 ? room : room + dk + 2};
}

/* Besides the keys of the blocks kept a row reads the summaries. */
static inline att_status att_pages_cost(const att_kernel *self, const att_problem *p,
                                        const att_value *params, att_cost *out)
{
    const att_pages g = pages(params);
    const att_problem open = att_unhidden(p);
    const att_rules rules = att_rules_make(&open, ATT_KEEP_ALL);
    const double width = (double)g.width * (double)p->head_dim;
    double scored = 0, made = 0;
    int64_t most;

    (void)self;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            if (row.lo < row.hi)
                scored += (double)(att_ceil_div(row.hi, g.side) - row.lo / g.side);
        }
        made += (double)seq.kv_len * (double)p->heads_kv;
    }
    if (__builtin_mul_overflow(g.budget, g.side, &most))
        most = INT64_MAX;
    const att_status status = att_picked_cost(p, most, out);
    out->flops_executed += 2 * scored * (double)p->heads_q * width + made * width;
    out->state_bytes += (double)p->batch * (double)p->heads_kv * (double)p->kv_len /
                        (double)g.side * width * (double)sizeof(float);
    return status;
}

#endif
