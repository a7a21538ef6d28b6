/* SPDX-License-Identifier: Apache-2.0 */
/* Gated kNN memory: attention over the far keys nearest to the query, and over the last keys, each
 * a softmax of its own, mixed by a gate.
 *
 *   out = g A(q; the `keep` far keys of largest logit) + (1 - g) A(q; the last `window` keys)
 *
 * Why: a learned gate a head says how much of a layer is memory: heads that need none turn it off,
 * and what is retrieved never competes with the near keys inside one softmax (knn_memory's does).
 * The paper's memory holds keys of earlier segments; here it is what lies before the window.
 * Bound: the two parts' bounds, |g| and |1 - g| times, + 2^-24 3 (|g A_far| + |(1 - g) A_near|).
 * Which far keys they are is decided on f32 logits.  O(S^2 Dk + S (keep + window) Dv), the search
 * being exact; the KV cache is kept whole.
 * Source: Wu et al. 2022, "Memorizing transformers". */
#include "common/choose.h"
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const att_problem *p = w->p;
    const att_mix *m = p->mix;
    const int64_t near = att_add_clamped(w->row.position, 1 - m->window);
    const float gate = att_mix_gate(w, 0);

    att_mix_list(w, 0, near - 1);
    att_mix_scores(w, 0, p->head_dim, w->rules.scale, w->x);
    w->n = att_choose(w->x, w->n, 0, m->keep, w->j, w->y);
    att_mix_soften(w, w->n, w->y);
    att_mix_add(w, gate, w->y);
    att_mix_list(w, near, w->row.position);
    att_mix_scores(w, 0, p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f - gate, w->x);
}

/* Without a section: 32 keys, as in the paper, and a window of 512. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    static const att_mix paper = {.keep = 32, .window = 512};
    const att_mix *m = p->mix ? p->mix : &paper;
    const double dk = (double)p->head_dim, dv = (double)p->value_dim;
    const double bytes = (double)att_dtype_size(p->k.dtype);
    double all = 0, kept = 0, rows = 0;

    (void)self, (void)params;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        rows += seq.q_len > 0 ? (double)(p->heads_kv * seq.kv_len) : 0; /* the last one's */
        for (int64_t i = 0; i < seq.q_len; i++) {
            const int64_t seen = att_max(0, i + seq.kv_len - seq.q_len + 1);
            const int64_t far = att_max(0, seen - m->window);
            all += (double)p->heads_q * (double)seen;
            kept += (double)p->heads_q * (double)(seen - far + att_min(far, m->keep));
        }
    }
    *out = (att_cost){.keys_read = all,
                      .flops_useful = 2 * kept * (dk + dv),
                      .flops_executed = 2 * (all * dk + kept * dv),
                      .kv_bytes_read = (all * dk + kept * dv) * bytes,
                      .state_bytes = (double)p->batch * (double)p->heads_kv * (double)p->kv_len *
                                     (dk + dv) * bytes,
                      .k_rows = rows,
                      .v_rows = fmin(kept, rows),
                      .v_run = 1};
    return ATT_OK;
}

static const att_mix_way MIXED = {.kind = ATT_MIX_MEMORY, .row = row};

const att_kernel att_kernel_knn_gated = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "knn_gated",
    .family = "memory",
    .summary = "the nearest far keys and the last keys, two softmaxes mixed by a gate",
    .source = "Wu et al. 2022, Memorizing transformers",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .cost = cost,
    .mix = att_mixed,
};
