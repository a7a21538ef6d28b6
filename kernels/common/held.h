/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache that gives keys up, as a session (att_session_ops).
 *
 *   append  stores tokens; those whose queries can't come any more are admitted at once
 *   attend  row by row: the row's key is admitted, the row answered on what is held, its weights
 *           added to the keys' masses where it votes; then the cache is settled
 *
 * Why: what evicts differs only in who votes and what goes when; what goes is overwritten, so that
 * a key which is read after it went shows.
 * Bound: as plain f32 attention on the keys that `seen` reports.  Complexity: O(held (Dk + Dv)) a
 * query and head; memory: the rows held and those of a step, a KV head. */
#ifndef ATT_COMMON_HELD_H
#define ATT_COMMON_HELD_H

#include "common/kv.h"
#include "common/stream.h"

/* A key that is not held any more, and the first row of the last attend that didn't see it. */
typedef struct att_gone {
    int64_t j, row;
} att_gone;

/* One KV head of a sequence. */
typedef struct att_held_head {
    int64_t n, room;      /* keys admitted; rows that there is place for */
    int64_t *j;           /* [room] positions of the admitted, ascending */
    double *mass;         /* [room] weight that voters gave them; NaN once one is undefined */
    unsigned char *kv[2]; /* [room][Dk], [room][Dv]; behind the admitted rows those that wait */
    att_gone *gone;       /* since the last attend began */
    int64_t n_gone, room_gone;
} att_held_head;

typedef struct att_held_seq {
    int64_t length, waiting; /* tokens appended; the last ones of these are not admitted yet */
    int64_t asked;           /* the length at the last attend */
    bool settled;            /* way->settle was called */
    att_held_head *heads;
} att_held_seq;

typedef struct att_held att_held;

typedef struct att_held_way {
    /* The place of the key that goes for position t; -1: none. */
    int64_t (*victim)(const att_held *c, const att_held_head *h, int64_t t);
    /* Does row i of an attend add to the masses?  NULL: every row does. */
    bool (*votes)(const att_held *c, const att_held_seq *s, int64_t i);
    /* After a sequence's first attend, each head; x: 8 kv_len + 16 ATT_W floats.  NULL: nothing. */
    void (*settle)(const att_held *c, const att_held_seq *s, att_held_head *h, float *x);
} att_held_way;

struct att_held {
    const att_held_way *way;
    att_problem p;              /* as opened; batch is today's */
    int64_t budget, near, pool; /* the way's; budget and near fit the problem */
    int64_t most;               /* rows that a head holds at most */
    int64_t rows;               /* of the last attend */
    att_held_seq *seq;
};

static inline att_held *att_held_of(const att_session *s)
{
    return (att_held *)(uintptr_t)s;
}

static inline size_t att_held_bytes(const att_held *c, int side)
{
    return (size_t)(side ? c->p.value_dim : c->p.head_dim) * att_dtype_size(c->p.k.dtype);
}

/* --------------------------------------------------------------------------- memory */

/* Room for n rows; to fewer it never fails. */
static inline bool att_held_room(const att_held *c, att_held_head *h, int64_t n)
{
    void **at[] = {(void **)&h->j, (void **)&h->mass, (void **)&h->kv[0], (void **)&h->kv[1]};
    const size_t size[] = {sizeof *h->j, sizeof *h->mass, att_held_bytes(c, 0),
                           att_held_bytes(c, 1)};
    bool good = true;

    for (size_t i = 0; i < sizeof at / sizeof *at && good; i++) {
        void *moved = realloc(*at[i], ((size_t)n + 1) * size[i] + 1);
        *at[i] = moved ? moved : *at[i];
        good = moved != NULL || n < h->room;
    }
    h->room = good ? n : h->room;
    return good;
}

/* Room for `more` rows to come, and to note as many that go. */
static inline bool att_held_reserve(const att_held *c, const att_held_seq *s, int64_t more)
{
    for (int64_t g = 0; g < c->p.heads_kv; g++) {
        att_held_head *h = s->heads + g;
        const int64_t need = att_min(c->most, h->n + s->waiting + more);
        const int64_t notes = h->n_gone + h->n + s->waiting + more;
        if (need > h->room && !att_held_room(c, h, att_min(c->most, att_max(need, 2 * h->room))))
            return false;
        if (notes > h->room_gone) {
            att_gone *gone = realloc(h->gone, (size_t)notes * sizeof *gone);
            if (!gone)
                return false;
            h->gone = gone;
            h->room_gone = notes;
        }
    }
    return true;
}

