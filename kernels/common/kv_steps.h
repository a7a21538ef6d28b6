/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a session on a KV cache (common/kv.h): append, attend, rollback. */
#ifndef ATT_COMMON_KV_STEPS_H
#define ATT_COMMON_KV_STEPS_H

#include "common/kv.h"

/* ------------------------------------------------------------------------------ append */

static inline int64_t att_kv_taken(const att_problem *p, int64_t b)
{
    return p->kv_lengths.data ? att_i32_at(&p->kv_lengths, b) : p->kv_len;
}

static inline bool att_kv_appendable(const att_kv *c, const att_problem *p)
{
    const att_tensor *t[2] = {&p->k, &p->v};
    const att_tensor *scales[2] = {&p->k_quant.scales, &p->v_quant.scales};
    bool yes = p->batch >= 0 && p->kv_len >= 0;

    for (int side = 0; side < 2 && yes; side++) {
        yes = t[side]->dtype == c->p.k.dtype && att_given(t[side]) &&
              att_shaped(t[side], p->batch, c->p.heads_kv, p->kv_len, att_kv_width(c, side));
        if (yes && att_kv_quantised(&c->p))
            yes = att_kv_a_token(side ? &p->v_quant : &p->k_quant) && att_given(scales[side]) &&
                  scales[side]->dtype == ATT_F32 &&
                  att_shaped(scales[side], p->batch, c->p.heads_kv, p->kv_len, 1);
    }
    for (int64_t b = 0; b < p->batch && yes; b++) {
        const int64_t n = att_kv_taken(p, b), had = b < c->p.batch ? c->length[b] : 0;
        yes = n >= 0 && n <= p->kv_len && n <= c->p.kv_len - had;
    }
    return yes;
}

static inline void att_kv_store(att_kv *c, int side, const att_problem *p, int64_t b, int64_t i,
                                int64_t slot)
{
    const att_tensor *t = side ? &p->v : &p->k;
    const att_tensor *scales = side ? &p->v_quant.scales : &p->k_quant.scales;
    const size_t size = att_dtype_size(t->dtype);

    for (int64_t h = 0; h < c->p.heads_kv; h++) {
        unsigned char *to = att_kv_row(c, side, b, slot, h);
        for (int64_t d = 0; d < t->shape[3]; d++)
            memcpy(to + (size_t)d * size,
                   (const unsigned char *)t->data + att_tensor_at(t, b, h, i, d) * (int64_t)size,
                   size);
        if (c->scale[side])
            *att_kv_scale(c, side, b, slot, h) =
                ((const float *)scales->data)[att_tensor_at(scales, b, h, i, 0)];
    }
}

static inline att_status att_kv_append(att_session *session, const att_problem *p)
{
    att_kv *c = att_kv_of(session);

    if (!att_kv_appendable(c, p))
        return ATT_INVALID;
    att_status status = p->batch == c->p.batch ? ATT_OK : att_kv_resize(c, p->batch);
    for (int64_t b = 0; b < p->batch && status == ATT_OK; b++) {
        const int64_t n = att_kv_taken(p, b);
        for (int64_t i = 0; i < n; i++)
            for (int side = 0; side < 2; side++)
                att_kv_store(c, side, p, b, i, (c->length[b] + i) % c->slots);
        c->length[b] += n;
        c->longest[b] = att_max(c->longest[b], c->length[b]);
    }
    return status;
}

/* ------------------------------------------------------------------------------ attend */

/* What one attend needs: the lengths, where each held key lies, int8 rows as floats, scratch. */
typedef struct att_kv_view {
    int32_t *lengths, *table;
    float *row[2], *scratch;
} att_kv_view;

/* The held rows of int8 as floats, [B][most][Hkv][width]. */
static inline void att_kv_dequantise(const att_kv *c, int side, int64_t most, float *to)
{
    const int64_t width = att_kv_width(c, side), heads = c->p.heads_kv;

    for (int64_t b = 0; b < c->p.batch; b++)
        for (int64_t i = 0; i < att_kv_held(c, b); i++) {
            const int64_t slot = (c->way->slot ? c->way->slot : att_kv_slot)(c, b, i);
            for (int64_t h = 0; h < heads; h++) {
                const int8_t *q = (const int8_t *)att_kv_row(c, side, b, slot, h);
                const float scale = *att_kv_scale(c, side, b, slot, h);
                for (int64_t d = 0; d < width; d++)
                    to[((b * most + i) * heads + h) * width + d] = scale * (float)q[d];
            }
        }
}

/* Keys or values as pages of one token. */
static inline att_tensor att_kv_pages(const att_kv *c, int side, int64_t most, float *floats)
{
    const int64_t width = att_kv_width(c, side), heads = c->p.heads_kv;
    att_tensor t =
        att_tensor_dense(c->row[side], c->p.k.dtype, c->p.batch * c->slots, heads, 1, width);

    if (floats)
        t = att_tensor_dense(floats, ATT_F32, c->p.batch * most, heads, 1, width);
    return t;
}

