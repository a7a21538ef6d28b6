/* SPDX-License-Identifier: Apache-2.0 */
/* A third party's kernel in one file: start here, rename, and run it with
 *
 *   cc -O2 -shared -fPIC -I<attest>/kernels template.c -o my.so -lm
 *   attest run --kernel plugin:./my.so
 *
 *   o_i = sum_j softmax_j(scale q_i . k_j) v_j, row by row, in double
 *
 * Needs nothing but attn.h.  It says what it can't do in `supports`; whatever it accepts it is
 * judged by.
 * Bound: f64 sums, one rounding to the f32 output. */
#include "attn.h"

#include <stdio.h>

static int shaped(const att_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return t->data && t->dtype == ATT_F32 && t->shape[0] == a && t->shape[1] == b &&
           t->shape[2] == c && t->shape[3] == d;
}

/* Is it a problem of this ABI, whose tensors are what its sizes say?  Nothing is read before. */
static int sound(const att_problem *p)
{
    return p->abi >> 16 == ATT_ABI_MAJOR && p->struct_size >= sizeof *p && p->batch >= 0 &&
           p->q_len >= 0 && p->kv_len >= 0 && p->head_dim > 0 && p->value_dim > 0 &&
           p->heads_q >= 0 && p->heads_kv > 0 && p->heads_q % p->heads_kv == 0 &&
           p->window_left >= -1 && p->window_right >= -1 && p->softcap >= 0 &&
           shaped(&p->q, p->batch, p->heads_q, p->q_len, p->head_dim) &&
           shaped(&p->k, p->batch, p->heads_kv, p->kv_len, p->head_dim) &&
           shaped(&p->v, p->batch, p->heads_kv, p->kv_len, p->value_dim) &&
           shaped(&p->out, p->batch, p->heads_q, p->q_len, p->value_dim) &&
           (!p->lse.data || shaped(&p->lse, 1, p->batch, p->heads_q, p->q_len));
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    const int plain = !p->bias.data && !p->mask.data && !p->alibi_slopes.data && !p->sinks.data &&
                      !p->block_mask.data && !p->q_positions.data && !p->k_positions.data &&
                      !p->cu_q.data && !p->cu_k.data && !p->q_lengths.data && !p->kv_lengths.data;

    (void)self, (void)params;
    if (op == ATT_OP_ATTEND && sound(p) && plain && !p->flags && p->acc_dtype == ATT_F32 &&
        !p->k_quant.scheme && !p->v_quant.scheme && !p->page_size && !(p->softcap > 0) &&
        p->window_left < 0 && p->window_right < 0 && p->causal <= ATT_CAUSAL_BOTTOM_RIGHT)
        return ATT_OK;
    snprintf(why->text, sizeof why->text,
             "only plain f32 attention, causal or not, whose tensors fit its sizes");
    return ATT_UNSUPPORTED;
}

static double score(const att_problem *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const float *q = (const float *)p->q.data + att_tensor_at(&p->q, b, h, i, 0);
    const float *k = (const float *)p->k.data +
                     att_tensor_at(&p->k, b, h / (p->heads_q / p->heads_kv), j, 0);
    double dot = 0;
    for (int64_t d = 0; d < p->head_dim; d++)
        dot += (double)q[d * p->q.stride[3]] * (double)k[d * p->k.stride[3]];
    return att_scale(p) * dot;
}

static void one_row(const att_problem *p, int64_t b, int64_t h, int64_t i, double *s)
{
    int64_t n = p->kv_len, hk = h / (p->heads_q / p->heads_kv);
    double top = -(double)INFINITY, sum = 0;

    if (p->causal)
        n = i + 1 + (p->causal == ATT_CAUSAL_BOTTOM_RIGHT ? p->kv_len - p->q_len : 0);
    if (n > p->kv_len)
        n = p->kv_len;
    for (int64_t j = 0; j < n; j++) {
        s[j] = score(p, b, h, i, j);
        top = s[j] > top || isnan(s[j]) ? s[j] : top;
    }
    for (int64_t j = 0; j < n; j++)
        sum += s[j] = exp(s[j] - top);
    for (int64_t d = 0; d < p->value_dim; d++) {
        double o = 0;
        for (int64_t j = 0; j < n; j++)
            o += s[j] * (double)((const float *)p->v.data)[att_tensor_at(&p->v, b, hk, j, d)];
        ((float *)p->out.data)[att_tensor_at(&p->out, b, h, i, d)] = n > 0 ? (float)(o / sum)
                                                                           : 0.0f;
    }
    if (p->lse.data)
        ((float *)p->lse.data)[att_tensor_at(&p->lse, 0, b, h, i)] = n > 0 ? (float)(top + log(sum))
                                                                           : -INFINITY;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    out->scratch_bytes = (size_t)p->kv_len * sizeof(double);
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_reason why;
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, &why);

    if (status != ATT_OK)
        return status;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++)
                one_row(p, b, h, i, s->data);
    return ATT_OK;
}

static const att_kernel template_f64 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "template_f64",
    .family = "exact",
    .summary = "plain softmax attention in double: a plugin to start from",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F64, .prob = ATT_F64, .out = ATT_F32},
    .supports = supports,
    .plan = plan,
    .attend = attend,
};

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count);

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count)
{
    static const att_kernel *const kernels[] = {&template_f64};
    if (host_abi >> 16 != ATT_ABI_MAJOR)
        return NULL;
    *count = 1;
    return kernels;
}
