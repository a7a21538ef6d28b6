/* SPDX-License-Identifier: Apache-2.0 */
/* Attention with q and k in int8: k less its mean over a sequence's tokens, then one scale a block
 * of tokens for each; products of codes are summed as integers, the softmax and P V are f32.
 *
 *   k' = k - mean(k)    q = sq cq    k' = sk ck    s_ij = scale (sq sk (cq . ck) + q . mean)
 *
 * Why: the mean is what makes keys hard to quantise, and it moves all logits of a row alike: the
 * softmax does not see it, the LSE, a cap and a sink do, so it is added back.
 * A row with NaN or Inf in it is not coded there: those elements are used as they are.
 * Bound: as the plain loop on what the codes mean.  Two passes over k. */
#ifndef ATT_COMMON_SAGE_H
#define ATT_COMMON_SAGE_H

#include "common/plain.h"

/* Codes of all rows of q or of k: [B][H][S]. */
typedef struct att_sage_side {
    int8_t *code;    /* [rows][Dk] */
    float *scale;    /* [rows]: its block's */
    uint8_t *broken; /* [rows]: holds NaN or Inf */
} att_sage_side;

typedef struct att_sage {
    att_plain way; /* first: a row's `way` is this */
    int64_t block;
    bool unshifted; /* q . mean is left out */
    att_sage_side q, k;
    float *mean; /* [B][Hkv][Dk] */
} att_sage;

/* ------------------------------------------------------------------------------- codes */

/* The scale of numbers of at most this size. */
static inline float att_sage_scale(float most)
{
    const float scale = most / 127.0f;
    return most == 0.0f ? 1.0f : scale * 127.0f < most ? nextafterf(scale, INFINITY) : scale;
}

static inline int8_t att_sage_code(float x, float scale)
{
    return (int8_t)fmaxf(-127.0f, fminf(127.0f, rintf(x / scale)));
}

/* The mean of each channel over the rows' finite numbers. */
static inline void att_sage_mean(const float *x, int64_t rows, int64_t width, float *mean)
{
    for (int64_t c = 0; c < width; c++) {
        double sum = 0, n = 0;
        for (int64_t r = 0; r < rows; r++)
            if (isfinite(x[r * width + c])) {
                sum += (double)x[r * width + c];
                n++;
            }
        mean[c] = n > 0 ? (float)(sum / n) : 0.0f;
    }
}

/* One block of rows less `mean` (NULL: 0) to codes; returns their scale. */
static inline float att_sage_block(const float *x, int64_t rows, int64_t width, const float *mean,
                                   int8_t *code)
{
    float most = 0.0f;

    for (int64_t i = 0; i < rows * width; i++) {
        const float less = x[i] - (mean ? mean[i % width] : 0.0f);
        most = isfinite(less) ? fmaxf(most, fabsf(less)) : most;
    }
    const float scale = att_sage_scale(most);
    for (int64_t i = 0; i < rows * width; i++) {
        const float less = x[i] - (mean ? mean[i % width] : 0.0f);
        code[i] = isfinite(less) ? att_sage_code(less, scale) : 0;
    }
    return scale;
}

/* Rows of one sequence and head in blocks; x: their floats. */
static inline void att_sage_rows(const att_sage *g, const float *x, int64_t rows, int64_t width,
                                 const float *mean, const att_sage_side *to, int64_t at)
{
    for (int64_t r = 0; r < rows; r += g->block) {
        const int64_t n = att_min(g->block, rows - r);
        const float scale =
            att_sage_block(x + r * width, n, width, mean, to->code + (at + r) * width);
        for (int64_t i = r; i < r + n; i++) {
            to->scale[at + i] = scale;
            to->broken[at + i] = 0;
            for (int64_t c = 0; c < width; c++)
                if (!isfinite(x[i * width + c]))
                    to->broken[at + i] = 1;
        }
    }
}

static inline void att_sage_encode(const att_sage *g, const att_problem *p, float *room)
{
    const int64_t dk = p->head_dim;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq s = att_seq_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++) {
            for (int64_t i = 0; i < s.q_len; i++)
                att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, s.at, h, s.q_at + i, 0),
                             p->q.stride[3], dk, room + i * dk);
            att_sage_rows(g, room, s.q_len, dk, NULL, &g->q, (b * p->heads_q + h) * p->q_len);
        }
        for (int64_t h = 0; h < p->heads_kv; h++) {
            float *mean = g->mean + (b * p->heads_kv + h) * dk;
            for (int64_t j = 0; j < s.kv_len; j++)
                att_load_row(p->k.data, p->k.dtype, att_key_at(p, &p->k, &s, h, j), p->k.stride[3],
                             dk, room + j * dk);
            att_sage_mean(room, s.kv_len, dk, mean);
            att_sage_rows(g, room, s.kv_len, dk, mean, &g->k, (b * p->heads_kv + h) * p->kv_len);
        }
    }
}

/* ------------------------------------------------------------------------------ scores */

/* k = scale (code - zero): the mean in steps of the block's scale, as `quantise` states it. */
static inline float att_sage_zero(float mean, float scale)
{
    return -mean / scale;
}

