/* SPDX-License-Identifier: Apache-2.0 */
/* Native sparse attention: pooled blocks for the overview, the blocks that the overview points at
 * in full, and the last keys; three softmaxes weighed by three gates.
 *
 *   out = g0 A(q; means of blocks) + g1 A(q; keys of `keep` blocks) + g2 A(q; last `window` keys)
 *   blocks: the query's own, the first, the one before its own, then those of the largest sums of
 *   compressed probabilities over the query heads of a GQA group, which all read the same blocks
 *
 * Why: sparse from training on: whole blocks are read, so that memory is streamed, and one group's
 * heads share them.  The paper pools by a learned MLP with positions inside the block and takes its
 * gates from another: both lie outside of the operator, which pools by the mean and is given gates;
 * its compression blocks are the selection blocks, without overlap.
 * Bound: the three parts' bounds weighed by |gate|; the pooled keys add block 2^-24 a_j to a logit.
 * Which blocks they are is decided on f32 probabilities.  Attended: Skv / block + keep block +
 * window a row.  Here each call pools anew and so reads all K and V once a kv head; a cache would
 * keep the pooled rows, (Dk + Dv) / block a token.
 * Source: Yuan et al. 2025, "Native sparse attention". */
#include "common/nsa.h"
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    static const att_nsa_way way = {0};
    att_nsa_row(w, &way);
}

/* Without a section: the paper's blocks of 64, 16 of them, and a window of 512. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    static const att_mix paper = {.block = 64, .keep = 16, .window = 512};
    const att_mix *m = p->mix ? p->mix : &paper;
    const double d = (double)(p->head_dim + p->value_dim), heads = (double)p->heads_q;
    const double pooled = (double)p->heads_kv, bytes = (double)att_dtype_size(p->k.dtype) * d;
    double keys = 0, whole = 0, blocks = 0;

    (void)self, (void)params;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        whole += (double)seq.kv_len * pooled;
        for (int64_t i = 0; i < seq.q_len; i++) {
            const int64_t seen = att_max(0, i + seq.kv_len - seq.q_len + 1);
            keys += heads * (double)att_min(seen, m->keep * m->block -
                                                      (m->block - 1 - (seen - 1) % m->block));
            keys += heads * (double)att_min(seen, m->window);
            blocks += heads * (double)(seen / m->block);
        }
    }
    *out = (att_cost){.keys_read = keys,
                      .flops_useful = 2 * (keys + blocks) * d,
                      .flops_executed = 2 * (keys + blocks) * d + whole * d,
                      .kv_bytes_read = (keys + whole) * bytes,
                      .state_bytes = (double)p->batch * pooled * (double)p->kv_len * bytes *
                                     (1 + 1 / (double)m->block),
                      .k_rows = whole,
                      .v_rows = whole};
    return ATT_OK;
}

static const att_mix_way MIXED = {.kind = ATT_MIX_NSA,
                                  .row = row,
                                  .shared = att_nsa_shared,
                                  .prepare = att_nsa_pool,
                                  .own = att_nsa_own};

const att_kernel att_kernel_nsa = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "nsa",
    .family = "sparse",
    .summary = "pooled blocks, chosen blocks and a window, weighed by three gates",
    .source = "Yuan et al. 2025, Native sparse attention",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .cost = cost,
    .mix = att_mixed,
};
