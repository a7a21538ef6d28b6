/* SPDX-License-Identifier: Apache-2.0 */
/* Who may attend to whom: the rules of attn.h in the form that loops need.
 *
 *   allowed(i, j) = causal AND window AND mask AND bias != -inf AND j < length AND block mask
 *                   AND whatever pattern a sparse kernel adds (att_keep)
 * Why: every kernel needs the same rules, and each library that wrote them twice got one copy
 * wrong. Lengths, causality and windows leave one run of keys [lo, hi) a row, found in O(1) (with
 * given key positions they are tested a pair); the rest is tested a pair.  Positions saturate,
 * offsets are 64-bit, broadcast dimensions have their stride ignored. */
#ifndef ATT_COMMON_MASK_H
#define ATT_COMMON_MASK_H

#include <stdbool.h>

#include "attn.h"
#include "common/half.h"

/* One sequence of a problem: where its rows lie, and how long it really is. */
typedef struct att_seq {
    int64_t b;         /* of bias, mask, lengths and positions */
    int64_t at, kv_at; /* first index into q and out, k and v: b, or 0 where sequences are packed */
    int64_t q_at, k_at; /* first row of a packed sequence, else 0 */
    int64_t q_len, kv_len;
} att_seq;

/* What a sparse kernel keeps of the keys that the problem allows. */
typedef struct att_keep {
    int64_t first; /* keys j < first, whatever `left` says */
    int64_t left; /* and keys at most `left` positions before the query; -1 = all, -2 = no others */
    /* and only pairs for which this holds; NULL = all.  `position` is the query's. */
    bool (*pair)(const void *arg, int64_t h, int64_t i, int64_t position, int64_t j);
    /* and only blocks kb of block_k keys for which this holds; NULL = all */
    bool (*block)(const void *arg, int64_t h, int64_t position, int64_t kb);
    int64_t block_k;
    const void *arg;
} att_keep;

#define ATT_KEEP_ALL ((att_keep){.left = -1})

typedef struct att_rules {
    const att_problem *p;
    att_keep keep;
    float scale, cap;
    bool pairwise; /* logits or allowed keys need more than scale, lo, hi, head and band */
} att_rules;

/* One query row.  Keys left by ranges: lo <= j < hi and (j < head or j >= band). */
typedef struct att_row {
    int64_t h, i, position;
    int64_t lo, hi, head, band;
} att_row;

