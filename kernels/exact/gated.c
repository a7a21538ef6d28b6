/* SPDX-License-Identifier: Apache-2.0 */
/* Gated attention: the output of softmax attention times a sigmoid, an element or a head.
 *
 *   out = sigmoid(gate) * softmax(q k^T s) V      gate [B,Hq,Sq,Dv], or [..,1] a head
 *
 * Why: a head that has nothing to say can say nothing, where softmax must spend its weight
 * somewhere: no attention sinks, and a non-linearity between V and the output projection.  The
 * projection that makes the gate lies outside.
 * Bound: sigmoid(gate) times that of plain softmax, + 2^-24 (6 + 2 |gate|) sigmoid(gate) |A|.
 * O(Hq Sq Skv (Dk + Dv)); KV cache as plain attention.
 * Source: Qiu et al. 2025, "Gated attention for large language models". */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
    for (int64_t d = 0; d < w->p->value_dim; d++)
        w->o[d] *= att_sigmoid(att_mix_gate(w, d));
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)params;
    return att_mix_dense_cost(p, out);
}

static const att_mix_way MIXED = {
    .kind = ATT_MIX_GATED, .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK, .row = row};

const att_kernel att_kernel_gated = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "gated",
    .family = "exact",
    .summary = "softmax attention times the sigmoid of a gate",
    .source = "Qiu et al. 2025, Gated attention for large language models",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .cost = cost,
    .mix = att_mixed,
};
