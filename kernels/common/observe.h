/* SPDX-License-Identifier: Apache-2.0 */
/* Keys chosen by the attention of an observation window (SnapKV).
 *
 *   votes_j  = sum over the last `window` rows of the call and the group's query heads of p_rj
 *   pooled_j = votes_(j - pool/2) + .. + votes_(j + pool/2), of keys before the window alone
 *   kept     = the last `window` keys, and of those before them the budget - window of largest
 *              pooled votes (ties: the lower key first)
 *
 * p: a row's weights over all keys it sees, without a sink.  Each row is answered as if a prompt
 * ended with it.  Why a way: the zoo's wrong windows replace single steps.
 * O(S^2 Hq (Dk + window) + S budget Hq (Dk + Dv)); scratch O(window S) a KV head. */
#ifndef ATT_COMMON_OBSERVE_H
#define ATT_COMMON_OBSERVE_H

#include "common/choose.h"
#include "common/stream.h"

enum { ATT_OBSERVE_BUDGET, ATT_OBSERVE_WINDOW, ATT_OBSERVE_POOL }; /* of the parameters */

/* Rows of a parameter table, with these defaults: who votes, ... */
#define ATT_OBSERVE_VOTERS(window_, pool_)                                                         \
    {.name = "window",                                                                             \
     .type = ATT_PARAM_INT,                                                                        \
     .unit = "tokens",                                                                             \
     .fallback = window_,                                                                          \
     .domain = "1:4096",                                                                           \
     .levels = "1 4 16",                                                                           \
     .help = "rows that vote, and last keys that are always kept"},                                \
    {                                                                                              \
        .name = "pool", .type = ATT_PARAM_INT, .unit = "keys", .fallback = pool_,                  \
        .domain = "1:1023", .levels = "1 5",                                                       \
        .help = "votes summed around each key; even ones count as the next odd one"                \
    }

/* ... and how much is kept a row, before them. */
#define ATT_OBSERVE_PARAMS(budget_, window_, pool_)                                                \
    {.name = "budget",                                                                             \
     .type = ATT_PARAM_INT,                                                                        \
     .role = ATT_ROLE_BUDGET,                                                                      \
     .unit = "keys",                                                                               \
     .fallback = budget_,                                                                          \
     .domain = "1:1073741824",                                                                     \
     .levels = "1 8 256",                                                                          \
     .help = "keys kept a row, the window's among them"},                                          \
        ATT_OBSERVE_VOTERS(window_, pool_)

typedef struct att_observe_way {
    int64_t shift; /* of the pooled votes */
} att_observe_way;

/* Window, keys it keeps, and keys of the longest prefix, as counts that fit the problem. */
static inline int64_t att_observe_rows(const att_problem *p, const att_value *params)
{
    return att_max(1, att_min(params[ATT_OBSERVE_WINDOW].i, p->q_len));
}

/* The weights of all the group's heads of one row, added into votes[0..kv_len). */
static inline void att_observe_row(const att_stream *w, att_list *l, att_row *row, float *votes)
{
    int64_t first;
    const int64_t group = att_stream_heads(w, l, &first);

    memset(votes, 0, (size_t)w->p->kv_len * sizeof *votes);
    for (row->h = first; row->h < first + group; row->h++) {
        float top;
        for (l->n = 0; l->n < row->hi; l->n++)
            l->j[l->n] = l->n;
        att_list_scores(l, row);
        const float sum = att_list_softmax(l, &top);
        for (int64_t j = 0; j < row->hi; j++)
            votes[j] += top == -INFINITY ? NAN : l->x[j] / sum;
    }
}

/* Pooled votes of the keys before the window. */
static inline void att_observe_pool(const float *ring, int64_t rows, int64_t width, int64_t keys,
                                    int64_t pool, int64_t shift, float *votes, float *pooled)
{
    for (int64_t j = 0; j < keys; j++) {
        votes[j] = 0;
        for (int64_t r = 0; r < rows; r++)
            votes[j] += ring[r * width + j];
    }
    for (int64_t j = 0; j < keys; j++) {
        const int64_t from = att_max(0, j - pool / 2 + shift);
        const int64_t to = att_min(keys - 1, j + pool / 2 + shift);
        pooled[j] = 0;
        for (int64_t c = from; c <= to; c++)
            pooled[j] += votes[c];
    }
}

static inline void att_observe_rows_of(const att_stream *w, att_list *l, float *room)
{
    const att_observe_way *way = w->way;
    const att_value *v = w->params;
    const int64_t n = w->p->kv_len, rows = att_observe_rows(w->p, v);
    const int64_t budget = v[ATT_OBSERVE_BUDGET].i, near = att_min(budget, v[ATT_OBSERVE_WINDOW].i);
    int64_t first, *kept = (int64_t *)(void *)room;
    const int64_t group = att_stream_heads(w, l, &first);
    float *pooled = (float *)(void *)(kept + n + 1), *score = pooled + n + ATT_W;
    float *votes = score + n + ATT_W, *ring = votes + n + ATT_W;

    for (int64_t i = 0; i < l->seq->q_len; i++) {
        att_row row = att_row_of(&w->rules, l->seq, first, i);
        const int64_t keys = att_max(0, row.hi - near);
        att_observe_row(w, l, &row, ring + i % rows * n);
        att_observe_pool(ring, att_min(i + 1, rows), n, keys, v[ATT_OBSERVE_POOL].i, way->shift,
                         votes, pooled);
        int64_t count = att_choose(pooled, keys, 0, budget - near, kept, score);
        for (int64_t j = keys; j < row.hi; j++)
            kept[count++] = j;
        for (row.h = first; row.h < first + group; row.h++) {
            float top;
            memcpy(l->j, kept, (size_t)count * sizeof *kept);
            l->n = count;
            att_list_scores(l, &row);
            const float sum = att_list_softmax(l, &top);
            att_stream_answer(w, l, &row, top, sum);
        }
    }
}

static inline att_stream att_observe_stream(const att_problem *p, const att_value *params,
                                            const att_observe_way *way)
{
    int64_t floats;

    if (__builtin_mul_overflow(p->kv_len + ATT_W, att_observe_rows(p, params) + 5, &floats))
        floats = INT64_MAX / 2; /* no memory */
    return (att_stream){.p = p,
                        .params = params,
                        .way = way,
                        .rows = att_observe_rows_of,
                        .floats = att_add_clamped(floats, 16)};
}

#endif