static inline void att_held_drop(const att_held *c, att_held_seq *s)
{
    for (int64_t g = 0; s->heads && g < c->p.heads_kv; g++) {
        att_held_head *h = s->heads + g;
        void *owned[] = {h->j, h->mass, h->kv[0], h->kv[1], h->gone};
        for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
            free(owned[i]);
    }
    free(s->heads);
    *s = (att_held_seq){0};
}

static inline att_status att_held_resize(att_held *c, int64_t batch)
{
    for (int64_t b = batch; b < c->p.batch; b++)
        att_held_drop(c, c->seq + b);
    c->p.batch = att_min(c->p.batch, batch);
    att_held_seq *seq = realloc(c->seq, (size_t)(batch + 1) * sizeof *seq);
    if (!seq)
        return ATT_NO_MEMORY;
    c->seq = seq;
    for (; c->p.batch < batch; c->p.batch++) {
        seq[c->p.batch] =
            (att_held_seq){.heads = calloc((size_t)c->p.heads_kv + 1, sizeof(att_held_head))};
        if (!seq[c->p.batch].heads)
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static inline void att_held_close(att_session *session)
{
    att_held *c = att_held_of(session);

    for (int64_t b = 0; c && b < c->p.batch; b++)
        att_held_drop(c, c->seq + b);
    if (c)
        free(c->seq);
    free(c);
}

/* For a kernel's open: p as att_held_supports accepted it; most: rows that a head holds at most. */
static inline att_status att_held_open(const att_held_way *way, const att_problem *p,
                                       int64_t budget, int64_t near, int64_t pool, int64_t most,
                                       att_session **out)
{
    att_held *c = calloc(1, sizeof *c);

    if (!c)
        return ATT_NO_MEMORY;
    *c = (att_held){.way = way, .p = *p, .pool = pool, .most = most};
    c->p.batch = 0;
    c->budget = att_min(budget, att_max(1, p->kv_len));
    c->near = att_min(near, c->budget);
    const att_status status = att_held_resize(c, p->batch);
    if (status == ATT_OK)
        *out = (att_session *)c;
    else
        att_held_close((att_session *)c);
    return status;
}

static inline att_status att_held_supports(const att_kernel *self, att_op op, const att_problem *p,
                                           const att_value *params, att_reason *why)
{
    const att_status status = att_kv_supports(self, op, p, params, why);

    if (status == ATT_OK && (p->window_left >= 0 || p->k.dtype == ATT_I8))
        return att_refuse(why, ATT_UNSUPPORTED, "a window, or int8 rows");
    return status;
}

/* --------------------------------------------------------------------------- append */

/* Rows behind place `gone` move up by one, the waiting ones with them. */
static inline void att_held_remove(const att_held *c, const att_held_seq *s, att_held_head *h,
                                   int64_t gone, int64_t row)
{
    const size_t behind = (size_t)(h->n - gone - 1), rows = behind + (size_t)s->waiting;

    h->gone[h->n_gone++] = (att_gone){h->j[gone], row};
    memmove(h->j + gone, h->j + gone + 1, behind * sizeof *h->j);
    memmove(h->mass + gone, h->mass + gone + 1, behind * sizeof *h->mass);
    for (int side = 0; side < 2; side++) {
        const size_t bytes = att_held_bytes(c, side);
        memmove(h->kv[side] + (size_t)gone * bytes, h->kv[side] + (size_t)(gone + 1) * bytes,
                rows * bytes);
    }
    h->n--;
}

/* The first waiting token of a sequence enters its caches, before `row` of an attend. */
static inline void att_held_admit(const att_held *c, att_held_seq *s, int64_t row)
{
    const int64_t t = s->length - s->waiting;

    for (int64_t g = 0; g < c->p.heads_kv; g++) {
        att_held_head *h = s->heads + g;
        const int64_t gone = c->way->victim(c, h, t);
        if (gone >= 0)
            att_held_remove(c, s, h, gone, row);
        h->j[h->n] = t;
        h->mass[h->n++] = 0;
    }
    s->waiting--;
}

static inline bool att_held_appendable(const att_held *c, const att_problem *p)
{
    const att_tensor *t[2] = {&p->k, &p->v};
    bool yes = p->batch >= 0 && p->kv_len >= 0;

    for (int side = 0; side < 2 && yes; side++)
        yes = t[side]->dtype == c->p.k.dtype && att_given(t[side]) &&
              att_shaped(t[side], p->batch, c->p.heads_kv, p->kv_len,
                         side ? c->p.value_dim : c->p.head_dim);
    for (int64_t b = 0; b < p->batch && yes; b++) {
        const int64_t n = p->kv_lengths.data ? att_i32_at(&p->kv_lengths, b) : p->kv_len;
        const int64_t had = b < c->p.batch ? c->seq[b].length : 0;
        yes = n >= 0 && n <= p->kv_len && n <= c->p.kv_len - had;
    }
    return yes;
}

static inline void att_held_store(const att_held *c, att_held_seq *s, const att_problem *p,
                                  int64_t b, int64_t i)
{
    if (s->waiting == att_max(1, c->p.q_len))
        att_held_admit(c, s, c->rows);
    for (int64_t g = 0; g < c->p.heads_kv; g++)
        for (int side = 0; side < 2; side++) {
            const att_tensor *t = side ? &p->v : &p->k;
            const size_t size = att_dtype_size(t->dtype), bytes = att_held_bytes(c, side);
            unsigned char *to = s->heads[g].kv[side] + (size_t)(s->heads[g].n + s->waiting) * bytes;
            for (int64_t d = 0; d < t->shape[3]; d++)
                memcpy(to + (size_t)d * size,
                       (const unsigned char *)t->data +
                           att_tensor_at(t, b, g, i, d) * (int64_t)size,
                       size);
        }
    s->waiting++;
    s->length++;
}

static inline att_status att_held_append(att_session *session, const att_problem *p)
{
    att_held *c = att_held_of(session);

    if (!att_held_appendable(c, p))
        return ATT_INVALID;
    att_status status = p->batch == c->p.batch ? ATT_OK : att_held_resize(c, p->batch);
    for (int64_t b = 0; b < p->batch && status == ATT_OK; b++)
        if (!att_held_reserve(c, c->seq + b, p->kv_len))
            status = ATT_NO_MEMORY;
    for (int64_t b = 0; b < p->batch && status == ATT_OK; b++) {
        const int64_t n = p->kv_lengths.data ? att_i32_at(&p->kv_lengths, b) : p->kv_len;
        for (int64_t i = 0; i < n; i++)
            att_held_store(c, c->seq + b, p, b, i);
    }
    return status;
}

/* --------------------------------------------------------------------------- attend */

/* One query head over the first n admitted keys; its weights are added to mass where there is one.
 */
static inline void att_held_answer(const att_held *c, const att_problem *p, const att_seq *seq,
                                   const att_row *row, const att_held_head *h, int64_t n,
                                   double *mass, float *x)
{
    const int64_t dk = p->head_dim, dv = p->value_dim, padded = att_round_up(n, ATT_W);
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    float *q = x + padded + ATT_W, *one = q + dk, *o = one + att_max(dk, dv), top = -INFINITY;
    float sum = 0;

    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, seq->at, row->h, row->i, 0),
                 p->q.stride[3], dk, q);
    for (int64_t c0 = 0; c0 < n; c0++) {
        att_load_row(h->kv[0], c->p.k.dtype, c0 * dk, 1, dk, one);
        x[c0] = att_dot(q, one, dk) * rules.scale;
    }
    if (rules.cap > 0)
        att_logits_cap(&rules, n, x);
    for (int64_t c0 = n; c0 < padded; c0++)
        x[c0] = -INFINITY;
    if (n) {
        top = att_softmax_top(top, x, padded);
        sum = att_softmax_weights(top, x, padded);
    }
    memset(o, 0, (size_t)dv * sizeof *o);
    for (int64_t c0 = 0; c0 < n; c0++) {
        att_load_row(h->kv[1], c->p.k.dtype, c0 * dv, 1, dv, one);
        att_axpy(x[c0], one, dv, o);
        if (mass)
            mass[c0] += top == -INFINITY ? NAN : (double)x[c0] / (double)sum;
    }
    att_softmax_finish(p, seq, row, n == 0, top, sum, o);
}