static inline float att_sage_key(int8_t code, float scale, float mean)
{
    return (float)((double)scale * ((double)code - (double)att_sage_zero(mean, scale)));
}

static inline float att_sage_nothing(const att_plain_row *w)
{
    (void)w;
    return 0.0f;
}

static inline float att_sage_score(const att_plain_row *w, int64_t j)
{
    const att_sage *g = (const att_sage *)(const void *)w->way;
    const att_problem *p = w->rules->p;
    const int64_t dk = p->head_dim, head = w->seq->b * p->heads_kv + w->kv_head;
    const int64_t q = (w->seq->b * p->heads_q + w->row.h) * p->q_len + w->row.i;
    const int64_t k = head * p->kv_len + j;
    const int8_t *cq = g->q.code + q * dk, *ck = g->k.code + k * dk;
    const float *mean = g->mean + head * dk;
    const float sq = g->q.scale[q], sk = g->k.scale[k];
    double shift = 0.0;
    float dot = 0.0f;
    int32_t sum = 0;

    if (g->q.broken[q] || g->k.broken[k]) {
        for (int64_t c = 0; c < dk; c++)
            dot += (isfinite(w->q[c]) ? sq * (float)cq[c] : w->q[c]) *
                   (isfinite(w->k[c]) ? att_sage_key(ck[c], sk, mean[c]) : w->k[c]);
        return dot * w->rules->scale;
    }
    for (int64_t c = 0; c < dk; c++) {
        sum += (int32_t)cq[c] * (int32_t)ck[c];
        shift += (double)cq[c] * (double)att_sage_zero(mean[c], sk);
    }
    if (g->unshifted)
        shift = 0.0;
    /* keys may be small beside their mean: the two parts cancel, and must do so in double */
    return (float)((double)sq * (double)sk * ((double)sum - shift)) * w->rules->scale;
}

static inline float att_sage_logit(const att_plain_row *w, int64_t j, float score)
{
    (void)score;
    return att_plain_logit(w, j, att_sage_score(w, j));
}

/* ------------------------------------------------------------------------------- attend */

/* Bytes behind the plain loop's; false on overflow. */
static inline bool att_sage_bytes(const att_problem *p, int64_t *rows_q, int64_t *rows_k,
                                  int64_t *bytes)
{
    const int64_t most = att_max(p->q_len, p->kv_len);
    int64_t rows, floats;

    return !__builtin_mul_overflow(p->batch * p->heads_q, p->q_len, rows_q) &&
           !__builtin_mul_overflow(p->batch * p->heads_kv, p->kv_len, rows_k) &&
           !__builtin_add_overflow(*rows_q, *rows_k, &rows) &&
           !__builtin_mul_overflow(most + p->batch * p->heads_kv, p->head_dim, &floats) &&
           floats < INT64_MAX / 16 && !__builtin_mul_overflow(rows, p->head_dim + 5, bytes) &&
           !__builtin_add_overflow(*bytes, floats * (int64_t)sizeof(float) + 64, bytes);
}

static inline att_status att_sage_plan(const att_problem *p, att_plan *out)
{
    int64_t q, k, bytes;

    if (att_plain_plan(p, out) || !att_sage_bytes(p, &q, &k, &bytes))
        return ATT_NO_MEMORY;
    out->scratch_bytes += (size_t)bytes;
    return ATT_OK;
}

static inline att_status att_sage_attend(const att_problem *p, int64_t block, bool unshifted,
                                         const att_scratch *s)
{
    att_sage g = {.way = {.score = att_sage_nothing, .logit = att_sage_logit},
                  .block = block,
                  .unshifted = unshifted};
    int64_t q, k, bytes;
    att_plan plain, all;

    if (att_plain_plan(p, &plain) || att_sage_plan(p, &all) || s->bytes < all.scratch_bytes ||
        !att_sage_bytes(p, &q, &k, &bytes))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    g.mean = (float *)(void *)((char *)s->data + plain.scratch_bytes);
    float *room = g.mean + p->batch * p->heads_kv * p->head_dim;
    g.q.scale = room + att_max(p->q_len, p->kv_len) * p->head_dim;
    g.k.scale = g.q.scale + q;
    g.q.code = (int8_t *)(g.k.scale + k);
    g.k.code = g.q.code + q * p->head_dim;
    g.q.broken = (uint8_t *)(g.k.code + k * p->head_dim);
    g.k.broken = g.q.broken + q;
    att_sage_encode(&g, p, room);
    return att_plain_attend(p, &g.way, s);
}

/* ---- the rest of such a kernel, whose first parameter is the block */

