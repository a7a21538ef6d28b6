/* SPDX-License-Identifier: Apache-2.0 */
/* The Llama forward pass over one batch of segments:
 *
 *   h = x + Wo attention(rope(Wq n), rope(Wk n), Wv n),  n = rms(x)
 *   x = h + Wd (silu(Wg m) * Wu m),                      m = rms(h)
 *
 * Rows of all segments lie one after the other and share every product; attention is asked for once
 * a layer and segment, on strided views: q is a view of the product that made it, k and v of the
 * cache. GGUF stores q and k rows permuted so that rotary pairs are neighbours.
 * Source: Touvron et al. 2023; Su et al. 2021 (RoPE); Zhang and Sennrich 2019 (RMSNorm). */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "model/lm_parts.h"

att_status att_lm_open(const char *path, const att_host *host, att_lm **out, att_why *why)
{
    *out = NULL;
    att_lm *lm = calloc(1, sizeof *lm);
    if (!lm) {
        att_why_set(why, "%s: no memory", path);
        return ATT_NO_MEMORY;
    }
    lm->host = host;
    lm->rows = att_rows_best();
    openblas_set_num_threads(1); /* the host's threads do the splitting */
    att_status st;
    if ((st = att_gguf_open(path, &lm->file, why)) ||
        (st = att_tokenizer_make(lm->file, &lm->tokenizer, why)) || (st = att_lm_load(lm, why)))
        att_lm_close(lm);
    else
        *out = lm;
    return st;
}

void att_lm_close(att_lm *lm)
{
    if (!lm)
        return;
    att_lm_unload(lm);
    att_tokenizer_drop(lm->tokenizer);
    att_gguf_close(lm->file);
    free(lm);
}

att_lm_shape att_lm_shape_of(const att_lm *lm)
{
    return lm->shape;
}

att_status att_lm_tokens(const att_lm *lm, const char *text, size_t length, int32_t **ids,
                         size_t *n, att_why *why)
{
    return att_tokenizer_encode(lm->tokenizer, text, length, ids, n, why);
}

size_t att_lm_piece(const att_lm *lm, int32_t id, char *out, size_t size)
{
    size_t length;
    const char *piece = att_tokenizer_piece(lm->tokenizer, id, &length);
    if (!piece)
        return 0;
    memcpy(out, piece, length < size ? length : size);
    return length;
}

/* ------------------------------------------------------------------------------ forward */

/* What one forward pass works in. */
typedef struct pass {
    att_lm *lm;
    const att_lm_attention *attention;
    att_lm_segment *segments;
    size_t n_segments;
    int64_t n;            /* rows of all segments */
    int64_t *row_segment; /* [n] */
    int64_t *row_at;      /* [n] position in its sequence */
    float *x;             /* [n][width] residual stream */
    float *norm;          /* [n][width] */
    float *qkv;           /* [n][(Hq + 2 Hkv) D] */
    float *mixed;         /* [n][Hq D] attention's output */
    float *act;           /* [n][feed_forward] */
    float *gate;          /* att_gate_scratch */
    const att_layer *layer;
    int64_t index; /* of the layer */
    const float *weight;
} pass;

/* Rows a job of the row-wise steps takes. */
enum { ROWS_A_JOB = 32 };

static void each_rows(pass *p, void (*body)(pass *p, int64_t row))
{
    for (int64_t r = 0; r < p->n; r++)
        body(p, r);
}

typedef struct row_job {
    pass *p;
    void (*body)(pass *p, int64_t row);
} row_job;

static void row_part(void *arg, int64_t i, int thread)
{
    const row_job *j = arg;
    int64_t end = (i + 1) * ROWS_A_JOB;
    (void)thread;
    for (int64_t r = i * ROWS_A_JOB; r < end && r < j->p->n; r++)
        j->body(j->p, r);
}

static void for_rows(pass *p, void (*body)(pass *p, int64_t row))
{
    row_job j = {p, body};
    if (p->n <= ROWS_A_JOB)
        each_rows(p, body);
    else
        p->lm->host->parallel_for(p->lm->host, (p->n + ROWS_A_JOB - 1) / ROWS_A_JOB, row_part, &j);
}

