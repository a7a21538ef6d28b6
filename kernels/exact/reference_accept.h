/* SPDX-License-Identifier: Apache-2.0 */
/* What contradicts itself in a problem, as the oracle reads the contract. */
#ifndef ATT_REFERENCE_ACCEPT_H
#define ATT_REFERENCE_ACCEPT_H

#include "reference_view.h"

/* Is t given, of a float or block type, with these extents? */
static inline int ref_is(const att_tensor *t, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    const int64_t n[4] = {n0, n1, n2, n3};
    int empty = 0;

    for (int a = 0; a < 4; a++) {
        if (t->shape[a] != n[a])
            return 0;
        empty |= n[a] == 0;
    }
    return (t->data || empty) && t->dtype >= 0 && t->dtype < ATT_I32;
}

static inline int ref_shapes_hold(const att_problem *p, att_op op)
{
    int packed_q = p->cu_q.data != NULL, packed_k = p->cu_k.data != NULL;
    int64_t b = packed_q ? 1 : p->batch, n = packed_q ? p->q.shape[2] : p->q_len;
    int64_t bk = packed_k ? 1 : p->batch, m = packed_k ? p->k.shape[2] : p->kv_len;

    if (p->block_table.data) {
        bk = p->k.shape[0];
        m = p->page_size;
    }
    if (!ref_is(&p->q, b, p->heads_q, n, p->head_dim) ||
        !ref_is(&p->k, bk, p->heads_kv, m, p->head_dim) ||
        !ref_is(&p->v, bk, p->heads_kv, m, p->value_dim))
        return 0;
    if (op != ATT_OP_ATTEND && op != ATT_OP_MIX)
        return 1;
    return ref_is(&p->out, b, p->heads_q, n, p->value_dim) &&
           (!p->lse.data || (ref_is(&p->lse, 1, b, p->heads_q, n) &&
                             (p->lse.dtype == ATT_F32 || p->lse.dtype == ATT_F64)));
}

/* One number a head or sequence; int32 rows of n. */
static inline int ref_list(const att_tensor *t, int32_t dtype, int64_t rows, int64_t n)
{
    return !t->data || (t->dtype == dtype && t->shape[2] == rows && t->shape[3] == n);
}

static inline const char *ref_scalars(const att_problem *p)
{
    int64_t b = p->batch;

    if (p->causal < ATT_CAUSAL_NONE || p->causal > ATT_CAUSAL_POSITIONS || p->window_left < -1 ||
        p->window_right < -1)
        return "an unknown causal alignment, or a window under -1";
    if (!(p->softcap >= 0) || isinf(p->softcap))
        return "softcap is negative or not finite";
    if (p->acc_dtype < 0 || p->acc_dtype >= ATT_DTYPES || (p->page_size && !p->block_table.data))
        return "an unknown accumulator, or a page size without a block table";
    if ((p->bias.data && p->bias.dtype > ATT_F8_E5M2) ||
        (p->block_mask.data && p->block_mask.dtype != ATT_U8))
        return "the bias is no float, or the block mask not U8";
    if (!ref_list(&p->alibi_slopes, ATT_F32, 1, p->heads_q) ||
        !ref_list(&p->sinks, ATT_F32, 1, p->heads_q))
        return "slopes or sinks are not f32 [Hq]";
    if (!ref_list(&p->q_positions, ATT_I64, b, p->q_len) ||
        !ref_list(&p->k_positions, ATT_I64, b, p->kv_len))
        return "positions are not I64 [B,S]";
    if (!ref_list(&p->q_lengths, ATT_I32, 1, b) || !ref_list(&p->kv_lengths, ATT_I32, 1, b) ||
        !ref_list(&p->cu_q, ATT_I32, 1, b + 1) || !ref_list(&p->cu_k, ATT_I32, 1, b + 1))
        return "lengths are not I32 [B], or cumulative ones not [B+1]";
    return NULL;
}

static inline int ref_quant_known(const att_quant *quant, int32_t dtype)
{
    int block = dtype == ATT_Q8_0 || dtype == ATT_Q4_0;

    if (block)
        return quant->scheme == ATT_QUANT_BLOCK;
    if (quant->scheme == ATT_QUANT_AFFINE)
        return quant->scales.data && quant->group >= 1 && (quant->axis == 2 || quant->axis == 3);
    return quant->scheme == ATT_QUANT_NONE;
}

/* What contradicts itself in an attend or select problem; NULL = nothing. */
static inline const char *ref_contradiction(const att_problem *p, att_op op)
{
    int64_t b = p->batch, h = p->heads_q, n = p->q_len, m = p->kv_len;

    if (p->heads_kv < 0 || (p->heads_kv == 0) != (h == 0) || (p->heads_kv && h % p->heads_kv))
        return "query heads are not a multiple of key/value heads";
    if (!ref_fits(&p->bias, b, h, n, m) || !ref_fits(&p->mask, b, h, n, m))
        return "bias or mask does not broadcast to (B,Hq,Sq,Skv)";
    if (p->mask.data && p->mask.dtype != ATT_U8)
        return "the mask is not U8";
    if (p->block_mask.data &&
        (p->block_q < 1 || p->block_k < 1 ||
         !ref_fits(&p->block_mask, b, h, (n + p->block_q - 1) / (p->block_q ? p->block_q : 1),
                   (m + p->block_k - 1) / (p->block_k ? p->block_k : 1))))
        return "the block mask does not broadcast to (B,Hq,Sq/bq,Skv/bk)";
    if (p->causal == ATT_CAUSAL_POSITIONS && !p->q_positions.data)
        return "causal by positions without q_positions";
    if (p->block_table.data && (p->page_size < 1 || p->cu_k.data))
        return "a block table needs a page size and excludes cu_k";
    if (!ref_quant_known(&p->k_quant, p->k.dtype) || !ref_quant_known(&p->v_quant, p->v.dtype))
        return "k or v is quantised in a way that its dtype and scales do not state";
    if (op == ATT_OP_RECUR)
        return NULL;
    if (!ref_shapes_hold(p, op))
        return "q, k, v, out or lse is missing or not of the problem's shape";
    return ref_scalars(p);
}

#endif