/* Groups of the kernel's own block, with zeros that hold the mean or none. */
static inline att_status att_sage_takes(const att_problem *p, bool back, int64_t block,
                                        att_reason *why)
{
    const att_tensor *codes = back ? &p->k : &p->out, *floats = back ? &p->out : &p->k;
    const att_quant *q = &p->k_quant;
    const int64_t *n = codes->shape, groups = att_blocks(n[2], block);

    if (p->abi >> 16 != ATT_ABI_MAJOR || p->struct_size < sizeof(att_problem) || p->flags)
        return att_refuse(why, ATT_UNSUPPORTED, "problem of another ABI version");
    if (codes->dtype != ATT_I8 || floats->dtype != ATT_F32 || q->scheme != ATT_QUANT_AFFINE ||
        q->axis != 2 || q->group != block || q->scales.dtype != ATT_F32 ||
        !att_shaped(&q->scales, n[0], n[1], groups, 1))
        return att_refuse(why, ATT_UNSUPPORTED, "f32 to int8 with a scale a block of tokens only");
    if (q->zeros.data &&
        (q->zeros.dtype != ATT_F32 || !att_shaped(&q->zeros, n[0], n[1], groups, n[3])))
        return att_refuse(why, ATT_UNSUPPORTED, "zeros must be one a block and channel, in f32");
    if (!att_given(codes) || !att_given(floats) || !att_given(&q->scales) ||
        !att_shaped(floats, n[0], n[1], n[2], n[3]))
        return att_refuse(why, ATT_INVALID, "k, out or scales not given, or of two shapes");
    return ATT_OK;
}

static inline att_status att_sage_supports(const att_kernel *self, att_op op, const att_problem *p,
                                           const att_value *params, att_reason *why)
{
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self;
    if (op == ATT_OP_QUANTISE || op == ATT_OP_DEQUANTISE)
        return att_sage_takes(p, op == ATT_OP_DEQUANTISE, params[0].i, why);
    return att_accept_check(&accept, op, p, why);
}

static inline att_status att_sage_plan_of(const att_kernel *self, att_op op, const att_problem *p,
                                          const att_value *params, att_plan *out)
{
    const int64_t *n = p->k.shape;
    (void)self, (void)params;
    if (op == ATT_OP_ATTEND)
        return att_sage_plan(p, out);
    out->scratch_bytes = (size_t)((n[2] + 1) * n[3]) * (sizeof(float) + 1);
    return ATT_OK;
}

static inline att_status att_sage_quantise(const att_kernel *self, const att_problem *p,
                                           const att_scratch *s)
{
    const int64_t *n = p->k.shape, block = s->params[0].i;
    const att_quant *q = &p->k_quant;
    float *x = s->data, *mean = x + n[2] * n[3];
    int8_t *code = (int8_t *)(mean + n[3]);
    const att_status status = att_sage_supports(self, ATT_OP_QUANTISE, p, s->params, NULL);

    if (status || s->bytes < (size_t)((n[2] + 1) * n[3]) * (sizeof(float) + 1))
        return status ? status : ATT_NO_MEMORY;
    for (int64_t h = 0; h < n[0] * n[1]; h++) {
        const int64_t i0 = h / n[1], i1 = h % n[1];
        for (int64_t j = 0; j < n[2]; j++)
            att_load_row(p->k.data, ATT_F32, att_tensor_at(&p->k, i0, i1, j, 0), p->k.stride[3],
                         n[3], x + j * n[3]);
        att_sage_mean(x, q->zeros.data ? n[2] : 0, n[3], mean);
        for (int64_t j = 0; j < n[2]; j += block) {
            const int64_t rows = att_min(block, n[2] - j);
            const float scale = att_sage_block(x + j * n[3], rows, n[3], mean, code);
            ((float *)q->scales.data)[att_tensor_at(&q->scales, i0, i1, j / block, 0)] = scale;
            for (int64_t c = 0; q->zeros.data && c < n[3]; c++)
                ((float *)q->zeros.data)[att_tensor_at(&q->zeros, i0, i1, j / block, c)] =
                    att_sage_zero(mean[c], scale);
            for (int64_t i = 0; i < rows * n[3]; i++)
                ((int8_t *)p->out.data)[att_tensor_at(&p->out, i0, i1, j + i / n[3], i % n[3])] =
                    code[i];
        }
    }
    return ATT_OK;
}

static inline att_status att_sage_dequantise(const att_kernel *self, const att_problem *p,
                                             const att_scratch *s)
{
    const int64_t *n = p->k.shape, block = s->params[0].i;
    const att_quant *q = &p->k_quant;
    const att_status status = att_sage_supports(self, ATT_OP_DEQUANTISE, p, s->params, NULL);

    for (int64_t i = 0; !status && i < n[0] * n[1] * n[2] * n[3]; i++) {
        const int64_t c = i % n[3], j = i / n[3] % n[2], i1 = i / n[3] / n[2] % n[1];
        const int64_t i0 = i / n[3] / n[2] / n[1];
        const float scale =
            ((const float *)q->scales.data)[att_tensor_at(&q->scales, i0, i1, j / block, 0)];
        double code = ((const int8_t *)p->k.data)[att_tensor_at(&p->k, i0, i1, j, c)];
        if (q->zeros.data)
            code -= (double)((const float *)
                                 q->zeros.data)[att_tensor_at(&q->zeros, i0, i1, j / block, c)];
        ((float *)p->out.data)[att_tensor_at(&p->out, i0, i1, j, c)] =
            (float)((double)scale * code);
    }
    return status;
}

#endif
