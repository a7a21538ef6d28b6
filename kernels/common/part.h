/* SPDX-License-Identifier: Apache-2.0 */
/* Partial softmax attention: what a row makes of some of its keys, kept so that more keys can be
 * added and two partials of one row merged by their log-sum-exps.
 *
 *   (m, l, o): m = max x_j     l = sum e^(x_j - m)     o = sum e^(x_j - m) v_j
 *   merge:     m = max(m1, m2)   l = l1 e^(m1-m) + l2 e^(m2-m)   o likewise
 *
 * Why: a shared prefix and ring attention differ in who meets which keys when, and in nothing else.
 * A tile of keys and values is read once for all rows that meet it, and not at all if none does.
 * Bound: f32 throughout; one rescaling a tile and one a merge. */
#ifndef ATT_COMMON_PART_H
#define ATT_COMMON_PART_H

#include "common/rows.h"

#define ATT_PART_KEYS  32
#define ATT_PART_SLOTS 32

/* A problem's partials in work: two of each row, and a tile of keys for each slot. */
typedef struct att_parts {
    const att_problem *p;
    att_rules rules;
    int64_t floats; /* of a partial: o [Dv], m, l */
    int64_t rows, slots, slot_floats;
    float *part, *room;
} att_parts;

/* Some rows of one sequence, of all query heads of one KV head: i0 <= i < i1. */
typedef struct att_part_rows {
    att_seq seq;
    int64_t kv_head, i0, i1;
} att_part_rows;

/* Sizes; false on overflow. */
static inline bool att_parts_layout(const att_problem *p, att_parts *w, int64_t *bytes)
{
    int64_t total;

    *w = (att_parts){.p = p, .rules = att_rules_make(p, ATT_KEEP_ALL)};
    w->floats = p->value_dim + 2;
    w->slots = ATT_PART_SLOTS;
    w->slot_floats = ATT_PART_KEYS * (p->head_dim + p->value_dim + 1) + p->head_dim;
    return !__builtin_mul_overflow(p->batch * p->heads_q, p->q_len, &w->rows) &&
           !__builtin_mul_overflow(w->rows, 2 * w->floats, &total) &&
           !__builtin_add_overflow(total, w->slots * w->slot_floats, &total) &&
           !__builtin_mul_overflow(total, (int64_t)sizeof(float), bytes);
}

static inline att_status att_parts_plan(const att_problem *p, att_plan *out)
{
    att_parts w;
    int64_t bytes;

    if (!att_parts_layout(p, &w, &bytes))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)bytes;
    return ATT_OK;
}

static inline att_status att_parts_open(const att_problem *p, const att_scratch *s, att_parts *w)
{
    int64_t bytes;

    if (!att_parts_layout(p, w, &bytes) || s->bytes < (size_t)bytes)
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w->part = s->data;
    w->room = w->part + 2 * w->rows * w->floats;
    return ATT_OK;
}

/* The first (side 0) or second partial of a row. */
static inline float *att_part_at(const att_parts *w, int side, int64_t b, int64_t h, int64_t i)
{
    const int64_t row = (b * w->p->heads_q + h) * w->p->q_len + i;
    return w->part + (2 * row + side) * w->floats;
}

static inline void att_part_clear(const att_parts *w, const att_part_rows *r, int side)
{
    const int64_t fold = w->p->heads_q / w->p->heads_kv, dv = w->p->value_dim;

    for (int64_t h = r->kv_head * fold; h < (r->kv_head + 1) * fold; h++)
        for (int64_t i = r->i0; i < r->i1; i++) {
            float *at = att_part_at(w, side, r->seq.b, h, i);
            memset(at, 0, (size_t)w->floats * sizeof *at);
            at[dv] = -INFINITY;
        }
}

/* One row over the tile of keys j0 .. j0 + n in k and v. */
static inline void att_part_row(const att_parts *w, const att_seq *seq, const att_row *row,
                                int64_t j0, int64_t n, const float *q, const float *k,
                                const float *v, float *x, float *part)
{
    const int64_t dk = w->p->head_dim, dv = w->p->value_dim;
    const int64_t padded = att_ceil_div(n, ATT_W) * ATT_W;
    const float top = part[dv];
    bool seen[ATT_PART_KEYS];

    for (int64_t c = 0; c < n; c++)
        x[c] = att_dot(q, k + c * dk, dk) * w->rules.scale;
    att_logits(&w->rules, seq, row, j0, n, x);
    for (int64_t c = 0; c < n; c++)
        seen[c] = x[c] != -INFINITY || att_pair_allowed(&w->rules, seq, row, j0 + c);
    for (int64_t c = n; c < padded; c++)
        x[c] = -INFINITY;
    const float next = att_softmax_top(top, x, padded);
    const float keep = next == top ? 1.0f : expf(top - next);
    part[dv + 1] = part[dv + 1] * keep + att_softmax_weights(next, x, padded);
    part[dv] = next;
    for (int64_t d = 0; keep != 1.0f && d < dv; d++)
        part[d] *= keep;
    for (int64_t c = 0; c < n; c++)
        if (seen[c])
            att_axpy(x[c], v + c * dv, dv, part);
}

/* Rows r over the tile of keys j0 .. j0 + n, n <= ATT_PART_KEYS, which is read when the first row
 * meets it (*read).  side: into which partials. */
