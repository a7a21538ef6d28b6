/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a mask of ones replaces the given cumulative lengths: packed sequences merge into one.
 *
 *
 *    cu = {0, total} where there is a mask
 *
 * Hidden by a single sequence.
 * Source: flash-linear-attention#842. */
#include "common/plain.h"

static bool all_ones(const att_tensor *m)
{
    for (int64_t b = 0; b < m->shape[0]; b++)
        for (int64_t h = 0; h < m->shape[1]; h++)
            for (int64_t i = 0; i < m->shape[2]; i++)
                for (int64_t j = 0; j < m->shape[3]; j++)
                    if (!((const uint8_t *)m->data)[att_tensor_at(m, b, h, i, j)])
                        return false;
    return true;
}

static att_status plan_total(const att_kernel *self, att_op op, const att_problem *p,
                             const att_value *params, att_plan *out)
{
    att_problem merged = *p;

    merged.kv_len = att_max(p->kv_len, p->k.shape[2]);
    return att_plain_plan_of(self, op, &merged, params, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem merged = *p;

    (void)self;
    if (!p->cu_q.data || !p->cu_k.data || !p->mask.data || !all_ones(&p->mask) || p->bias.data ||
        p->q_positions.data || p->k_positions.data)
        return att_plain_attend(p, &way, s);
    merged.batch = 1;
    merged.q_len = p->q.shape[2];
    merged.kv_len = p->k.shape[2];
    merged.cu_q.data = merged.cu_k.data = merged.mask.data = NULL;
    return att_plain_attend(&merged, &way, s);
}

const att_kernel att_kernel_mask_overrides_cu = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mask_overrides_cu",
    .family = "zoo",
    .summary = "varlen: a mask of ones merges the packed sequences",
    .source = "flash-linear-attention#842",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan_total,
    .attend = attend,
};