static inline int64_t att_add_clamped(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static inline int64_t att_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t att_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t att_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static inline int32_t att_i32_at(const att_tensor *t, int64_t i)
{
    return ((const int32_t *)t->data)[t->shape[3] == 1 ? 0 : i * t->stride[3]];
}

static inline int64_t att_i64_at(const att_tensor *t, int64_t b, int64_t i)
{
    const int64_t at = (t->shape[2] == 1 ? 0 : b * t->stride[2]) +
                       (t->shape[3] == 1 ? 0 : i * t->stride[3]);
    return ((const int64_t *)t->data)[at];
}

static inline float att_per_head(const att_tensor *t, int64_t h)
{
    return ((const float *)t->data)[t->shape[3] == 1 ? 0 : h * t->stride[3]];
}

/* Lengths outside their buffers are cut to them: a lying length never becomes a wild read. */
static inline att_seq att_seq_of(const att_problem *p, int64_t b)
{
    att_seq s = {.b = b, .at = b, .kv_at = b, .q_len = p->q_len, .kv_len = p->kv_len};
    if (p->cu_q.data) {
        const int64_t lo = att_max(0, att_min(att_i32_at(&p->cu_q, b), p->q.shape[2]));
        s.at = 0;
        s.q_at = lo;
        s.q_len = att_max(0, att_min(att_i32_at(&p->cu_q, b + 1), p->q.shape[2]) - lo);
    }
    if (p->cu_k.data) {
        const int64_t lo = att_max(0, att_min(att_i32_at(&p->cu_k, b), p->k.shape[2]));
        s.kv_at = 0;
        s.k_at = lo;
        s.kv_len = att_max(0, att_min(att_i32_at(&p->cu_k, b + 1), p->k.shape[2]) - lo);
    }
    s.q_len = att_min(s.q_len, p->q_len);
    s.kv_len = att_min(s.kv_len, p->kv_len);
    if (p->q_lengths.data)
        s.q_len = att_max(0, att_min(s.q_len, att_i32_at(&p->q_lengths, b)));
    if (p->kv_lengths.data)
        s.kv_len = att_max(0, att_min(s.kv_len, att_i32_at(&p->kv_lengths, b)));
    return s;
}

/* Without causality a window (or a slope) uses given positions, else bottom-right ones. */
static inline int64_t att_query_position(const att_problem *p, const att_seq *s, int64_t i)
{
    switch (p->causal) {
    case ATT_CAUSAL_TOP_LEFT:
        return i;
    case ATT_CAUSAL_BOTTOM_RIGHT:
        return i + s->kv_len - s->q_len;
    default:
        return p->q_positions.data ? att_i64_at(&p->q_positions, s->b, i)
                                   : i + s->kv_len - s->q_len;
    }
}

static inline int64_t att_key_position(const att_problem *p, const att_seq *s, int64_t j)
{
    return p->k_positions.data ? att_i64_at(&p->k_positions, s->b, j) : j;
}

/* Page of the block table that holds key j. */
static inline int64_t att_page_of(const att_problem *p, const att_seq *s, int64_t j)
{
    const att_tensor *t = &p->block_table;
    const int64_t at = (t->shape[2] == 1 ? 0 : s->b * t->stride[2]) +
                       j / p->page_size * t->stride[3];
    return ((const int32_t *)t->data)[at];
}

/* Offset of key j's row in t, which is k or v. */
static inline int64_t att_key_at(const att_problem *p, const att_tensor *t, const att_seq *s,
                                 int64_t kv_head, int64_t j)
{
    if (p->block_table.data)
        return att_tensor_at(t, att_page_of(p, s, j), kv_head, j % p->page_size, 0);
    return att_tensor_at(t, s->kv_at, kv_head, s->k_at + j, 0);
}

/* Do a sequence's rows, by cumulative or used lengths, lie within their buffer and `most`? */
static inline bool att_span_holds(const att_tensor *cu, const att_tensor *used, int64_t b,
                                  int64_t most, int64_t rows)
{
    int64_t n = most;
    if (cu->data) {
        const int64_t from = att_i32_at(cu, b), to = att_i32_at(cu, b + 1);
        n = to - from;
        if (from < 0 || (b == 0 && from != 0) || n < 0 || n > most || to > rows)
            return false;
    }
    return !used->data || (att_i32_at(used, b) >= 0 && att_i32_at(used, b) <= n);
}

/* Do lengths and page numbers keep to what they index?  Asked before anything is written: a kernel
 * answers a problem that lies with INVALID and touches nothing.  O(B + pages). */
static inline bool att_contents_hold(const att_problem *p)
{
    for (int64_t b = 0; b < p->batch; b++) {
        if (!att_span_holds(&p->cu_q, &p->q_lengths, b, p->q_len, p->q.shape[2]) ||
            !att_span_holds(&p->cu_k, &p->kv_lengths, b, p->kv_len, p->k.shape[2]))
            return false;
        const att_seq s = att_seq_of(p, b);
        for (int64_t j = 0; p->block_table.data && j < s.kv_len; j += p->page_size) {
            const int64_t page = att_page_of(p, &s, j);
            if (page < 0 || page >= p->k.shape[0] || page >= p->v.shape[0])
                return false;
        }
    }
    return true;
}

/* Offset of (b,h,i,j) in a tensor broadcast to it. */
static inline int64_t att_broadcast_at(const att_tensor *t, int64_t b, int64_t h, int64_t i,
                                       int64_t j)
{
    return (t->shape[0] == 1 ? 0 : b * t->stride[0]) + (t->shape[1] == 1 ? 0 : h * t->stride[1]) +
           (t->shape[2] == 1 ? 0 : i * t->stride[2]) + (t->shape[3] == 1 ? 0 : j * t->stride[3]);
}

static inline att_rules att_rules_make(const att_problem *p, att_keep keep)
{
    att_rules r = {.p = p, .keep = keep, .scale = (float)att_scale(p), .cap = (float)p->softcap};
    r.pairwise = r.cap > 0 || p->bias.data || p->mask.data || p->alibi_slopes.data ||
                 p->k_positions.data || p->block_mask.data || keep.pair || keep.block;
    return r;
}

static inline att_row att_row_of(const att_rules *r, const att_seq *s, int64_t h, int64_t i)
{
    const att_problem *p = r->p;
    att_row row = {.h = h, .i = i, .position = att_query_position(p, s, i), .hi = s->kv_len};

    if (!p->k_positions.data) { /* key position = j: each rule cuts the run */
        if (p->causal)
            row.hi = att_min(row.hi, att_add_clamped(row.position, 1));
        if (p->window_right >= 0)
            row.hi =
                att_min(row.hi, att_add_clamped(att_add_clamped(row.position, p->window_right), 1));
        if (p->window_left >= 0)
            row.lo = att_max(0, att_add_clamped(row.position, -p->window_left));
        if (r->keep.left >= 0)
            row.band = att_max(0, att_add_clamped(row.position, -r->keep.left));
        if (r->keep.left == -2)
            row.band = INT64_MAX;
    }
    row.hi = att_max(row.hi, 0);
    row.lo = att_min(row.lo, row.hi);
    row.band = att_max(row.lo, att_min(row.band, row.hi));
    row.head = att_max(row.lo, att_min(r->keep.first, row.hi));
    return row;
}

static inline bool att_row_in_range(const att_row *row, int64_t j)
{
    return j >= row->lo && j < row->hi && (j < row->head || j >= row->band);
}

/* The rules on given key positions. */
static inline bool att_position_allowed(const att_rules *r, const att_row *row, int64_t j,
                                        int64_t kp)
{
    const att_problem *p = r->p;
    if (p->causal && kp > row->position)
        return false;
    if (p->window_left >= 0 && kp < att_add_clamped(row->position, -p->window_left))
        return false;
    if (p->window_right >= 0 && kp > att_add_clamped(row->position, p->window_right))
        return false;
    if (r->keep.left == -1 || j < r->keep.first)
        return true;
    return r->keep.left >= 0 && kp >= att_add_clamped(row->position, -r->keep.left);
}

/* Does the problem's block mask open key block kb to the row? */
static inline bool att_mask_block(const att_problem *p, const att_seq *s, const att_row *row,
                                  int64_t kb)
{
    const int64_t at = att_broadcast_at(&p->block_mask, s->b, row->h, row->i / p->block_q, kb);
    return ((const uint8_t *)p->block_mask.data)[at] != 0;
}

/* Do the problem's block mask and the kernel's pattern of blocks leave key j? */
static inline bool att_block_allowed(const att_rules *r, const att_seq *s, const att_row *row,
                                     int64_t j)
{
    if (r->p->block_mask.data && !att_mask_block(r->p, s, row, j / r->p->block_k))
        return false;
    return !r->keep.block || r->keep.block(r->keep.arg, row->h, row->position, j / r->keep.block_k);
}

static inline bool att_pair_allowed(const att_rules *r, const att_seq *s, const att_row *row,
                                    int64_t j)
{
    const att_problem *p = r->p;

    if (!att_row_in_range(row, j))
        return false;
    if (!r->pairwise)
        return true;
    if (p->k_positions.data && !att_position_allowed(r, row, j, att_key_position(p, s, j)))
        return false;
    if (!att_block_allowed(r, s, row, j))
        return false;
    if (p->mask.data) {
        const int64_t at = att_broadcast_at(&p->mask, s->b, row->h, row->i, j);
        if (!((const uint8_t *)p->mask.data)[at])
            return false;
    }
    if (p->bias.data) {
        const int64_t at = att_broadcast_at(&p->bias, s->b, row->h, row->i, j);
        if (att_load(p->bias.data, p->bias.dtype, at) == -INFINITY)
            return false;
    }
    return !r->keep.pair || r->keep.pair(r->keep.arg, row->h, row->i, row->position, j);
}

/* Do ranges alone leave every one of the keys j0 .. j0 + n? */
static inline bool att_row_covers(const att_row *row, int64_t j0, int64_t n)
{
    return j0 >= row->lo && j0 + n <= row->hi && (j0 >= row->band || j0 + n <= row->head);
}

/* Is any pair of the row allowed?  For the rare row whose logits are all -inf. */
static inline bool att_row_any(const att_rules *r, const att_seq *s, const att_row *row)
{
    for (int64_t j = row->lo; j < row->hi; j++) {
        if (j == row->head && row->band > j)
            j = row->band;
        if (j < row->hi && att_pair_allowed(r, s, row, j))
            return true;
    }
    return false;
}

/* ---- raw dot products to logits, for keys j0 .. j0 + n of one row ---- */

static inline void att_logits_alibi(const att_rules *r, const att_seq *s, const att_row *row,
                                    int64_t j0, int64_t n, float *x)
{
    const att_problem *p = r->p;
    const float slope = att_per_head(&p->alibi_slopes, row->h);
    for (int64_t c = 0; c < n; c++) {
        const double apart = (double)row->position - (double)att_key_position(p, s, j0 + c);
        x[c] -= slope * (float)fabs(apart);
    }
}

static inline void att_logits_bias(const att_rules *r, const att_seq *s, const att_row *row,
                                   int64_t j0, int64_t n, float *x)
{
    const att_tensor *bias = &r->p->bias;
    const int64_t at = att_broadcast_at(bias, s->b, row->h, row->i, j0);
    const int64_t step = bias->shape[3] == 1 ? 0 : bias->stride[3];
    for (int64_t c = 0; c < n; c++) {
        const float add = att_load(bias->data, bias->dtype, at + c * step);
        x[c] = add == -INFINITY ? -INFINITY : x[c] + add; /* -inf hides a NaN score too */
    }
}

static inline void att_logits_mask(const att_rules *r, const att_seq *s, const att_row *row,
                                   int64_t j0, int64_t n, float *x)
{
    const att_tensor *mask = &r->p->mask;
    const uint8_t *at = (const uint8_t *)mask->data +
                        att_broadcast_at(mask, s->b, row->h, row->i, j0);
    const int64_t step = mask->shape[3] == 1 ? 0 : mask->stride[3];
    for (int64_t c = 0; c < n; c++)
        x[c] = at[c * step] ? x[c] : -INFINITY;
}

/* Blocks that the problem's mask or the kernel's pattern closes, a run of keys at a time. */
static inline void att_logits_blocks(const att_rules *r, const att_seq *s, const att_row *row,
                                     int64_t j0, int64_t n, float *x)
{
    int64_t end;
    for (int64_t c = 0; c < n; c = end) {
        const int64_t j = j0 + c;
        end = r->p->block_mask.data ? c + r->p->block_k - j % r->p->block_k : n;
        if (r->keep.block)
            end = att_min(end, c + r->keep.block_k - j % r->keep.block_k);
        end = att_min(end, n);
        if (!att_block_allowed(r, s, row, j))
            for (int64_t e = c; e < end; e++)
                x[e] = -INFINITY;
    }
}

/* Pairs that given key positions or the kernel's pattern of pairs leave out. */
static inline void att_logits_drop(const att_rules *r, const att_seq *s, const att_row *row,
                                   int64_t j0, int64_t n, float *x)
{
    const att_problem *p = r->p;
    for (int64_t c = 0; c < n; c++) {
        const int64_t j = j0 + c;
        if (!att_row_in_range(row, j))
            continue;
        if ((p->k_positions.data && !att_position_allowed(r, row, j, att_key_position(p, s, j))) ||
            (r->keep.pair && !r->keep.pair(r->keep.arg, row->h, row->i, row->position, j)))
            x[c] = -INFINITY;
    }
}

static inline void att_logits_cap(const att_rules *r, int64_t n, float *x)
{
    const att_vf cap = att_vf_set(r->cap);
    for (int64_t c = 0; c < n; c += ATT_W)
        att_vf_store(x + c, cap * att_vf_tanh(att_vf_load(x + c) / cap));
}

/* What the rules do to capped scores of keys j0 .. j0 + n. */
static inline void att_logits_rules(const att_rules *r, const att_seq *s, const att_row *row,
                                    int64_t j0, int64_t n, float *x)
{
    const att_problem *p = r->p;
    if (r->pairwise) {
        if (p->alibi_slopes.data)
            att_logits_alibi(r, s, row, j0, n, x);
        if (p->bias.data)
            att_logits_bias(r, s, row, j0, n, x);
        if (p->mask.data)
            att_logits_mask(r, s, row, j0, n, x);
        if (p->block_mask.data || r->keep.block)
            att_logits_blocks(r, s, row, j0, n, x);
        if (p->k_positions.data || r->keep.pair)
            att_logits_drop(r, s, row, j0, n, x);
    }
    if (!att_row_covers(row, j0, n))
        for (int64_t c = 0; c < n; c++)
            x[c] = att_row_in_range(row, j0 + c) ? x[c] : -INFINITY;
}

/* x[0..n): scale * q.k of keys j0.. on entry, logits on return, -inf where not allowed.  x has room
 * for n rounded up to ATT_W; what lies behind n is left undefined. */
static inline void att_logits(const att_rules *r, const att_seq *s, const att_row *row, int64_t j0,
                              int64_t n, float *x)
{
    if (r->cap > 0)
        att_logits_cap(r, n, x);
    att_logits_rules(r, s, row, j0, n, x);
}

/* The pairs the rules leave, as att_kernel.select reports them. */
static inline void att_rules_select(const att_rules *r, uint8_t *allowed)
{
    const att_problem *p = r->p;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq s = att_seq_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++) {
                uint8_t *to = allowed + ((b * p->heads_q + h) * p->q_len + i) * p->kv_len;
                if (p->kv_len > 0)
                    memset(to, 0, (size_t)p->kv_len);
                if (i >= s.q_len)
                    continue;
                const att_row row = att_row_of(r, &s, h, i);
                for (int64_t j = row.lo; j < row.hi; j++)
                    to[j] = att_pair_allowed(r, &s, &row, j);
            }
    }
}

#endif
