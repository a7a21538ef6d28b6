/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention with materialised scores: S = Q K^T and O = P V by OpenBLAS, softmax in
 * between.
 *
 * Why: the textbook form, and the rate that tiled kernels are measured against.
 * Bound: f32 throughout; scores of ROWS query rows at a time, so scratch is O(ROWS Skv + Skv D).
 * Source: Vaswani et al. 2017, "Attention is all you need". */
#include <cblas.h>

#include "attn.h"
#include "common/accept.h"
#include "common/cost_rows.h"

#define ROWS 256

static const att_accept ACCEPT = {
    .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = 1u << ATT_F32};

typedef struct head {
    const att_rules *rules;
    const att_seq *seq;
    float *q, *k, *v, *scores, *out, *lse,
        *row; /* packed: [ROWS,Dk] [n,Dk] [n,Dv] [ROWS,ld] [ROWS,Dv] [ROWS] [Dv] */
    int64_t ld;
} head;

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    if (p->kv_len > INT32_MAX / 2)
        return att_refuse(why, ATT_UNSUPPORTED, "over 2^30 keys: BLAS counts in 32 bits");
    return att_accept_check(&ACCEPT, op, p, why);
}

static int64_t padded(int64_t n)
{
    return att_ceil_div(n, ATT_W) * ATT_W;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    const int64_t rows = att_min(ROWS, p->q_len), d = p->head_dim + p->value_dim;
    int64_t floats, more;
    if (__builtin_mul_overflow(rows + p->kv_len + 1, d, &floats) ||
        __builtin_mul_overflow(rows, padded(p->kv_len), &more) ||
        __builtin_add_overflow(floats, more + rows, &floats) || floats > INT64_MAX / 4)
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

/* Row r of the chunk: logits to probabilities; false where no key is allowed. */
static bool softmax_row(const head *w, const att_row *row, float *x, float *lse)
{
    const int64_t n = w->seq->kv_len;
    float top = -INFINITY, sum = 0.0f;
    bool nan = false;

    for (int64_t j = 0; j < n; j++) {
        top = x[j] > top ? x[j] : top;
        nan |= isnan(x[j]);
    }
    if (top == -INFINITY && !nan && !att_row_any(w->rules, w->seq, row)) {
        *lse = -INFINITY;
        return false;
    }
    for (int64_t c = 0; c < padded(n); c += ATT_W)
        att_vf_store(x + c, att_vf_exp(att_vf_load(x + c) - top));
    att_vf partial = {0};
    int64_t j = 0;
    for (; j + ATT_W <= n; j += ATT_W)
        partial += att_vf_load(x + j);
    for (; j < n; j++)
        sum += x[j];
    sum += att_vf_sum(partial);
    for (j = 0; j < n; j++)
        x[j] /= sum;
    *lse = (float)((double)top + log((double)sum));
    return true;
}

static bool all_finite(const float *x, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++)
        finite &= (bool)isfinite(x[i]);
    return finite;
}

/* The row's sum key by key, if it sees a value that is not finite.  Else the matrix product of
 * finite values stands, so that what hides in unseen keys does not move a bit. */
static void careful_row(const head *w, const att_row *row, const float *x, float *out)
{
    const att_problem *p = w->rules->p;
    const int64_t kv = row->h / (p->heads_q / p->heads_kv), dv = p->value_dim;
    bool sees = false;

    for (int pass = 0; pass < 1 + sees; pass++) {
        for (int64_t d = 0; d < dv && pass; d++)
            out[d] = 0.0f;
        for (int64_t j = row->lo; j < row->hi; j++) {
            if (!att_pair_allowed(w->rules, w->seq, row, j))
                continue;
            att_load_row(p->v.data, p->v.dtype, att_key_at(p, &p->v, w->seq, kv, j), p->v.stride[3],
                         dv, w->row);
            sees |= !all_finite(w->row, dv);
            for (int64_t d = 0; d < dv && pass; d++)
                out[d] += x[j] * w->row[d];
        }
    }
}

