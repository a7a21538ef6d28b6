/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a session on a cache of few bits (common/kivi.h): append, attend, rollback, held. */
#ifndef ATT_COMMON_KIVI_STEPS_H
#define ATT_COMMON_KIVI_STEPS_H

#include "common/kivi.h"

static inline void att_kivi_store(const att_kivi *c, att_kivi_seq *q, const att_problem *p,
                                  int64_t b, int64_t i)
{
    for (int side = 0; side < 2; side++) {
        att_kivi_side *s = &q->side[side];
        const att_tensor *t = side ? &p->v : &p->k;
        if (q->length - s->done == c->residual) /* values: the oldest recent one makes room */
            att_kivi_quantise(c, s, side, side ? s->done + 1 : q->length);
        for (int64_t h = 0; h < c->p.heads_kv; h++)
            att_load_row(t->data, t->dtype, att_tensor_at(t, b, h, i, 0), t->stride[3],
                         att_kivi_width(c, side), att_kivi_recent(c, s, side, q->length, h));
    }
    q->length++;
    if (q->length - q->side[0].done == c->residual)
        att_kivi_quantise(c, &q->side[0], 0, q->length);
}

static inline att_status att_kivi_append(att_session *session, const att_problem *p)
{
    att_kivi *c = att_kivi_of(session);
    const att_tensor *t[2] = {&p->k, &p->v};
    bool yes = p->batch >= 0 && p->kv_len >= 0;

    for (int side = 0; side < 2 && yes; side++)
        yes = t[side]->dtype == c->p.k.dtype && att_given(t[side]) &&
              att_shaped(t[side], p->batch, c->p.heads_kv, p->kv_len, att_kivi_width(c, side));
    for (int64_t b = 0; b < p->batch && yes; b++) {
        const int64_t n = att_kv_taken(p, b), had = b < c->p.batch ? c->seq[b].length : 0;
        yes = n >= 0 && n <= p->kv_len && n <= c->p.kv_len - had;
    }
    if (!yes)
        return ATT_INVALID;
    const att_status status = p->batch == c->p.batch ? ATT_OK : att_kivi_resize(c, p->batch);
    for (int64_t b = 0; b < p->batch && status == ATT_OK; b++)
        for (int64_t i = 0; i < att_kv_taken(p, b); i++)
            att_kivi_store(c, &c->seq[b], p, b, i);
    return status;
}

/* All that is held into k and v [B,Hkv,most,D]. */
static inline void att_kivi_fill(const att_kivi *c, const att_kivi_way *way, const att_tensor *k,
                                 const att_tensor *v)
{
    for (int64_t b = 0; b < c->p.batch; b++)
        for (int side = 0; side < 2; side++) {
            const att_kivi_side *s = &c->seq[b].side[side];
            const att_tensor *t = side ? v : k;
            const int64_t done = way->done ? way->done(s->done) : s->done;
            for (int64_t j = 0; j < c->seq[b].length; j++)
                for (int64_t h = 0; h < c->p.heads_kv; h++)
                    att_kivi_read(c, s, side, j, h, done,
                                  (float *)t->data + att_tensor_at(t, b, h, j, 0));
        }
}

static inline att_status att_kivi_held(const att_session *session, const att_problem *p)
{
    static const att_kivi_way right = {0};
    const att_kivi *c = att_kivi_of(session);
    const att_tensor *t[2] = {&p->k, &p->v};

    for (int side = 0; side < 2; side++)
        if (t[side]->dtype != ATT_F32 || t[side]->stride[3] != 1 ||
            !att_shaped(t[side], c->p.batch, c->p.heads_kv, p->kv_len, att_kivi_width(c, side)))
            return ATT_INVALID;
    att_kivi_fill(c, &right, &p->k, &p->v);
    return ATT_OK;
}

static inline bool att_kivi_askable(const att_kivi *c, const att_problem *p)
{
    return p->batch == c->p.batch && p->heads_q == c->p.heads_q && p->heads_kv == c->p.heads_kv &&
           p->head_dim == c->p.head_dim && p->value_dim == c->p.value_dim && p->q_len >= 0 &&
           p->q.dtype == c->p.q.dtype && p->causal == c->p.causal &&
           p->window_left == c->p.window_left && !p->mask.data && !p->bias.data &&
           !p->block_mask.data && !p->q_positions.data && !p->k_positions.data &&
           !p->q_lengths.data && !p->cu_q.data;
}