static void norm_row(pass *p, int64_t r)
{
    int64_t w = p->lm->shape.width;
    p->lm->rows->rms_norm(p->x + r * w, p->weight, w, p->lm->shape.rms_eps, p->norm + r * w);
}

/* Turns q in place, k into the cache, and copies v there. */
static void place_row(pass *p, int64_t r)
{
    const att_lm *lm = p->lm;
    int64_t d = lm->shape.head_dim, hq = lm->shape.heads_q, hk = lm->shape.heads_kv,
            at = p->row_at[r];
    const float *cosine = lm->cosine + at * (d / 2), *sine = lm->sine + at * (d / 2);
    const att_kv *kv = p->segments[p->row_segment[r]].kv;
    float *q = p->qkv + r * (hq + 2 * hk) * d, *k = q + hq * d, *v = k + hk * d;
    for (int64_t h = 0; h < hq; h++)
        lm->rows->rope(q + h * d, cosine, sine, d / 2, q + h * d);
    for (int64_t h = 0; h < hk; h++) {
        lm->rows->rope(k + h * d, cosine, sine, d / 2, att_kv_rows(kv, 0, p->index, h) + at * d);
        memcpy(att_kv_rows(kv, 1, p->index, h) + at * d, v + h * d, (size_t)d * sizeof *v);
    }
}

static att_status attend(const pass *p, att_why *why)
{
    const att_lm_shape *s = &p->lm->shape;
    int64_t d = s->head_dim, row = 0, ldq = (s->heads_q + 2 * s->heads_kv) * d,
            ldo = s->heads_q * d;
    for (size_t i = 0; i < p->n_segments; row += p->segments[i++].n) {
        const att_lm_segment *g = &p->segments[i];
        att_problem a = att_problem_init();
        if (g->n == 0)
            continue;
        a.batch = 1;
        a.heads_q = s->heads_q;
        a.heads_kv = s->heads_kv;
        a.q_len = g->n;
        a.kv_len = g->kv->length + g->n;
        a.head_dim = a.value_dim = d;
        a.causal = ATT_CAUSAL_BOTTOM_RIGHT;
        a.q = att_tensor_dense(p->qkv + row * ldq, ATT_F32, 1, s->heads_q, g->n, d);
        a.q.stride[1] = d;
        a.q.stride[2] = ldq;
        a.out = att_tensor_dense(p->mixed + row * ldo, ATT_F32, 1, s->heads_q, g->n, d);
        a.out.stride[1] = d;
        a.out.stride[2] = ldo;
        a.k = att_tensor_dense(att_kv_rows(g->kv, 0, p->index, 0), ATT_F32, 1, s->heads_kv,
                               a.kv_len, d);
        a.v = att_tensor_dense(att_kv_rows(g->kv, 1, p->index, 0), ATT_F32, 1, s->heads_kv,
                               a.kv_len, d);
        a.k.stride[1] = a.v.stride[1] = g->kv->capacity * d;
        att_status st = p->attention->attend(p->attention->arg, p->index, &a, why);
        if (st)
            return st;
    }
    return ATT_OK;
}

static att_status run_layer(pass *p, att_why *why)
{
    const att_lm *lm = p->lm;
    const att_layer *y = p->layer;
    int64_t w = lm->shape.width;
    p->weight = y->attn_norm.data;
    for_rows(p, norm_row);
    att_matmul(lm, &y->qkv, p->norm, w, p->n, p->qkv, y->qkv.rows, false);
    for_rows(p, place_row);
    att_status st = attend(p, why);
    if (st)
        return st;
    att_matmul(lm, &y->out, p->mixed, y->out.cols, p->n, p->x, w, true);
    p->weight = y->ffn_norm.data;
    for_rows(p, norm_row);
    att_gate_up(lm, y, p->norm, p->n, p->act, p->gate);
    att_matmul(lm, &y->down, p->act, y->down.cols, p->n, p->x, w, true);
    return ATT_OK;
}

