/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache of few bits as a session: keys quantised per channel over groups of tokens, values per
 * token over groups of channels, the recent tokens as they came.
 *
 *   x = lo + step code      step = (hi - lo) / (2^bits - 1), of the group's finite numbers
 *   keys:   tokens j < done, done the largest multiple of R up to the length; the rest in f32
 *   values: tokens j < done, done = length - R; the last R in f32
 *
 * A rollback into quantised keys turns the rest of their run back into f32 numbers, as they were
 * held; nothing gets its old digits back.  NaN is not kept once it is quantised.
 * Bound: exact on what `held` says.  A step costs O(length) to read. */
#ifndef ATT_COMMON_KIVI_H
#define ATT_COMMON_KIVI_H

#include <stdlib.h>

#include "common/kv_steps.h"

typedef struct att_kivi_way {
    int64_t (*done)(int64_t done); /* tokens that attend takes for quantised; NULL = as they are */
} att_kivi_way;

/* K (side 0) or V of one sequence. */
typedef struct att_kivi_side {
    int64_t done;        /* tokens quantised */
    unsigned char *code; /* [capacity][Hkv][width] of `bits` bits, rows of whole bytes */
    float *lo, *step;    /* K: [capacity / group][Hkv][width]; V: [capacity][Hkv][groups] */
    float *recent;       /* [R][Hkv][width], token j at j % R */
} att_kivi_side;

typedef struct att_kivi_seq {
    int64_t length;
    att_kivi_side side[2];
} att_kivi_seq;

typedef struct att_kivi {
    const att_kivi_way *way;
    att_problem p; /* as opened; batch is today's */
    int64_t bits, group, residual;
    att_kivi_seq *seq; /* [batch] */
} att_kivi;

static inline att_kivi *att_kivi_of(const att_session *s)
{
    return (att_kivi *)(uintptr_t)s;
}

static inline int64_t att_kivi_width(const att_kivi *c, int side)
{
    return side ? c->p.value_dim : c->p.head_dim;
}

static inline int64_t att_kivi_row_bytes(const att_kivi *c, int side)
{
    return att_ceil_div(att_kivi_width(c, side) * c->bits, 8);
}

/* Scales of one head: a token's (V), or those of a group of tokens (K). */
static inline int64_t att_kivi_scales(const att_kivi *c, int side)
{
    return side ? att_ceil_div(c->p.value_dim, c->group) : c->p.head_dim;
}

/* Where the scale of channel d of token j lies. */
static inline int64_t att_kivi_scale_at(const att_kivi *c, int side, int64_t j, int64_t h,
                                        int64_t d)
{
    const int64_t n = att_kivi_scales(c, side);
    return ((side ? j : j / c->group) * c->p.heads_kv + h) * n + (side ? d / c->group : d);
}

static inline float *att_kivi_recent(const att_kivi *c, const att_kivi_side *s, int side, int64_t j,
                                     int64_t h)
{
    return s->recent + (j % c->residual * c->p.heads_kv + h) * att_kivi_width(c, side);
}

/* ------------------------------------------------------------------------------- codes */

static inline unsigned att_kivi_get(const unsigned char *row, int64_t bits, int64_t d)
{
    unsigned code = 0;
    for (int64_t b = 0; b < bits; b++)
        code |= (unsigned)(row[(d * bits + b) / 8] >> (d * bits + b) % 8 & 1) << b;
    return code;
}

static inline void att_kivi_put(unsigned char *row, int64_t bits, int64_t d, unsigned code)
{
    for (int64_t b = 0; b < bits; b++) {
        const unsigned bit = 1u << (d * bits + b) % 8, at = row[(d * bits + b) / 8];
        row[(d * bits + b) / 8] = (unsigned char)(code >> b & 1 ? at | bit : at & ~bit);
    }
}

static inline unsigned char *att_kivi_row(const att_kivi *c, const att_kivi_side *s, int side,
                                          int64_t j, int64_t h)
{
    return s->code + (j * c->p.heads_kv + h) * att_kivi_row_bytes(c, side);
}

/* Quantises channels d0 .. d1 of tokens j0 .. j1 of a head together. */
static inline void att_kivi_together(const att_kivi *c, att_kivi_side *s, int side, int64_t h,
                                     int64_t j0, int64_t j1, int64_t d0, int64_t d1)
{
    const int64_t at = att_kivi_scale_at(c, side, j0, h, d0);
    const float last = (float)((1u << c->bits) - 1);
    float lo = INFINITY, hi = -INFINITY;

    for (int64_t j = j0; j < j1; j++)
        for (int64_t d = d0; d < d1; d++) {
            const float x = att_kivi_recent(c, s, side, j, h)[d];
            lo = isfinite(x) && x < lo ? x : lo;
            hi = isfinite(x) && x > hi ? x : hi;
        }
    lo = lo <= hi ? lo : 0.0f;
    s->lo[at] = lo;
    s->step[at] = hi > lo ? hi / last - lo / last : 0.0f;
    for (int64_t j = j0; j < j1; j++)
        for (int64_t d = d0; d < d1; d++) {
            const float level = (att_kivi_recent(c, s, side, j, h)[d] - lo) / s->step[at];
            const float code = s->step[at] > 0 && isfinite(level) ? rintf(level) : 0.0f;
            att_kivi_put(att_kivi_row(c, s, side, j, h), c->bits, d,
                         (unsigned)fmaxf(0.0f, fminf(last, code)));
        }
}