static void chunk(const head *w, int64_t h, int64_t i0, int64_t rows, bool careful)
{
    const att_problem *p = w->rules->p;
    const int64_t dk = p->head_dim, dv = p->value_dim, n = w->seq->kv_len;

    for (int64_t r = 0; r < rows; r++)
        att_load_row(p->q.data, p->q.dtype,
                     att_tensor_at(&p->q, w->seq->at, h, w->seq->q_at + i0 + r, 0), p->q.stride[3],
                     dk, w->q + r * dk);
    if (n > 0)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n, (int)dk,
                    w->rules->scale, w->q, (int)dk, w->k, (int)dk, 0.0f, w->scores, (int)w->ld);
    for (int64_t r = 0; r < rows; r++) {
        const att_row row = att_row_of(w->rules, w->seq, h, i0 + r);
        float *x = w->scores + r * w->ld;
        att_logits(w->rules, w->seq, &row, 0, n, x);
        if (!softmax_row(w, &row, x, w->lse + r))
            for (int64_t j = 0; j < n; j++)
                x[j] = 0.0f;
    }
    if (n > 0)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)dv, (int)n, 1.0f,
                    w->scores, (int)w->ld, w->v, (int)dv, 0.0f, w->out, (int)dv);
    for (int64_t r = 0; r < rows; r++) {
        float *out = w->out + r * dv;
        const att_row row = att_row_of(w->rules, w->seq, h, i0 + r);
        for (int64_t d = 0; d < dv && n == 0; d++)
            out[d] = 0.0f;
        if (careful)
            careful_row(w, &row, w->scores + r * w->ld, out);
        const double shrink =
            p->sinks.data
                ? 1.0 / (1.0 + exp((double)att_per_head(&p->sinks, h) - (double)w->lse[r]))
                : 1.0;
        for (int64_t d = 0; d < dv; d++)
            out[d] = w->lse[r] == -INFINITY ? 0.0f : (float)((double)out[d] * shrink);
        att_store_row(p->out.data, p->out.dtype,
                      att_tensor_at(&p->out, w->seq->at, h, w->seq->q_at + i0 + r, 0),
                      p->out.stride[3], dv, out);
        if (p->lse.data)
            att_store(p->lse.data, p->lse.dtype,
                      att_tensor_at(&p->lse, 0, w->seq->at, h, w->seq->q_at + i0 + r), w->lse[r]);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    if (status)
        return status;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const int64_t rows = att_min(ROWS, p->q_len), dk = p->head_dim, dv = p->value_dim;
    head w = {.rules = &rules, .q = s->data, .ld = padded(p->kv_len)};
    w.k = w.q + rows * dk;
    w.v = w.k + p->kv_len * dk;
    w.out = w.v + p->kv_len * dv;
    w.lse = w.out + rows * dv;
    w.row = w.lse + rows;
    w.scores = w.row + dv;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        bool careful = false;
        w.seq = &seq;
        for (int64_t h = 0; h < p->heads_q && seq.q_len; h++) {
            const int64_t group = p->heads_q / p->heads_kv, kv = h / group;
            for (int64_t j = 0; j < seq.kv_len && h % group == 0; j++) {
                att_load_row(p->k.data, p->k.dtype, att_key_at(p, &p->k, &seq, kv, j),
                             p->k.stride[3], dk, w.k + j * dk);
                att_load_row(p->v.data, p->v.dtype, att_key_at(p, &p->v, &seq, kv, j),
                             p->v.stride[3], dv, w.v + j * dv);
            }
            careful = h % group == 0 ? !all_finite(w.v, seq.kv_len * dv) : careful;
            for (int64_t n = 0; n < seq.kv_len * dv && careful; n++)
                w.v[n] = isfinite(w.v[n]) ? w.v[n] : 0.0f;
            for (int64_t i = 0; i < seq.q_len; i += rows)
                chunk(&w, h, i, att_min(rows, seq.q_len - i), careful);
        }
    }
    return ATT_OK;
}

/* Every key is read once a KV head and met by every row. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const att_rules rules = att_rules_make(&open, ATT_KEEP_ALL);
    const double d = (double)(p->head_dim + p->value_dim), kv = (double)p->heads_kv;
    double pairs = 0, all = 0, rows = 0;

    (void)self, (void)params;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            pairs += (double)att_row_pairs(&rules, &seq, &row);
        }
        all += (double)seq.q_len * (double)seq.kv_len;
        rows += seq.q_len ? (double)seq.kv_len : 0;
    }
    *out = (att_cost){.keys_read = all * (double)p->heads_q,
                      .flops_useful = 2 * pairs * (double)p->heads_q * d,
                      .flops_executed = 2 * all * (double)p->heads_q * d,
                      .kv_bytes_read = rows * kv * att_row_bytes(p),
                      .state_bytes = att_cache_bytes(p, p->kv_len),
                      .k_rows = rows * kv,
                      .v_rows = rows * kv};
    return ATT_OK;
}

const att_kernel att_kernel_naive_blas = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "naive_blas",
    .family = "exact",
    .summary = "scores materialised, matrix products by OpenBLAS, f32",
    .source = "Vaswani et al. 2017, Attention is all you need",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_F32},
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
};