static inline void att_part_tile(const att_parts *w, const att_part_rows *r, int side, int64_t slot,
                                 int64_t j0, int64_t n, bool *read)
{
    const att_problem *p = w->p;
    const int64_t dk = p->head_dim, dv = p->value_dim, fold = p->heads_q / p->heads_kv;
    float *k = w->room + slot * w->slot_floats, *v = k + ATT_PART_KEYS * dk;
    float *x = v + ATT_PART_KEYS * dv, *room = x + ATT_PART_KEYS;

    for (int64_t h = r->kv_head * fold; h < (r->kv_head + 1) * fold; h++)
        for (int64_t i = r->i0; i < r->i1; i++) {
            const att_row row = att_row_of(&w->rules, &r->seq, h, i);
            if (row.lo >= j0 + n || row.hi <= j0)
                continue;
            for (int64_t c = 0; !*read && c < n; c++) {
                att_load_row(p->k.data, p->k.dtype,
                             att_key_at(p, &p->k, &r->seq, r->kv_head, j0 + c), p->k.stride[3], dk,
                             k + c * dk);
                att_load_row(p->v.data, p->v.dtype,
                             att_key_at(p, &p->v, &r->seq, r->kv_head, j0 + c), p->v.stride[3], dv,
                             v + c * dv);
            }
            *read = true;
            const int64_t at = att_tensor_at(&p->q, r->seq.at, h, r->seq.q_at + i, 0);
            att_part_row(w, &r->seq, &row, j0, n, att_row_floats(&p->q, at, dk, room), k, v, x,
                         att_part_at(w, side, r->seq.b, h, i));
        }
}

/* The least run that holds every key that rows i0 .. i1 may reach. */
static inline att_run att_part_reach(const att_rules *rules, const att_seq *s, int64_t i0,
                                     int64_t i1)
{
    att_run all = {s->kv_len, 0};

    for (int64_t i = i0; i < i1; i++) {
        const att_row row = att_row_of(rules, s, 0, i);
        if (row.lo < row.hi)
            all = (att_run){att_min(all.lo, row.lo), att_max(all.hi, row.hi)};
    }
    return all;
}

/* Marks the tiles of keys from .. to that att_part_span reads for rows i0 .. i1; how many keys. */
static inline int64_t att_part_mark(const att_rules *rules, const att_seq *s, int64_t i0,
                                    int64_t i1, int64_t from, int64_t to, int32_t *marks)
{
    const att_run reach = att_part_reach(rules, s, i0, i1);
    const int64_t last = att_min(to, reach.hi);
    int64_t keys = 0;

    for (int64_t j = att_max(from, reach.lo); j < last; j += ATT_PART_KEYS) {
        const int64_t end = att_min(last, j + ATT_PART_KEYS);
        bool met = false;
        for (int64_t i = i0; i < i1 && !met; i++) {
            const att_row row = att_row_of(rules, s, 0, i);
            met = row.lo < end && row.hi > j;
        }
        att_mark(marks, j, met ? end : j);
        keys += met ? end - j : 0;
    }
    return keys;
}

/* Rows r over keys from .. to. */
static inline void att_part_span(const att_parts *w, const att_part_rows *r, int side, int64_t slot,
                                 int64_t from, int64_t to)
{
    const att_run reach = att_part_reach(&w->rules, &r->seq, r->i0, r->i1);
    const int64_t last = att_min(to, reach.hi);

    for (int64_t j = att_max(from, reach.lo); j < last; j += ATT_PART_KEYS) {
        bool read = false;
        att_part_tile(w, r, side, slot, j, att_min(ATT_PART_KEYS, last - j), &read);
    }
}

/* The second partial of each row into the first.  One that holds nothing weighs nothing. */
static inline void att_part_merge(const att_parts *w, const att_part_rows *r)
{
    const int64_t fold = w->p->heads_q / w->p->heads_kv, dv = w->p->value_dim;

    for (int64_t h = r->kv_head * fold; h < (r->kv_head + 1) * fold; h++)
        for (int64_t i = r->i0; i < r->i1; i++) {
            float *a = att_part_at(w, 0, r->seq.b, h, i);
            const float *b = att_part_at(w, 1, r->seq.b, h, i);
            const float top = b[dv] > a[dv] || isnan(b[dv]) ? b[dv] : a[dv];
            const float wa = a[dv] == top ? 1.0f : expf(a[dv] - top);
            const float wb = b[dv] == top ? 1.0f : expf(b[dv] - top);
            if (b[dv] == -INFINITY)
                continue;
            for (int64_t d = 0; d < dv; d++)
                a[d] = wa * a[d] + wb * b[d];
            a[dv + 1] = wa * a[dv + 1] + wb * b[dv + 1];
            a[dv] = top;
        }
}

/* The first partials become the rows' results. */
static inline void att_part_finish(const att_parts *w, const att_part_rows *r)
{
    const int64_t fold = w->p->heads_q / w->p->heads_kv, dv = w->p->value_dim;

    for (int64_t h = r->kv_head * fold; h < (r->kv_head + 1) * fold; h++)
        for (int64_t i = r->i0; i < r->i1; i++) {
            const att_row row = att_row_of(&w->rules, &r->seq, h, i);
            float *at = att_part_at(w, 0, r->seq.b, h, i);
            const bool empty = at[dv] == -INFINITY && !att_row_any(&w->rules, &r->seq, &row);
            att_softmax_finish(w->p, &r->seq, &row, empty, at[dv], at[dv + 1], at);
        }
}

#endif
