/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache that answers as a session (att_session_ops): each token's keys and values in a slot of
 * its sequence, copied on append; attention by the plain loop over the slots, as pages of one
 * token.
 *
 *    slot(j) = j mod slots;   held: positions from max(0, longest - slots) to the length
 *
 * Why: a flat cache has a slot for every token, a ring only for those that a window may still need;
 * all else is the same.  A way replaces single steps.  int8 rows carry a scale a token and head.
 * Bound: as the plain loop.  Memory B slots Hkv (Dk + Dv); an attend copies no float row. */
#ifndef ATT_COMMON_KV_H
#define ATT_COMMON_KV_H

#include <stdlib.h>

#include "common/plain.h"

typedef struct att_kv att_kv;

/* The steps; NULL = done right. */
typedef struct att_kv_way {
    int64_t (*slots)(const att_problem *p);                 /* a sequence; NULL: one a token */
    int64_t (*slot)(const att_kv *c, int64_t b, int64_t i); /* of the i-th held key, to read */
    bool (*move_scales)(att_kv *c, int64_t batch);          /* before the batch changes */
    bool (*trim)(att_kv *c, int64_t b, int64_t length);     /* before the length changes */
} att_kv_way;

struct att_kv {
    const att_kv_way *way;
    att_problem p; /* as opened; batch is today's */
    int64_t slots;
    unsigned char *row[2];     /* k, v: [B][slots][Hkv][width] */
    float *scale[2];           /* int8: [slots][B][Hkv] */
    int64_t *length, *longest; /* [B]; the longest since a sequence was last empty */
};

static inline att_kv *att_kv_of(const att_session *s)
{
    return (att_kv *)(uintptr_t)s;
}

static inline int64_t att_kv_width(const att_kv *c, int side)
{
    return side ? c->p.value_dim : c->p.head_dim;
}

/* Bytes of a sequence's rows. */
static inline size_t att_kv_bytes(const att_kv *c, int side)
{
    return (size_t)(c->slots * c->p.heads_kv * att_kv_width(c, side)) *
           att_dtype_size(c->p.k.dtype);
}

/* The first position still held. */
static inline int64_t att_kv_oldest(const att_kv *c, int64_t b)
{
    return att_max(0, c->longest[b] - c->slots);
}

static inline int64_t att_kv_held(const att_kv *c, int64_t b)
{
    return att_max(0, c->length[b] - att_kv_oldest(c, b));
}

static inline unsigned char *att_kv_row(const att_kv *c, int side, int64_t b, int64_t slot,
                                        int64_t h)
{
    return c->row[side] +
           (size_t)(((b * c->slots + slot) * c->p.heads_kv + h) * att_kv_width(c, side)) *
               att_dtype_size(c->p.k.dtype);
}

static inline float *att_kv_scale(const att_kv *c, int side, int64_t b, int64_t slot, int64_t h)
{
    return c->scale[side] + (slot * c->p.batch + b) * c->p.heads_kv + h;
}

static inline int64_t att_kv_slot(const att_kv *c, int64_t b, int64_t i)
{
    return (att_kv_oldest(c, b) + i) % c->slots;
}

/* ------------------------------------------------------------------- open, fork, close */

static inline bool att_kv_quantised(const att_problem *p)
{
    return p->k_quant.scheme == ATT_QUANT_AFFINE;
}

static inline bool att_kv_a_token(const att_quant *q)
{
    return q->scheme == ATT_QUANT_AFFINE && q->axis == 2 && q->group == 1 && !q->zeros.data;
}

/* Can a session be opened for p?  `supports` of a kernel that offers nothing else. */
static inline att_status att_kv_supports(const att_kernel *self, att_op op, const att_problem *p,
                                         const att_value *params, att_reason *why)
{
    const bool floats = p->k.dtype == p->q.dtype && !p->k_quant.scheme && !p->v_quant.scheme;
    const bool bytes = p->k.dtype == ATT_I8 && p->q.dtype == ATT_F32 &&
                       att_kv_a_token(&p->k_quant) && att_kv_a_token(&p->v_quant);
    int64_t slots;
    (void)self, (void)params;

    if (op != ATT_OP_SESSION)
        return att_refuse(why, ATT_UNSUPPORTED, "operator not offered");
    if (p->abi >> 16 != ATT_ABI_MAJOR || p->struct_size < sizeof(att_problem) || p->flags)
        return att_refuse(why, ATT_UNSUPPORTED, "problem of another ABI version, or flags");
    if (!att_is_float(p->q.dtype, ATT_HALVES_AND_SINGLE) || p->v.dtype != p->k.dtype ||
        !(floats || bytes) || !att_is_float(p->out.dtype, ATT_HALVES_AND_SINGLE))
        return att_refuse(why, ATT_UNSUPPORTED, "dtypes, or a quantisation but a scale a token");
    if (p->acc_dtype != ATT_F32 || p->causal != ATT_CAUSAL_BOTTOM_RIGHT || p->window_right > 0)
        return att_refuse(why, ATT_UNSUPPORTED, "an accumulator or causality of another kind");
    if (p->window_left < -1)
        return att_refuse(why, ATT_INVALID, "a window under -1");
    att_status status = att_accept_sizes(p, why);
    if (status == ATT_OK &&
        (__builtin_mul_overflow(att_max(1, p->batch), p->kv_len, &slots) || slots > INT32_MAX / 2))
        status = att_refuse(why, ATT_UNSUPPORTED, "more than 2^30 tokens");
    return status;
}

