/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: differential attention's lambda is taken by kv head, not by query head.
 *
 *    lambda[h / group]     meant: lambda[h]
 *
 * Hidden by one query head a kv head, and by one lambda for all.
 * Source: grouped heads: per-head parameters indexed after the heads were folded. */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const int64_t half = w->p->head_dim / 2;
    const double scale = isnan(w->p->scale) ? 1 / sqrt((double)half) : w->p->scale;

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, half, (float)scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_scores(w, half, half, (float)scale, w->y);
    att_mix_soften(w, w->n, w->y);
    for (int64_t c = 0; c < w->n; c++)
        w->x[c] -= att_per_head(&w->p->mix->lambda, w->kv_head) * w->y[c];
    att_mix_add(w, 1.0f, w->x);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_DIFFERENTIAL,
                                  .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK,
                                  .row = row};

const att_kernel att_kernel_differential_lambda_kv_head = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "differential_lambda_kv_head",
    .family = "zoo",
    .summary = "lambda: of head h / group, not of head h",
    .source = "grouped heads: per-head parameters indexed after the heads were folded",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
