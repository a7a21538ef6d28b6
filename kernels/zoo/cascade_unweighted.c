/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: prefix and suffix are merged by their sums, not by their log-sum-exps.
 *
 *    l = l1 + l2, o = o1 + o2, m = max(m1, m2)      (right: each times e^(m_i - m))
 *
 * Hidden where nothing is shared, or where both maxima are alike.
 * Source: what a two-level cascade does that passes values on without their LSE, as FlashInfer's
 * MultiLevelCascadeAttentionWrapper needs them. */
#include "common/cascade.h"

static void merge(const att_parts *w, const att_part_rows *r)
{
    const int64_t fold = w->p->heads_q / w->p->heads_kv, dv = w->p->value_dim;

    for (int64_t h = r->kv_head * fold; h < (r->kv_head + 1) * fold; h++)
        for (int64_t i = r->i0; i < r->i1; i++) {
            float *a = att_part_at(w, 0, r->seq.b, h, i);
            const float *b = att_part_at(w, 1, r->seq.b, h, i);
            for (int64_t d = 0; d < dv; d++)
                a[d] += b[d];
            a[dv + 1] += b[dv + 1];
            a[dv] = b[dv] > a[dv] ? b[dv] : a[dv];
        }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_cascade way = {.merge = merge};
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_cascade_attend(p, &way, s);
}

const att_kernel att_kernel_cascade_unweighted = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "cascade_unweighted",
    .family = "zoo",
    .summary = "memory: a shared prefix merged without LSE weights",
    .source = "FlashInfer cascade, merge_state",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_cascade_supports,
    .plan = att_cascade_plan,
    .attend = attend,
};
