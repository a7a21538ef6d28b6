/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: decays are summed up to the row's number, not to its position behind the cache.
 *
 *    sum over j < l <= i     meant: j < l <= i + kv_len - Sq
 *
 * Hidden by as many queries as keys.
 * Source: decoding with a cache: the offset of chunked prefill forgotten in the bias. */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const att_tensor *f = &w->p->mix->forget;

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    for (int64_t c = 0; c < w->n; c++) {
        double sum = 0;
        for (int64_t l = w->j[c] + 1; l <= w->row.i && l < w->seq.kv_len; l++)
            sum += (double)att_load(f->data, f->dtype, att_tensor_at(f, 0, w->seq.b, w->row.h, l));
        w->x[c] += (float)sum;
    }
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_FORGETTING,
                                  .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK,
                                  .row = row};

const att_kernel att_kernel_forget_row_not_position = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "forget_row_not_position",
    .family = "zoo",
    .summary = "decay: up to the number of the row, not to its position",
    .source = "decoding with a cache: the offset of chunked prefill forgotten in the bias",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
