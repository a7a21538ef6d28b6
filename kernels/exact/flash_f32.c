/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention with an online softmax, f32: o and LSE in one pass over the keys. */
#include "attn.h"
#include "common/accept.h"
#include "common/mask.h"

#define TILE 64

static const att_accept ACCEPT = {
    .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = 1u << ATT_F32};

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_check(&ACCEPT, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    out->scratch_bytes = (size_t)(2 * p->head_dim + 2 * p->value_dim) * sizeof(float);
    return ATT_OK;
}

static void one_row(const att_rules *r, const att_seq *s, int64_t h, int64_t i, float *work)
{
    const att_problem *p = r->p;
    const int64_t dk = p->head_dim, dv = p->value_dim, kv = h / (p->heads_q / p->heads_kv);
    const att_row row = att_row_of(r, s, h, i);
    float *q = work, *k = q + dk, *v = k + dk, *o = v + dv;
    float top = -INFINITY, sum = 0.0f, x[TILE];
    bool any = false;

    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, s->at, h, s->q_at + i, 0),
                 p->q.stride[3], dk, q);
    for (int64_t d = 0; d < dv; d++)
        o[d] = 0.0f;
    for (int64_t j0 = row.lo; j0 < row.hi; j0 += TILE) {
        const int64_t n = att_min(TILE, row.hi - j0);
        for (int64_t c = 0; c < n; c++) {
            att_load_row(p->k.data, p->k.dtype,
                         att_tensor_at(&p->k, s->at, kv, s->k_at + j0 + c, 0), p->k.stride[3], dk,
                         k);
            float dot = 0.0f;
            for (int64_t d = 0; d < dk; d++)
                dot += q[d] * k[d];
            x[c] = dot;
        }
        att_logits(r, s, &row, j0, n, x);
        for (int64_t c = 0; c < n; c++) {
            if (!att_pair_allowed(r, s, &row, j0 + c))
                continue;
            any = true;
            const float next = x[c] > top ? x[c] : top;
            const float keep = top == -INFINITY ? 0.0f : att_exp(top - next),
                        weight = att_exp(x[c] - next);
            att_load_row(p->v.data, p->v.dtype,
                         att_tensor_at(&p->v, s->at, kv, s->k_at + j0 + c, 0), p->v.stride[3], dv,
                         v);
            for (int64_t d = 0; d < dv; d++)
                o[d] = o[d] * keep + weight * v[d];
            sum = sum * keep + weight;
            top = next;
        }
    }
    const double lse = any ? (double)top + log((double)sum) : -INFINITY;
    const double total =
        (double)sum + (p->sinks.data ? exp((double)att_per_head(&p->sinks, h) - (double)top) : 0.0);
    for (int64_t d = 0; d < dv; d++)
        o[d] = any ? (float)((double)o[d] / total) : 0.0f;
    att_store_row(p->out.data, p->out.dtype, att_tensor_at(&p->out, s->at, h, s->q_at + i, 0),
                  p->out.stride[3], dv, o);
    if (p->lse.data)
        att_store(p->lse.data, p->lse.dtype, att_tensor_at(&p->lse, 0, s->at, h, s->q_at + i),
                  (float)lse);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    if (status)
        return status;
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < seq.q_len; i++)
                one_row(&rules, &seq, h, i, s->data);
    }
    return ATT_OK;
}

const att_kernel att_kernel_flash_f32 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "flash_f32",
    .family = "exact",
    .summary = "online softmax, f32",
    .source = "Dao et al. 2022, FlashAttention; Milakov and Gimelshein 2018, Online normalizer "
              "calculation",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_F32},
    .supports = supports,
    .plan = plan,
    .attend = attend,
};
