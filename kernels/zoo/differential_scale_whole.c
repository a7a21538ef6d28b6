/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: differential attention scales by the whole width of q and k, not by that of a half.
 *
 *    s = Dk^-1/2     meant: (Dk/2)^-1/2
 *
 * Hidden by a scale that is given.
 * Source: the convention of a fused kernel that is handed both halves as one head. */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const int64_t half = w->p->head_dim / 2;

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, half, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_scores(w, half, half, w->rules.scale, w->y);
    att_mix_soften(w, w->n, w->y);
    for (int64_t c = 0; c < w->n; c++)
        w->x[c] -= att_per_head(&w->p->mix->lambda, w->row.h) * w->y[c];
    att_mix_add(w, 1.0f, w->x);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_DIFFERENTIAL,
                                  .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK,
                                  .row = row};

const att_kernel att_kernel_differential_scale_whole = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "differential_scale_whole",
    .family = "zoo",
    .summary = "scale: that of both halves together, not of one",
    .source = "the convention of a fused kernel that is handed both halves as one head",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
