/* SPDX-License-Identifier: Apache-2.0 */
/* What costs are counted from: the pairs of a query row, and the rows of K and V that are touched.
 *
 * Why: a declared cost is held to what a call is seen to touch, so it is counted by the rules that
 * the call follows.  Lengths and positions are looked at; what mask, bias and block mask hide
 * counts as kept.  O(1) a row by ranges, else O(keys). */
#ifndef ATT_COMMON_COST_ROWS_H
#define ATT_COMMON_COST_ROWS_H

#include <stdlib.h>

#include "common/mask.h"

/* Do contents that a cost may not look at hide pairs? */
static inline bool att_hides(const att_problem *p)
{
    return p->mask.data || p->bias.data || p->block_mask.data;
}

/* The problem without what it hides: its costs are those of p. */
static inline att_problem att_unhidden(const att_problem *p)
{
    att_problem open = *p;

    open.mask = open.bias = open.block_mask = (att_tensor){0};
    return open;
}

/* Keys of a row by ranges alone. */
static inline int64_t att_row_count(const att_row *row)
{
    const int64_t gap = att_max(0, row->band - row->head);
    return att_max(0, row->hi - row->lo - gap);
}

/* Can pairs be counted by ranges? */
static inline bool att_ranged(const att_rules *r)
{
    return !r->p->k_positions.data && !r->keep.pair && !r->keep.block;
}

/* Keys of a row that the kernel's pattern of blocks leaves, a block at a time. */
static inline int64_t att_row_blocks(const att_rules *r, const att_row *row)
{
    const int64_t side = r->keep.block_k;
    int64_t pairs = 0;

    for (int64_t kb = row->lo / side; kb * side < row->hi; kb++) {
        const int64_t lo = att_max(row->lo, kb * side), hi = att_min(row->hi, (kb + 1) * side);
        const int64_t gap = att_max(0, att_min(hi, row->band) - att_max(lo, row->head));
        if (r->keep.block(r->keep.arg, row->h, row->position, kb))
            pairs += hi - lo - gap;
    }
    return pairs;
}

/* Keys that a row attends to; r: rules of a problem that hides nothing. */
static inline int64_t att_row_pairs(const att_rules *r, const att_seq *s, const att_row *row)
{
    int64_t pairs = 0;

    if (att_ranged(r))
        return att_row_count(row);
    if (!r->p->k_positions.data && !r->keep.pair)
        return att_row_blocks(r, row);
    for (int64_t j = row->lo; j < row->hi; j++)
        pairs += att_pair_allowed(r, s, row, j);
    return pairs;
}

/* Marks on the rows of one KV head of a sequence: int32 [n + 1], zeros. */
static inline void att_mark(int32_t *marks, int64_t from, int64_t to)
{
    if (from < to) {
        marks[from]++;
        marks[to]--;
    }
}

static inline void att_mark_row(int32_t *marks, const att_rules *r, const att_seq *s,
                                const att_row *row)
{
    if (att_ranged(r)) {
        att_mark(marks, row->lo, att_min(row->head, row->hi));
        att_mark(marks, att_max(row->band, row->head), row->hi);
        return;
    }
    for (int64_t j = row->lo; j < row->hi; j++)
        if (att_pair_allowed(r, s, row, j))
            att_mark(marks, j, j + 1);
}

/* Marked rows; clears the marks. */
static inline int64_t att_marked(int32_t *marks, int64_t n)
{
    int64_t count = 0, depth = 0;

    for (int64_t j = 0; j <= n; j++) {
        depth += marks[j];
        count += depth > 0;
        marks[j] = 0;
    }
    return count;
}

/* Zeroed marks for kv_len rows; NULL: no memory.  The caller frees them. */
static inline int32_t *att_marks(const att_problem *p)
{
    return calloc((size_t)p->kv_len + 1, sizeof(int32_t));
}

/* A run of keys. */
typedef struct att_run {
    int64_t lo, hi;
} att_run;

/* The least run that holds every key that a row of the sequence may reach. */
static inline att_run att_seq_reach(const att_rules *r, const att_seq *s)
{
    att_run all = {s->kv_len, 0};

    for (int64_t i = 0; i < s->q_len; i++) {
        const att_row row = att_row_of(r, s, 0, i);
        if (row.lo >= row.hi)
            continue;
        all.lo = att_min(all.lo, row.lo);
        all.hi = att_max(all.hi, row.hi);
    }
    return all.lo < all.hi ? all : (att_run){0, 0};
}

/* Keys that a recurrence takes in before the last row of a sequence has its answer. */
static inline int64_t att_seq_taken(const att_problem *p, const att_seq *s)
{
    int64_t taken = 0;

    for (int64_t i = 0; i < s->q_len; i++)
        taken = att_max(taken, p->causal ? att_min(s->kv_len, att_query_position(p, s, i) + 1)
                                         : s->kv_len);
    return taken;
}

/* Bytes of a row of K and of V together. */
static inline double att_row_bytes(const att_problem *p)
{
    return (double)att_dtype_size(p->k.dtype) * (double)p->head_dim +
           (double)att_dtype_size(p->v.dtype) * (double)p->value_dim;
}

/* Tokens of kv_len that the kernel's pattern leaves to a decode step. */
static inline int64_t att_keep_tokens(const att_problem *p, const att_keep *keep)
{
    const int64_t most = att_add_clamped(att_add_clamped(keep->left, 1), att_max(keep->first, 0));
    return keep->left >= 0 ? att_min(p->kv_len, most) : p->kv_len;
}

/* And those that the problem's own window leaves of them. */
static inline int64_t att_tokens_kept(const att_problem *p, const att_keep *keep)
{
    const int64_t kept = att_keep_tokens(p, keep);
    return p->causal && p->window_left >= 0 ? att_min(kept, att_add_clamped(p->window_left, 1))
                                            : kept;
}

/* Bytes of a cache of `tokens` a sequence. */
static inline double att_cache_bytes(const att_problem *p, int64_t tokens)
{
    return (double)p->batch * (double)p->heads_kv * (double)tokens * att_row_bytes(p);
}

#endif
