/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the sum of decays starts at the key's own token.
 *
 *    sum over j <= l <= p     meant: j < l <= p
 *
 * Hidden by decays near 0.
 * Source: an exclusive prefix sum where an inclusive one is meant. */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const att_tensor *f = &w->p->mix->forget;
    int64_t l = w->row.position;
    double sum = 0;

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    for (int64_t c = w->n - 1; c >= 0; c--) {
        for (; l >= w->j[c]; l--)
            sum += (double)att_load(f->data, f->dtype, att_tensor_at(f, 0, w->seq.b, w->row.h, l));
        w->x[c] += (float)sum;
    }
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_FORGETTING,
                                  .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK,
                                  .row = row};

const att_kernel att_kernel_forget_includes_key = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "forget_includes_key",
    .family = "zoo",
    .summary = "decay: the key's own forget gate is in the sum",
    .source = "an exclusive prefix sum where an inclusive one is meant",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
