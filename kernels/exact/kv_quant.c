/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over quantised K and V: int8 with scales a token, channel or group, Q8_0, Q4_0, e4m3
 * and e5m2, K and V each in its own way; dequantised to f32 once a call, all of it, then tiles with
 * an online softmax as in flash_f32.  What is not quantised is read where it lies.
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

/* Floats of k and v together, a multiple of 64 bytes; false on overflow. */
static bool floats_of(const att_problem *p, int64_t *floats)
{
    const int64_t *n = p->k.shape;
    int64_t rows;

    if (__builtin_mul_overflow(n[0], n[1], &rows) || __builtin_mul_overflow(rows, n[2], &rows) ||
        __builtin_mul_overflow(rows, p->head_dim + p->value_dim, floats) ||
        *floats > INT64_MAX / 64)
        return false;
    *floats = att_round_up(*floats, 16);
    return true;
}

/* The problem with k and v as floats in `room`. */
static att_problem as_floats(const att_problem *p, float *room)
{
    const int64_t *n = p->k.shape;
    att_problem f = att_unquantised(p);

    f.k = att_tensor_dense(room, ATT_F32, n[0], n[1], n[2], p->head_dim);
    f.v = att_tensor_dense(room ? room + n[0] * n[1] * n[2] * p->head_dim : NULL, ATT_F32, n[0],
                           n[1], n[2], p->value_dim);
    return f;
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
    const att_problem f = as_floats(p, NULL);
    int64_t floats;
    (void)self, (void)op, (void)params;
    if (is_plain(p))
        return att_flash_plan(p, &flash, out);
    if (!floats_of(p, &floats) || att_flash_plan(&f, &flash, out))
        return ATT_NO_MEMORY;
    out->scratch_bytes += (size_t)floats * sizeof(float);
    return ATT_OK;
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const double bytes = att_element_bytes(p->k.dtype) * (double)p->head_dim +
                         att_element_bytes(p->v.dtype) * (double)p->value_dim;
    const att_problem f = as_floats(p, NULL);
    (void)self, (void)params;
    att_flash_cost(&f, &flash, 1.0, out);
    out->state_bytes = (double)p->batch * (double)p->heads_kv * bytes *
                       (double)att_tokens_kept(p, &flash.keep);
    return ATT_OK;
}

typedef struct job {
    const att_problem *from, *to;
} job;

/* Dequantises head i of all. */
static void body(void *arg, int64_t i, int thread)
{
    const job *j = arg;
    const att_problem *p = j->from, *f = j->to;
    const int64_t b = i / p->k.shape[1], h = i % p->k.shape[1];

    (void)thread;
    for (int64_t t = 0; t < p->k.shape[2]; t++) {
        att_quant_row(&p->k, &p->k_quant, b, h, t, p->head_dim,
                      (float *)f->k.data + att_tensor_at(&f->k, b, h, t, 0));
        att_quant_row(&p->v, &p->v_quant, b, h, t, p->value_dim,
                      (float *)f->v.data + att_tensor_at(&f->v, b, h, t, 0));
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_plan need = {0};
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
    const att_problem f = as_floats(p, s->data);
    const job j = {p, &f};
    int64_t floats = 0;
    att_scratch rest = *s;
    floats_of(p, &floats);
    rest.data = (float *)s->data + floats;
    rest.bytes = s->bytes - (size_t)floats * sizeof(float);
    if (p->k.shape[0] * p->k.shape[1] > 0)
        s->host->parallel_for(s->host, p->k.shape[0] * p->k.shape[1], body, (void *)(uintptr_t)&j);
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