static inline att_status att_kivi_attend(att_session *session, const att_problem *p)
{
    static const att_plain way = {0};
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    const att_kivi *c = att_kivi_of(session);
    const int64_t B = c->p.batch, heads = c->p.heads_kv;
    att_problem own = *p;
    att_plan need = {0};

    if (!att_kivi_askable(c, p))
        return ATT_INVALID;
    own.kv_len = 0;
    for (int64_t b = 0; b < B; b++)
        own.kv_len = att_max(own.kv_len, c->seq[b].length);
    int32_t *lengths = malloc((size_t)(B + 1) * sizeof *lengths);
    float *k = calloc((size_t)(B * heads * own.kv_len * p->head_dim) + 1, sizeof *k);
    float *v = calloc((size_t)(B * heads * own.kv_len * p->value_dim) + 1, sizeof *v);
    att_status status = lengths && k && v ? att_plain_plan(&own, &need) : ATT_NO_MEMORY;
    void *room = status == ATT_OK ? malloc(need.scratch_bytes) : NULL;
    if (room) {
        const att_scratch s = {.data = room, .bytes = need.scratch_bytes};
        for (int64_t b = 0; b < B; b++)
            lengths[b] = (int32_t)c->seq[b].length;
        own.k = att_tensor_dense(k, ATT_F32, B, heads, own.kv_len, p->head_dim);
        own.v = att_tensor_dense(v, ATT_F32, B, heads, own.kv_len, p->value_dim);
        own.kv_lengths = att_tensor_dense(lengths, ATT_I32, 1, 1, 1, B);
        att_kivi_fill(c, c->way, &own.k, &own.v);
        status = att_accept_check(&accept, ATT_OP_ATTEND, &own, NULL);
        status = status == ATT_OK ? att_plain_attend(&own, &way, &s) : status;
    } else if (status == ATT_OK) {
        status = ATT_NO_MEMORY;
    }
    free(lengths);
    free(k);
    free(v);
    free(room);
    return status;
}

/* Quantised tokens at the end of what is kept: keys of an unfinished run become recent again, as
 * they are held; values stay quantised. */
static inline att_status att_kivi_rollback(att_session *session, int64_t length)
{
    att_kivi *c = att_kivi_of(session);

    if (length < 0)
        return ATT_INVALID;
    for (int64_t b = 0; b < c->p.batch; b++) {
        att_kivi_seq *q = &c->seq[b];
        const int64_t whole = length / c->residual * c->residual, done = q->side[0].done;
        if (q->length <= length)
            continue;
        for (int64_t j = whole; j < att_min(done, length); j++)
            for (int64_t h = 0; h < c->p.heads_kv; h++)
                att_kivi_read(c, &q->side[0], 0, j, h, done,
                              att_kivi_recent(c, &q->side[0], 0, j, h));
        q->side[0].done = att_min(done, whole);
        q->side[1].done = att_min(q->side[1].done, length);
        q->length = length;
    }
    return ATT_OK;
}

static inline att_status att_kivi_supports(const att_kernel *self, att_op op, const att_problem *p,
                                           const att_value *params, att_reason *why)
{
    const att_status status = att_kv_supports(self, op, p, params, why);

    if (status == ATT_OK && (p->q.dtype != ATT_F32 || p->k.dtype != ATT_F32))
        return att_refuse(why, ATT_UNSUPPORTED, "q, k and v are f32: it quantises them itself");
    if (status == ATT_OK && params[2].i % params[1].i)
        return att_refuse(why, ATT_UNSUPPORTED, "residual is no multiple of group");
    return status;
}

/* `session` of a kernel whose open is `fn`. */
#define ATT_KIVI_SESSION(fn)                                                                       \
    {                                                                                              \
        .open = fn, .append = att_kivi_append, .attend = att_kivi_attend,                          \
        .rollback = att_kivi_rollback, .fork = att_kivi_fork, .close = att_kivi_close,             \
        .held = att_kivi_held                                                                      \
    }

/* The parameters of such a kernel: its table begins with ATT_KIVI_BITS. */
#define ATT_KIVI_BITS                                                                              \
    {                                                                                              \
        "bits", ATT_PARAM_INT, 0, "bits", "2", "2:4", "2 4", "of a code"                           \
    }
#define ATT_KIVI_GROUP(n)                                                                          \
    {                                                                                              \
        "group", ATT_PARAM_INT, 0, "", n, "1:4096", NULL, "tokens (K), channels (V) of one scale"  \
    }
#define ATT_KIVI_RESIDUAL(n)                                                                       \
    {                                                                                              \
        "residual", ATT_PARAM_INT, 0, "tokens", n, "1:65536", NULL, "recent ones that stay f32"    \
    }

#endif
