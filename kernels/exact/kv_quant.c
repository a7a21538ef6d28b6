/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over quantised K and V: int8 with scales a token, channel or group, Q8_0, Q4_0, e4m3
 * and e5m2, K and V each in its own way; dequantised to f32 once a call, as far as some query
 * reaches, then tiles with an online softmax as in flash_f32.  What is not quantised is read where
 * it lies.
 *
 *   x = scale (q - zero)     s = scale q.x_k     o = sum p x_v
 *
 * Why: a cache of 8 or 4 bits is a half or a quarter of the memory; and what a scheme loses can be
 * told apart from what a kernel does wrong.
 * Bound: that of flash_f32 on the dequantised K and V, and one rounding of f32 an affine element;
 * scratch for both in f32.
 * Source: Dettmers et al. 2022, LLM.int8(); Liu et al. 2024, "KIVI"; ggml's block formats. */
#include "common/cost.h"
#include "common/flash.h"
#include "common/quant.h"

static const att_flash flash = {.keep = {.left = -1}};

/* Has neither K nor V anything to dequantise?  Then the tiles read them where they lie. */
static bool is_plain(const att_problem *p)
{
    const att_tensor *t[] = {&p->k, &p->v};

    for (int i = 0; i < 2; i++)
        if (t[i]->dtype != ATT_F32 && t[i]->dtype != ATT_F16 && t[i]->dtype != ATT_BF16)
            return false;
    return p->k_quant.scheme == ATT_QUANT_NONE && p->v_quant.scheme == ATT_QUANT_NONE;
}

/* The problem with k and v as floats in `room`, pages in the order of their keys; returns floats
 * used, a multiple of 64 bytes, or -1 on overflow. */
static int64_t as_floats(const att_problem *p, float *room, att_problem *out)
{
    const bool paged = p->block_table.data != NULL;
    const int64_t b = paged ? p->batch : p->k.shape[0], h = p->heads_kv;
    const int64_t n = paged ? p->kv_len : p->k.shape[2];
    int64_t rows, floats;

    if (__builtin_mul_overflow(b, h, &rows) || __builtin_mul_overflow(rows, n, &rows) ||
        __builtin_mul_overflow(rows, p->head_dim + p->value_dim, &floats) ||
        floats > INT64_MAX / 64)
        return -1;
    *out = att_unquantised(p);
    out->block_table = (att_tensor){0};
    out->page_size = 0;
    out->k = att_tensor_dense(room, ATT_F32, b, h, n, p->head_dim);
    out->v =
        att_tensor_dense(room ? room + rows * p->head_dim : NULL, ATT_F32, b, h, n, p->value_dim);
    return att_round_up(floats, 16);
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self, (void)params;
    return att_accept_quantised(&accept, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    att_problem f;
    (void)self, (void)op, (void)params;
    if (is_plain(p))
        return att_flash_plan(p, &flash, out);
    const int64_t floats = as_floats(p, NULL, &f);
    if (floats < 0 || att_flash_plan(&f, &flash, out))
        return ATT_NO_MEMORY;
    out->scratch_bytes += (size_t)floats * sizeof(float);
    return ATT_OK;
}

/* Keys of sequence b that some query may reach: no others are dequantised. */
static att_run reach_of(const att_problem *p, int64_t b)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const att_seq seq = att_seq_of(p, b);
    return att_seq_reach(&rules, &seq);
}

/* Rows are dequantised once. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const double bytes = att_element_bytes(p->k.dtype) * (double)p->head_dim +
                         att_element_bytes(p->v.dtype) * (double)p->value_dim;
    double rows = 0;
    (void)self, (void)params;

    const att_status status = att_flash_cost(p, &flash, out);
    if (status || is_plain(p))
        return status;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_run reach = reach_of(p, b);
        rows += (double)(p->heads_kv * (reach.hi - reach.lo));
    }
    out->keys_read = fmax(out->keys_read, rows);
    out->kv_bytes_read = rows * bytes;
    out->state_bytes = (double)p->batch * (double)p->heads_kv * bytes *
                       (double)att_tokens_kept(p, &flash.keep);
    out->k_rows = out->v_rows = rows;
    out->v_run = 0;
    return ATT_OK;
}

typedef struct job {
    const att_problem *from, *to;
} job;

/* Dequantises one head of one sequence. */
static void body(void *arg, int64_t i, int thread)
{
    const job *w = arg;
    const att_problem *p = w->from, *f = w->to;
    const int64_t b = i / p->heads_kv, h = i % p->heads_kv;
    const att_run reach = reach_of(p, b);
    const att_seq from = att_seq_of(p, b), to = att_seq_of(f, b);

    (void)thread;
    for (int64_t j = reach.lo; j < reach.hi; j++) {
        att_quant_key(p, &p->k, &p->k_quant, &from, h, j, p->head_dim,
                      (float *)f->k.data + att_key_at(f, &f->k, &to, h, j));
        att_quant_key(p, &p->v, &p->v_quant, &from, h, j, p->value_dim,
                      (float *)f->v.data + att_key_at(f, &f->v, &to, h, j));
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_plan need = {0};
    att_problem f;
    att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);

    if (status == ATT_OK)
        status = plan(self, ATT_OP_ATTEND, p, s->params, &need);
    if (status == ATT_OK && s->bytes < need.scratch_bytes)
        status = ATT_NO_MEMORY;
    if (status == ATT_OK && !att_contents_hold(p))
        status = ATT_INVALID;
    if (status)
        return status;
    if (is_plain(p))
        return att_flash_attend(p, &flash, s);
    const int64_t floats = as_floats(p, s->data, &f);
    const job w = {p, &f};
    att_scratch rest = *s;
    rest.data = (float *)s->data + floats;
    rest.bytes = s->bytes - (size_t)floats * sizeof(float);
    if (p->batch * p->heads_kv > 0)
        s->host->parallel_for(s->host, p->batch * p->heads_kv, body, (void *)(uintptr_t)&w);
    return att_flash_attend(&f, &flash, &rest);
}

const att_kernel att_kernel_kv_quant = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kv_quant",
    .family = "exact",
    .summary = "quantised K and V dequantised once, then tiled online softmax",
    .source = "Liu et al. 2024, KIVI; ggml's Q8_0 and Q4_0; OCP fp8",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
};
