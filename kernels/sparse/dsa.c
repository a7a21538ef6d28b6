/* SPDX-License-Identifier: Apache-2.0 */
/* DeepSeek sparse attention: a light indexer scores all keys, and every query head of a row attends
 * to the same k best.
 *
 *   I_ts = sum_j w_tj relu(q^I_tj . k^I_s);   kept(t, s): I_ts is among the k largest of row t
 *
 * Why: the score is one small dot product an index head, of one shared key, so a long context costs
 * Hi Di a key instead of Hq Dk, and the cache is read k tokens a step.  The indexer is trained; its
 * inputs are the problem's index section.  Without one a training-free default works as a drop-in:
 * q^I_j = the first `dim` channels of query head j, k^I = those of the KV heads' mean, w = 1/Hq.
 * Bound: exact on its own keys; |o - o_full| <= 2 (1 - kept mass) max|v|.  Which keys they are is
 * decided on f32 index scores (ties: the lower key first).  k >= n is dense attention.
 * Complexity: O(S^2 Hi Di + S k Hq (Dk + Dv)); the KV cache is kept whole, and k^I beside it.
 * Source: DeepSeek-AI 2025, "DeepSeek-V3.2-Exp". */
#include "common/cost.h"
#include "common/indexed.h"

enum { K, DIM };

static const att_param PARAMS[] = {ATT_INDEXED_PARAMS("64"), {0}};

static const att_indexed WAY = {0};

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_indexed_plan(p, params[K].i, params[DIM].i, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_indexed_run(self, ATT_OP_ATTEND, p, &WAY, s->params[K].i, s->params[DIM].i, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_indexed_run(self, ATT_OP_SELECT, p, &WAY, s->params[K].i, s->params[DIM].i, s,
                           allowed);
}

/* Without a section K is read for every key, to score it; V, and K with one, for those kept. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const double hq = (double)p->heads_q, hkv = (double)p->heads_kv, dk = (double)p->head_dim;
    const double bytes = (double)att_dtype_size(p->k.dtype);
    const double heads = p->index ? (double)p->index->index_q.shape[1] : hq;
    const double dim = p->index ? (double)p->index->index_q.shape[3]
                                : fmin((double)params[DIM].i, dk);
    double all = 0, kept = 0, seen = 0, used = 0;
    int32_t *marks = att_marks(p);

    (void)self;
    for (int64_t b = 0; marks && b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        const double before = kept;
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            all += (double)(row.hi - row.lo);
            kept += (double)att_min(row.hi - row.lo, params[K].i);
            att_mark(marks, row.lo, row.hi);
        }
        const double touched = (double)att_marked(marks, p->kv_len);
        seen += touched;
        used += fmin(touched, kept - before);
    }
    if (!marks)
        return ATT_NO_MEMORY;
    free(marks);
    att_list_cost(p, kept * hq, out);
    out->flops_executed += 2 * all * heads * dim;
    out->kv_bytes_read += p->index ? 0 : all * hkv * dk * bytes;
    out->state_bytes += p->index ? (double)p->batch * (double)p->kv_len * dim * bytes : 0;
    out->k_rows = (p->index ? used : seen) * hkv;
    out->v_rows = used * hkv;
    return ATT_OK;
}

const att_kernel att_kernel_dsa = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "dsa",
    .family = "sparse",
    .summary = "the keys of largest index score, shared by all heads",
    .source = "DeepSeek-AI 2025, DeepSeek-V3.2-Exp",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT | ATT_TRAIT_INDEXED,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_indexed_supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