static inline void att_kv_close(att_session *session)
{
    att_kv *c = att_kv_of(session);

    for (int side = 0; c && side < 2; side++) {
        free(c->row[side]);
        free(c->scale[side]);
    }
    if (c) {
        free(c->length);
        free(c->longest);
    }
    free(c);
}

static inline void *att_kv_resized(void *old, size_t n, size_t size)
{
    return realloc(old, (n ? n : 1) * size);
}

/* Scales lie token by token: a batch of another size moves every one. */
static inline bool att_kv_move_scales(att_kv *c, int64_t batch)
{
    const int64_t heads = c->p.heads_kv, old = c->p.batch, kept = att_min(old, batch);

    for (int side = 0; side < 2; side++) {
        float *to = calloc((size_t)(c->slots * batch * heads) + 1, sizeof *to);
        if (!to)
            return false;
        for (int64_t slot = 0; slot < c->slots && kept > 0; slot++)
            memcpy(to + slot * batch * heads, c->scale[side] + slot * old * heads,
                   (size_t)(kept * heads) * sizeof *to);
        free(c->scale[side]);
        c->scale[side] = to;
    }
    return true;
}

/* Sequences at the end leave, or join empty. */
static inline att_status att_kv_resize(att_kv *c, int64_t batch)
{
    const att_kv_way *way = c->way;

    for (int side = 0; side < 2; side++) {
        unsigned char *row = att_kv_resized(c->row[side], (size_t)batch, att_kv_bytes(c, side));
        if (!row)
            return ATT_NO_MEMORY;
        c->row[side] = row;
    }
    int64_t *length = att_kv_resized(c->length, (size_t)batch, sizeof *length);
    c->length = length ? length : c->length;
    int64_t *longest = att_kv_resized(c->longest, (size_t)batch, sizeof *longest);
    c->longest = longest ? longest : c->longest;
    if (!length || !longest ||
        (att_kv_quantised(&c->p) &&
         !(way->move_scales ? way->move_scales : att_kv_move_scales)(c, batch)))
        return ATT_NO_MEMORY;
    for (int64_t b = c->p.batch; b < batch; b++) {
        c->length[b] = c->longest[b] = 0;
        for (int side = 0; side < 2; side++)
            memset(att_kv_row(c, side, b, 0, 0), 0, att_kv_bytes(c, side));
    }
    c->p.batch = batch;
    return ATT_OK;
}

/* For a kernel's open: p as `supports` accepted it. */
static inline att_status att_kv_open(const att_kv_way *way, const att_problem *p, att_session **out)
{
    att_kv *c = calloc(1, sizeof *c);

    if (!c)
        return ATT_NO_MEMORY;
    c->way = way;
    c->p = *p;
    c->p.batch = 0;
    c->slots = att_max(1, way->slots ? way->slots(p) : p->kv_len);
    att_status status = att_kv_resize(c, p->batch);
    if (status == ATT_OK)
        *out = (att_session *)c;
    else
        att_kv_close((att_session *)c);
    return status;
}

static inline att_status att_kv_fork(const att_session *session, att_session **out)
{
    const att_kv *from = att_kv_of(session);
    att_problem p = from->p;
    att_status status = att_kv_open(from->way, &p, out);

    if (status != ATT_OK)
        return status;
    att_kv *c = att_kv_of(*out);
    const size_t n = (size_t)p.batch, scales = (size_t)(c->slots * p.batch * p.heads_kv);
    for (int side = 0; side < 2; side++) {
        memcpy(c->row[side], from->row[side], n * att_kv_bytes(c, side));
        if (c->scale[side])
            memcpy(c->scale[side], from->scale[side], scales * sizeof(float));
    }
    memcpy(c->length, from->length, n * sizeof *c->length);
    memcpy(c->longest, from->longest, n * sizeof *c->longest);
    return ATT_OK;
}

#endif
