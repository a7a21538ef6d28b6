/* SPDX-License-Identifier: Apache-2.0 */
/* Differential attention: two softmaxes over the halves of q and k, their difference times V.
 *
 *   out = (softmax(q1 k1^T s) - lambda_h softmax(q2 k2^T s)) V      s = (Dk/2)^-1/2
 *
 * Why: what both maps agree to look at by habit (first tokens, noise) cancels, as common-mode noise
 * does in a differential amplifier.  The norm a head and the factor 1 - lambda_init that follow in
 * the paper lie outside; lambda is one number a query head.
 * Bound: the two softmaxes' bounds, |lambda| times the second's, + 2^-24 (|A1| + 2 |lambda A2|).
 * O(Hq Sq Skv (Dk + Dv)): as one attention of head_dim Dk; V is read once.  KV cache as that of
 * attention with these Dk and Dv.
 * Source: Ye et al. 2024, "Differential transformer". */
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const int64_t half = w->p->head_dim / 2;
    const double scale = isnan(w->p->scale) ? 1 / sqrt((double)half) : w->p->scale;
    const float lambda = att_per_head(&w->p->mix->lambda, w->row.h);

    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, half, (float)scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_scores(w, half, half, (float)scale, w->y);
    att_mix_soften(w, w->n, w->y);
    for (int64_t c = 0; c < w->n; c++)
        w->x[c] -= lambda * w->y[c];
    att_mix_add(w, 1.0f, w->x);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)params;
    return att_mix_dense_cost(p, out);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_DIFFERENTIAL,
                                  .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK,
                                  .row = row};

const att_kernel att_kernel_differential = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "differential",
    .family = "exact",
    .summary = "the difference of two softmax attentions, the second times lambda",
    .source = "Ye et al. 2024, Differential transformer",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .cost = cost,
    .mix = att_mixed,
};