static att_status check_segment(const pass *p, size_t i, att_why *why)
{
    const att_lm_segment *g = &p->segments[i];
    const att_lm_shape *s = &p->lm->shape;
    if (!g->kv || g->n < 0 || (g->n > 0 && !g->tokens) || (g->targets && !g->logprob) ||
        (g->logits && (g->logits_from < 0 || g->logits_from > g->n))) {
        att_why_set(why, "segment %zu: a pointer is missing or a count is wrong", i);
        return ATT_INVALID;
    }
    if (g->n > g->kv->capacity - g->kv->length) {
        att_why_set(why, "segment %zu: %lld tokens after %lld do not fit a cache of %lld", i,
                    (long long)g->n, (long long)g->kv->length, (long long)g->kv->capacity);
        return ATT_INVALID;
    }
    if (g->n > 0 && !att_kv_writable(g->kv)) {
        att_why_set(why, "segment %zu: its cache has living forks", i);
        return ATT_INVALID;
    }
    for (size_t j = 0; j < i; j++)
        if (p->segments[j].kv == g->kv) {
            att_why_set(why, "segments %zu and %zu share a cache", j, i);
            return ATT_INVALID;
        }
    for (int64_t t = 0; t < g->n; t++)
        if (g->tokens[t] < 0 || g->tokens[t] >= s->vocabulary ||
            (g->targets && g->targets[t] >= s->vocabulary)) {
            att_why_set(why, "segment %zu: token or target %lld is outside the vocabulary of %lld",
                        i, (long long)t, (long long)s->vocabulary);
            return ATT_INVALID;
        }
    return ATT_OK;
}

static att_status make_room(pass *p, att_why *why)
{
    const att_lm_shape *s = &p->lm->shape;
    size_t n = (size_t)p->n, w = (size_t)s->width, d = (size_t)s->head_dim, hq = (size_t)s->heads_q;
    size_t a_row = 2 * w + (2 * hq + 2 * (size_t)s->heads_kv) * d + (size_t)s->feed_forward;
    size_t floats;
    p->row_segment = malloc(2 * n * sizeof *p->row_segment);
    if (!__builtin_mul_overflow(n, a_row, &floats) &&
        !__builtin_add_overflow(floats, att_gate_scratch(p->lm, p->n) + 128, &floats) &&
        floats <= SIZE_MAX / sizeof(float))
        p->x = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    if (!p->row_segment || !p->x) {
        att_why_set(why, "no memory for a forward pass of %lld tokens", (long long)p->n);
        return ATT_NO_MEMORY;
    }
    p->row_at = p->row_segment + n;
    p->norm = p->x + n * w;
    p->qkv = p->norm + n * w;
    p->mixed = p->qkv + n * (hq + 2 * (size_t)s->heads_kv) * d;
    p->act = p->mixed + n * hq * d;
    p->gate = p->act + n * (size_t)s->feed_forward;
    return ATT_OK;
}

static void embed(pass *p)
{
    int64_t row = 0, w = p->lm->shape.width;
    for (size_t i = 0; i < p->n_segments; i++)
        for (int64_t t = 0; t < p->segments[i].n; t++, row++) {
            p->row_segment[row] = (int64_t)i;
            p->row_at[row] = p->segments[i].kv->length + t;
            memcpy(p->x + row * w, p->lm->embedding.data + p->segments[i].tokens[t] * w,
                   (size_t)w * sizeof *p->x);
        }
}

att_status att_lm_forward(att_lm *lm, const att_lm_attention *attention, att_lm_segment *segments,
                          size_t n_segments, att_why *why)
{
    pass p = {.lm = lm, .attention = attention, .segments = segments, .n_segments = n_segments};
    att_status st = ATT_OK;
    for (size_t i = 0; i < n_segments; i++) {
        if ((st = check_segment(&p, i, why)))
            return st;
        p.n += segments[i].n; /* each at most the context: no overflow */
    }
    if (p.n == 0)
        return ATT_OK;
    if ((st = make_room(&p, why)))
        goto done;
    embed(&p);
    for (p.index = 0; p.index < lm->shape.layers; p.index++) {
        p.layer = &lm->layers[p.index];
        if ((st = run_layer(&p, why)))
            goto done;
    }
    if ((st = att_lm_heads(lm, p.x, segments, n_segments, why)))
        goto done;
    for (size_t i = 0; i < n_segments; i++)
        segments[i].kv->length += segments[i].n;
done:
    free(p.row_segment);
    free(p.x);
    return st;
}