static inline void att_held_attend_one(const att_held *c, const att_problem *p, int64_t b, float *x)
{
    att_held_seq *s = c->seq + b;
    const int64_t group = p->heads_q / p->heads_kv;
    const att_seq seq = {.b = b, .at = b, .kv_at = b, .q_len = p->q_len, .kv_len = s->length};

    for (int64_t i = 0; i < p->q_len; i++) {
        const int64_t t = s->length - p->q_len + i;
        const bool votes = !c->way->votes || c->way->votes(c, s, i);
        while (s->waiting && s->length - s->waiting <= t)
            att_held_admit(c, s, i);
        for (int64_t e = 0; e < p->heads_q; e++) {
            const att_held_head *h = s->heads + e / group;
            int64_t n = 0;
            while (n < h->n && h->j[n] <= t)
                n++;
            const att_row row = {.h = e, .i = i, .position = t, .hi = n};
            att_held_answer(c, p, &seq, &row, h, n, votes ? h->mass : NULL, x);
        }
    }
    for (int64_t g = 0; c->way->settle && !s->settled && p->q_len && g < p->heads_kv; g++)
        c->way->settle(c, s, s->heads + g, x);
    s->settled |= p->q_len > 0;
}

static inline bool att_held_askable(const att_held *c, const att_problem *p)
{
    return p->batch == c->p.batch && p->heads_q == c->p.heads_q && p->heads_kv == c->p.heads_kv &&
           p->head_dim == c->p.head_dim && p->value_dim == c->p.value_dim && p->q_len >= 0 &&
           p->q_len <= c->p.q_len && p->q.dtype == c->p.q.dtype && p->causal == c->p.causal &&
           p->window_left == c->p.window_left && p->heads_kv > 0 &&
           att_shaped(&p->q, p->batch, p->heads_q, p->q_len, p->head_dim) &&
           att_shaped(&p->out, p->batch, p->heads_q, p->q_len, p->value_dim) && att_given(&p->q) &&
           att_given(&p->out);
}