/* Tokens done .. to become quantised. */
static inline void att_kivi_quantise(const att_kivi *c, att_kivi_side *s, int side, int64_t to)
{
    const int64_t tokens = side ? 1 : c->group, channels = side ? c->group : 1;
    const int64_t width = att_kivi_width(c, side);

    for (int64_t j = s->done; j < to; j += tokens)
        for (int64_t h = 0; h < c->p.heads_kv; h++)
            for (int64_t d = 0; d < width; d += channels)
                att_kivi_together(c, s, side, h, j, att_min(j + tokens, to), d,
                                  att_min(d + channels, width));
    s->done = to;
}

/* What token j holds; `done`: how many are taken for quantised. */
static inline void att_kivi_read(const att_kivi *c, const att_kivi_side *s, int side, int64_t j,
                                 int64_t h, int64_t done, float *to)
{
    for (int64_t d = 0; d < att_kivi_width(c, side); d++) {
        const int64_t at = att_kivi_scale_at(c, side, j, h, d);
        to[d] = j >= done
                    ? att_kivi_recent(c, s, side, j, h)[d]
                    : s->lo[at] + s->step[at] * (float)att_kivi_get(att_kivi_row(c, s, side, j, h),
                                                                    c->bits, d);
    }
}

/* ------------------------------------------------------------------- open, fork, close */

static inline void att_kivi_clear(att_kivi_seq *q)
{
    for (int side = 0; side < 2; side++) {
        free(q->side[side].code);
        free(q->side[side].lo);
        free(q->side[side].step);
        free(q->side[side].recent);
    }
}

static inline void att_kivi_close(att_session *session)
{
    att_kivi *c = att_kivi_of(session);

    for (int64_t b = 0; c && b < c->p.batch; b++)
        att_kivi_clear(&c->seq[b]);
    if (c)
        free(c->seq);
    free(c);
}

/* Floats and bytes of each array of a side: codes, lo and step, recent. */
static inline void att_kivi_sizes(const att_kivi *c, int side, size_t n[3])
{
    const int64_t most = c->p.kv_len, heads = c->p.heads_kv;

    n[0] = (size_t)(most * heads * att_kivi_row_bytes(c, side));
    n[1] =
        (size_t)((side ? most : att_ceil_div(most, c->group)) * heads * att_kivi_scales(c, side)) *
        sizeof(float);
    n[2] = (size_t)(c->residual * heads * att_kivi_width(c, side)) * sizeof(float);
}

/* An empty sequence, or a copy of one. */
static inline bool att_kivi_make(const att_kivi *c, const att_kivi_seq *from, att_kivi_seq *q)
{
    bool made = true;

    *q = (att_kivi_seq){.length = from ? from->length : 0};
    for (int side = 0; side < 2; side++) {
        const att_kivi_side *f = from ? &from->side[side] : NULL;
        att_kivi_side *s = &q->side[side];
        size_t n[3];
        att_kivi_sizes(c, side, n);
        s->done = f ? f->done : 0;
        s->code = calloc(n[0] + 1, 1);
        s->lo = calloc(n[1] + 1, 1);
        s->step = calloc(n[1] + 1, 1);
        s->recent = calloc(n[2] + 1, 1);
        made = made && s->code && s->lo && s->step && s->recent;
        if (!made || !f)
            continue;
        memcpy(s->code, f->code, n[0]);
        memcpy(s->lo, f->lo, n[1]);
        memcpy(s->step, f->step, n[1]);
        memcpy(s->recent, f->recent, n[2]);
    }
    return made;
}

/* Sequences at the end leave, or join empty. */
static inline att_status att_kivi_resize(att_kivi *c, int64_t batch)
{
    while (c->p.batch > batch)
        att_kivi_clear(&c->seq[--c->p.batch]);
    att_kivi_seq *seq = realloc(c->seq, (size_t)(batch + 1) * sizeof *seq);
    if (!seq)
        return ATT_NO_MEMORY;
    c->seq = seq;
    while (c->p.batch < batch)
        if (!att_kivi_make(c, NULL, &c->seq[c->p.batch++]))
            return ATT_NO_MEMORY;
    return ATT_OK;
}

static inline att_status att_kivi_open(const att_kivi_way *way, const att_problem *p,
                                       const att_value *params, att_session **out)
{
    att_kivi *c = calloc(1, sizeof *c);

    if (!c)
        return ATT_NO_MEMORY;
    *c = (att_kivi){
        .way = way, .p = *p, .bits = params[0].i, .group = params[1].i, .residual = params[2].i};
    c->p.batch = 0;
    const att_status status = att_kivi_resize(c, p->batch);
    if (status == ATT_OK)
        *out = (att_session *)c;
    else
        att_kivi_close((att_session *)c);
    return status;
}

static inline att_status att_kivi_fork(const att_session *session, att_session **out)
{
    const att_kivi *from = att_kivi_of(session);
    att_kivi *c = calloc(1, sizeof *c);
    bool made = c != NULL;

    if (!made)
        return ATT_NO_MEMORY;
    *c = *from;
    c->p.batch = 0;
    c->seq = calloc((size_t)from->p.batch + 1, sizeof *c->seq);
    made = c->seq != NULL;
    while (made && c->p.batch < from->p.batch) {
        made = att_kivi_make(c, &from->seq[c->p.batch], &c->seq[c->p.batch]);
        c->p.batch++;
    }
    if (made)
        *out = (att_session *)c;
    else
        att_kivi_close((att_session *)c);
    return made ? ATT_OK : ATT_NO_MEMORY;
}

#endif
