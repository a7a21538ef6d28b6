/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the present cache is sized from its capacity, so every step copies all of it, used or not,
 * before it attends.
 *
 * Hidden to every numeric check: the output is right.  Here the copy lies in scratch.
 * Source: ROCm/hip-ep#753. */
#include "common/plain.h"

static int64_t copied(const att_problem *p)
{
    return p->cu_k.data || p->page_size ? 0 : p->batch * p->heads_kv * p->kv_len;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    const att_status status = att_plain_plan_of(self, op, p, params, out);
    out->scratch_bytes += (size_t)(copied(p) * (p->head_dim + p->value_dim)) * sizeof(float);
    return status;
}

static att_tensor copy(const att_problem *p, const att_tensor *from, float *to)
{
    const att_tensor out =
        att_tensor_dense(to, ATT_F32, p->batch, p->heads_kv, p->kv_len, from->shape[3]);

    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads_kv; h++)
            for (int64_t j = 0; j < p->kv_len; j++) /* meant: up to the used length */
                att_load_row(from->data, from->dtype, att_tensor_at(from, b, h, j, 0),
                             from->stride[3], from->shape[3], to + att_tensor_at(&out, b, h, j, 0));
    return out;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem present = *p;
    att_scratch rest = *s;
    const int64_t rows = copied(p);

    (void)self;
    if (rows) {
        float *room = s->data;
        present.k = copy(p, &p->k, room);
        present.v = copy(p, &p->v, room + rows * p->head_dim);
        rest.data = room + rows * (p->head_dim + p->value_dim);
        rest.bytes -= (size_t)(rows * (p->head_dim + p->value_dim)) * sizeof(float);
    }
    return att_plain_attend(&present, &way, &rest);
}

const att_kernel att_kernel_kv_recopied_per_token = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kv_recopied_per_token",
    .family = "zoo",
    .summary = "performance_regression: the whole capacity of the cache is copied every step",
    .source = "ROCm/hip-ep#753",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
