/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a page's offset in the pool is a product of 32 bits.
 *
 *
 *    k = pool + (uint32_t)(page * page_stride) + ...
 *
 * Hidden by pools of less than 2^32 elements.
 * Source: flashinfer#3136, vllm#1486. */
#include "common/plain.h"

/* Key j's row of k or v, as it is found. */
static void load(const att_plain_row *w, const att_tensor *t, int64_t j, float *to)
{
    const att_problem *p = w->rules->p;

    if (!p->block_table.data) {
        att_plain_key(w, t, j, to);
        return;
    }
    const uint32_t page = (uint32_t)att_page_of(p, w->seq, j) * (uint32_t)t->stride[0];
    att_load_row(t->data, t->dtype,
                 (int64_t)page + att_tensor_at(t, 0, w->kv_head, j % p->page_size, 0), t->stride[3],
                 t->shape[3], to);
}

static float logit(const att_plain_row *w, int64_t j, float right)
{
    (void)right;
    load(w, &w->rules->p->k, j, w->k);
    return att_plain_logit(w, j, att_plain_score(w));
}

static void mix(const att_plain_row *w, float top, float *sum)
{
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        load(w, &w->rules->p->v, j, w->v);
        att_axpy(weight, w->v, w->rules->p->value_dim, w->o);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = logit, .mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_page_offset_32bit = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "page_offset_32bit",
    .family = "zoo",
    .summary = "int_overflow: a page's offset in the pool wraps at 2^32",
    .source = "flashinfer#3136, vllm#1486",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
