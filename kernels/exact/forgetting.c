/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting attention: logits lose what the forget gates between key and query take.
 *
 *   x_ij = s q_i . k_j + sum_{j < l <= p_i} ln f_l     out = softmax(x) V
 *
 * Why: the decay of a gated recurrence put on softmax attention: recency that is learned and
 * depends on the data, in place of positional embeddings.  It is attention under a dense bias that
 * is never stored: [B,Hq,Skv] numbers say all of it.
 * Bound: that of attention with this bias; the sums run from the query back to the key, in f64, so
 * that nothing cancels.  O(Hq Sq Skv (Dk + Dv)); KV cache as plain attention, and one number a head
 * and token.
 * Source: Lin et al. 2025, "Forgetting transformer: softmax attention with a forget gate". */
#include "common/mixed.h"

/* Adds to each logit the log decays of the tokens after its key, from the query back. */
static void forget(att_mix_work *w)
{
    const att_tensor *f = &w->p->mix->forget;
    int64_t l = w->row.position;
    double sum = 0;

    for (int64_t c = w->n - 1; c >= 0; c--) {
        for (; l > w->j[c]; l--)
            sum += (double)att_load(f->data, f->dtype, att_tensor_at(f, 0, w->seq.b, w->row.h, l));
        w->x[c] += (float)sum;
    }
}

static void row(att_mix_work *w)
{
    att_mix_list(w, 0, INT64_MAX);
    att_mix_scores(w, 0, w->p->head_dim, w->rules.scale, w->x);
    forget(w);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)params;
    const att_status status = att_mix_dense_cost(p, out);
    out->state_bytes += (double)p->batch * (double)p->heads_q * (double)p->kv_len * sizeof(float);
    return status;
}

static const att_mix_way MIXED = {.kind = ATT_MIX_FORGETTING,
                                  .can = ATT_CAN_BIAS | ATT_CAN_SINK_LOGITS | ATT_CAN_MASK,
                                  .row = row};

const att_kernel att_kernel_forgetting = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "forgetting",
    .family = "exact",
    .summary = "softmax attention whose logits decay by data-dependent forget gates",
    .source = "Lin et al. 2025, Forgetting transformer",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .cost = cost,
    .mix = att_mixed,
};