static inline att_status att_kv_look(const att_kv *c, att_problem *p, att_kv_view *v)
{
    const int64_t batch = c->p.batch, most = p->kv_len;
    const size_t rows = (size_t)(batch * most * c->p.heads_kv);
    att_plan need = {0};

    if (att_plain_plan(p, &need) != ATT_OK)
        return ATT_NO_MEMORY;
    v->lengths = malloc((size_t)(batch + 1) * sizeof *v->lengths);
    v->table = calloc((size_t)(batch * most) + 1, sizeof *v->table);
    v->scratch = malloc(need.scratch_bytes);
    for (int side = 0; side < 2 && att_kv_quantised(&c->p); side++)
        v->row[side] = malloc((rows * (size_t)att_kv_width(c, side) + 1) * sizeof(float));
    if (!v->lengths || !v->table || !v->scratch ||
        (att_kv_quantised(&c->p) && (!v->row[0] || !v->row[1])))
        return ATT_NO_MEMORY;
    for (int64_t b = 0; b < batch; b++) {
        v->lengths[b] = (int32_t)att_kv_held(c, b);
        for (int64_t i = 0; i < v->lengths[b]; i++)
            v->table[b * most + i] =
                (int32_t)(v->row[0] ? b * most + i
                                    : b * c->slots +
                                          (c->way->slot ? c->way->slot : att_kv_slot)(c, b, i));
    }
    for (int side = 0; side < 2; side++) {
        if (v->row[side])
            att_kv_dequantise(c, side, most, v->row[side]);
        *(side ? &p->v : &p->k) = att_kv_pages(c, side, most, v->row[side]);
    }
    p->kv_lengths = att_tensor_dense(v->lengths, ATT_I32, 1, 1, 1, batch);
    p->block_table = att_tensor_dense(v->table, ATT_I32, 1, 1, batch, most);
    p->page_size = 1;
    return ATT_OK;
}

static inline bool att_kv_askable(const att_kv *c, const att_problem *p)
{
    return p->batch == c->p.batch && p->heads_q == c->p.heads_q && p->heads_kv == c->p.heads_kv &&
           p->head_dim == c->p.head_dim && p->value_dim == c->p.value_dim && p->q_len >= 0 &&
           p->q.dtype == c->p.q.dtype && p->causal == c->p.causal &&
           p->window_left == c->p.window_left;
}

static inline att_status att_kv_attend(att_session *session, const att_problem *p)
{
    static const att_plain way = {0};
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    const att_kv *c = att_kv_of(session);
    att_kv_view v = {0};
    att_problem own = *p;

    if (p->mask.data || p->bias.data || p->block_mask.data || p->q_positions.data ||
        p->k_positions.data || p->q_lengths.data || p->cu_q.data)
        return ATT_UNSUPPORTED;
    if (!att_kv_askable(c, p))
        return ATT_INVALID;
    own.kv_len = 0;
    for (int64_t b = 0; b < p->batch; b++)
        own.kv_len = att_max(own.kv_len, att_kv_held(c, b));
    own.k_quant = own.v_quant = (att_quant){0};
    att_status status = att_kv_look(c, &own, &v);
    if (status == ATT_OK)
        status = att_accept_check(&accept, ATT_OP_ATTEND, &own, NULL);
    if (status == ATT_OK) {
        att_plan need = {0};
        att_plain_plan(&own, &need);
        const att_scratch s = {.data = v.scratch, .bytes = need.scratch_bytes};
        status = att_plain_attend(&own, &way, &s);
    }
    void *owned[] = {v.lengths, v.table, v.row[0], v.row[1], v.scratch};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    return status;
}

/* ---------------------------------------------------------------------------- rollback */

/* Would a later step need a key that its slot no longer holds? */
static inline bool att_kv_lost(const att_kv *c, int64_t length)
{
    const int64_t first = att_max(0, length - c->p.q_len - att_max(0, c->p.window_left));

    for (int64_t b = 0; b < c->p.batch; b++)
        if (length > 0 && c->length[b] > length && att_kv_oldest(c, b) > first)
            return true;
    return false;
}

static inline att_status att_kv_rollback(att_session *session, int64_t length)
{
    att_kv *c = att_kv_of(session);

    if (length < 0)
        return ATT_INVALID;
    if (att_kv_lost(c, length))
        return ATT_UNSUPPORTED;
    for (int64_t b = 0; b < c->p.batch; b++) {
        if (c->length[b] <= length)
            continue;
        if (c->way->trim && !c->way->trim(c, b, length))
            return ATT_NO_MEMORY;
        c->length[b] = length;
        c->longest[b] = length ? c->longest[b] : 0;
    }
    return ATT_OK;
}

/* An attend by the plain loop, on a cache with a slot for every token. */
static inline att_status att_kv_cost(const att_kernel *self, const att_problem *p,
                                     const att_value *params, att_cost *out)
{
    const att_status status = att_plain_cost(self, p, params, out);
    out->state_bytes = att_cache_bytes(p, p->kv_len);
    return status;
}

/* `session` of a kernel whose open is `fn`. */
#define ATT_KV_SESSION(fn)                                                                         \
    {                                                                                              \
        .open = fn, .append = att_kv_append, .attend = att_kv_attend, .rollback = att_kv_rollback, \
        .fork = att_kv_fork, .close = att_kv_close                                                 \
    }

#endif