static inline att_status att_held_attend(att_session *session, const att_problem *p)
{
    att_held *c = att_held_of(session);

    if (p->mask.data || p->bias.data || p->block_mask.data || p->q_positions.data ||
        p->k_positions.data || p->q_lengths.data || p->cu_q.data || p->alibi_slopes.data)
        return ATT_UNSUPPORTED;
    if (!att_held_askable(c, p))
        return ATT_INVALID;
    for (int64_t b = 0; b < p->batch; b++)
        if (!att_held_reserve(c, c->seq + b, 0))
            return ATT_NO_MEMORY;
    const int64_t keys = c->way->settle ? 8 * c->p.kv_len : c->most;
    const int64_t floats = keys + 16 * ATT_W + 2 * (p->head_dim + p->value_dim);
    float *x = malloc((size_t)floats * sizeof *x);
    if (!x)
        return ATT_NO_MEMORY;
    c->rows = p->q_len;
    for (int64_t b = 0; b < p->batch; b++) {
        for (int64_t g = 0; g < p->heads_kv; g++)
            c->seq[b].heads[g].n_gone = 0;
        c->seq[b].asked = c->seq[b].length;
        att_held_attend_one(c, p, b, x);
    }
    free(x);
    return ATT_OK;
}

/* What is held, and what went since, where a row stood behind it. */
static inline att_status att_held_seen(const att_session *session, uint8_t *allowed)
{
    const att_held *c = att_held_of(session);
    const int64_t group = c->p.heads_q / c->p.heads_kv;
    int64_t most = 0;

    for (int64_t b = 0; b < c->p.batch; b++)
        most = att_max(most, c->seq[b].length);
    for (int64_t n = 0; n < c->p.batch * c->p.heads_q * c->rows; n++) {
        const int64_t b = n / c->rows / c->p.heads_q, h = n / c->rows % c->p.heads_q;
        const int64_t i = n % c->rows, t = c->seq[b].asked - c->rows + i;
        const att_held_head *head = c->seq[b].heads + h / group;
        memset(allowed + n * most, 0, (size_t)most);
        for (int64_t e = 0; e < head->n && head->j[e] <= t; e++)
            allowed[n * most + head->j[e]] = 1;
        for (int64_t e = 0; e < head->n_gone; e++)
            if (i < head->gone[e].row && head->gone[e].j <= t)
                allowed[n * most + head->gone[e].j] = 1;
    }
    return ATT_OK;
}

/* What was evicted is gone: only to nothing. */
static inline att_status att_held_rollback(att_session *session, int64_t length)
{
    att_held *c = att_held_of(session);
    bool any = false;

    for (int64_t b = 0; b < c->p.batch; b++)
        any |= c->seq[b].length > length;
    if (length < 0)
        return ATT_INVALID;
    if (any && length > 0)
        return ATT_UNSUPPORTED;
    for (int64_t b = 0; any && b < c->p.batch; b++) {
        for (int64_t g = 0; g < c->p.heads_kv; g++)
            c->seq[b].heads[g].n = c->seq[b].heads[g].n_gone = 0;
        c->seq[b].length = c->seq[b].waiting = c->seq[b].asked = 0;
        c->seq[b].settled = false;
    }
    return ATT_OK;
}

#endif
