/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the gate is applied to the running sums, those of the denominator too.
 *
 *    o = g sum w v / (g sum w)     meant: g sum w v / sum w
 *
 * Hidden by open gates.
 * Source: an epilogue fused before the last rescaling. */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
    for (int64_t d = 0; d < w->p->value_dim; d++) {
        const float gate = att_sigmoid(att_mix_gate(w, d));
        w->o[d] = gate > 0.0f ? w->o[d] * gate / gate : 0.0f;
    }
}

static const att_mix_way MIXED = {
    .kind = ATT_MIX_GATED, .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK, .row = row};

const att_kernel att_kernel_gate_before_normalising = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gate_before_normalising",
    .family = "zoo",
    .summary = "gate: applied before the division, to numerator and denominator",
    .source = "an epilogue fused before the last rescaling",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
