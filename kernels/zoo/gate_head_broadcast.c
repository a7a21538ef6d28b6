/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the first head's gate is applied to all heads.
 *
 *    sigmoid(gate[b,0,i,d])     meant: gate[b,h,i,d]
 *
 * Hidden by one head.
 * Source: a gate of [B,S,Hq,Dv] broadcast over its head dimension. */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const att_tensor *g = &w->p->mix->gate;

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
    for (int64_t d = 0; d < w->p->value_dim; d++)
        w->o[d] *=
            att_sigmoid(att_load(g->data, g->dtype, att_broadcast_at(g, w->seq.b, 0, w->row.i, d)));
}

static const att_mix_way MIXED = {
    .kind = ATT_MIX_GATED, .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK, .row = row};

const att_kernel att_kernel_gate_head_broadcast = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gate_head_broadcast",
    .family = "zoo",
    .summary = "gate: that of head 0 for every head",
    .source = "a gate of [B,S,Hq,Dv] broadcast over its head dimension",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
