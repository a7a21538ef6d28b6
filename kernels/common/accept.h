/* SPDX-License-Identifier: Apache-2.0 */
/* Is this problem one the kernel can do?  The shared body of `supports`.
 *
 * Why: UNSUPPORTED with a reason is a hole in coverage that people can read; a contradiction
 * between fields is ATT_INVALID, so that no kernel reads by a shape that its tensors lack.  Looks
 * at shapes and dtypes, never at contents. */
#ifndef ATT_COMMON_ACCEPT_H
#define ATT_COMMON_ACCEPT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "attn.h"

/* What a kernel can do beyond plain attention. */
#define ATT_CAN_PACKED      1u  /* cu_q, cu_k */
#define ATT_CAN_BIAS        2u  /* bias, ALiBi, softcap: logits other than scale * q.k */
#define ATT_CAN_SINK_LOGITS 4u  /* sinks */
#define ATT_CAN_MASK        8u  /* mask, block mask, windows, given positions */
#define ATT_CAN_PAGED       16u /* block table */
#define ATT_CAN_ALL         31u

typedef struct att_accept {
    uint32_t ops;    /* 1u << att_op */
    uint32_t can;    /* ATT_CAN_* */
    uint32_t dtypes; /* 1u << att_dtype, of q, k and v */
} att_accept;

#define ATT_HALVES_AND_SINGLE (1u << ATT_F32 | 1u << ATT_F16 | 1u << ATT_BF16)

__attribute__((format(printf, 3, 4))) static inline att_status
att_refuse(att_reason *why, att_status status, const char *format, ...)
{
    if (why) {
        va_list args;
        va_start(args, format);
        vsnprintf(why->text, sizeof why->text, format, args);
        va_end(args);
    }
    return status;
}

static inline bool att_is_float(int32_t dtype, uint32_t among)
{
    return dtype >= 0 && dtype < ATT_DTYPES && (among >> dtype & 1u);
}

/* Each dimension of t is 1 or that of n. */
static inline bool att_broadcasts(const att_tensor *t, int64_t n0, int64_t n1, int64_t n2,
                                  int64_t n3)
{
    const int64_t n[4] = {n0, n1, n2, n3};
    for (int d = 0; d < 4; d++)
        if (t->shape[d] != 1 && t->shape[d] != n[d])
            return false;
    return true;
}

static inline bool att_shaped(const att_tensor *t, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    return t->shape[0] == n0 && t->shape[1] == n1 && t->shape[2] == n2 && t->shape[3] == n3;
}

/* Is there memory, or nothing to hold in it? */
static inline bool att_given(const att_tensor *t)
{
    return t->data || !t->shape[0] || !t->shape[1] || !t->shape[2] || !t->shape[3];
}

static inline int64_t att_blocks(int64_t n, int64_t side)
{
    return n / side + (n % side != 0);
}

static inline att_status att_accept_sizes(const att_problem *p, att_reason *why)
{
    if (p->batch < 0 || p->heads_q < 0 || p->heads_kv < 0 || p->q_len < 0 || p->kv_len < 0 ||
        p->head_dim < 1 || p->value_dim < 1)
        return att_refuse(why, ATT_INVALID, "a size is negative, or head_dim or value_dim is 0");
    if (p->heads_q > 0 && (p->heads_kv == 0 || p->heads_q % p->heads_kv))
        return att_refuse(why, ATT_INVALID, "heads_q is not a multiple of heads_kv");
    int64_t rows;
    if (__builtin_mul_overflow(p->batch, p->heads_q, &rows) ||
        __builtin_mul_overflow(rows, p->q_len, &rows) || rows > INT64_MAX / 64)
        return att_refuse(why, ATT_INVALID, "batch x heads x rows overflows");
    if (p->head_dim > 1 << 16 || p->value_dim > 1 << 16)
        return att_refuse(why, ATT_UNSUPPORTED, "head_dim or value_dim over 65536");
    return ATT_OK;
}

static inline att_status att_accept_tensors(const att_accept *a, const att_problem *p,
                                            att_reason *why)
{
    const int64_t B = p->cu_q.data ? 1 : p->batch;
    const int64_t nq = p->cu_q.data ? p->q.shape[2] : p->q_len;
    const bool paged = p->block_table.data != NULL;
    const int64_t nk = paged ? p->page_size : p->cu_k.data ? p->k.shape[2] : p->kv_len;
    const int64_t BK = paged ? p->k.shape[0] : p->cu_k.data ? 1 : p->batch;
    if (!att_is_float(p->q.dtype, a->dtypes) || p->k.dtype != p->q.dtype ||
        p->v.dtype != p->q.dtype)
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of q, k or v");
    if (!att_is_float(p->out.dtype, ATT_HALVES_AND_SINGLE))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of out");
    if (!att_shaped(&p->q, B, p->heads_q, nq, p->head_dim) ||
        !att_shaped(&p->k, BK, p->heads_kv, nk, p->head_dim) ||
        !att_shaped(&p->v, BK, p->heads_kv, nk, p->value_dim) ||
        !att_shaped(&p->out, B, p->heads_q, nq, p->value_dim))
        return att_refuse(why, ATT_INVALID, "the shape of q, k, v or out is not the problem's");
    if (!att_given(&p->q) || !att_given(&p->k) || !att_given(&p->v) || !att_given(&p->out))
        return att_refuse(why, ATT_INVALID, "q, k, v or out is not given");
    if (p->lse.data) {
        if (p->lse.dtype != ATT_F32 && p->lse.dtype != ATT_F64)
            return att_refuse(why, ATT_UNSUPPORTED, "dtype of lse");
        if (!att_shaped(&p->lse, 1, B, p->heads_q, nq))
            return att_refuse(why, ATT_INVALID, "lse is not of shape {1,B,Hq,Sq}");
    }
    return ATT_OK;
}

static inline att_status att_accept_extras(const att_accept *a, const att_problem *p,
                                           att_reason *why)
{
    const int64_t B = p->batch, H = p->heads_q, nq = p->q_len, nk = p->kv_len;
    if (!(a->can & ATT_CAN_BIAS) && (p->bias.data || p->alibi_slopes.data || p->softcap > 0))
        return att_refuse(why, ATT_UNSUPPORTED, "bias, ALiBi or softcap");
    if (!(a->can & ATT_CAN_SINK_LOGITS) && p->sinks.data)
        return att_refuse(why, ATT_UNSUPPORTED, "sink logits");
    if (!(a->can & ATT_CAN_MASK) &&
        (p->mask.data || p->block_mask.data || p->window_left >= 0 || p->window_right >= 0 ||
         p->q_positions.data || p->k_positions.data))
        return att_refuse(why, ATT_UNSUPPORTED, "masks, windows or given positions");
    if (!(p->softcap >= 0) || isinf(p->softcap))
        return att_refuse(why, ATT_INVALID, "softcap is negative or not finite");
    if (p->causal < ATT_CAUSAL_NONE || p->causal > ATT_CAUSAL_POSITIONS)
        return att_refuse(why, ATT_UNSUPPORTED, "unknown causal alignment %d", (int)p->causal);
    if (p->causal == ATT_CAUSAL_POSITIONS && !p->q_positions.data)
        return att_refuse(why, ATT_INVALID, "causal by positions, but no q_positions");
    if (p->window_left < -1 || p->window_right < -1)
        return att_refuse(why, ATT_INVALID, "a window under -1");
    if (p->bias.data && !att_is_float(p->bias.dtype, ATT_HALVES_AND_SINGLE | 1u << ATT_F64))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of bias");
    if (p->mask.data && p->mask.dtype != ATT_U8)
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of mask");
    if ((p->bias.data && !att_broadcasts(&p->bias, B, H, nq, nk)) ||
        (p->mask.data && !att_broadcasts(&p->mask, B, H, nq, nk)))
        return att_refuse(why, ATT_INVALID, "bias or mask does not broadcast to (B,Hq,Sq,Skv)");
    if ((p->alibi_slopes.data && p->alibi_slopes.dtype != ATT_F32) ||
        (p->sinks.data && p->sinks.dtype != ATT_F32))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of alibi_slopes or sinks");
    if ((p->alibi_slopes.data && !att_broadcasts(&p->alibi_slopes, 1, 1, 1, H)) ||
        (p->sinks.data && !att_broadcasts(&p->sinks, 1, 1, 1, H)))
        return att_refuse(why, ATT_INVALID, "alibi_slopes or sinks is not of shape [Hq]");
    return ATT_OK;
}

static inline att_status att_accept_index(const att_problem *p, att_reason *why)
{
    const int64_t B = p->batch;
    const att_tensor *const i32[] = {&p->q_lengths, &p->kv_lengths, &p->cu_q, &p->cu_k};
    for (int t = 0; t < 4; t++)
        if (i32[t]->data &&
            (i32[t]->dtype != ATT_I32 ||
             (t < 2 ? !att_broadcasts(i32[t], 1, 1, 1, B) : !att_shaped(i32[t], 1, 1, 1, B + 1))))
            return att_refuse(why, ATT_INVALID, "lengths must be I32 [B], cu_q and cu_k I32 [B+1]");
    if (p->q_positions.data &&
        (p->q_positions.dtype != ATT_I64 || !att_broadcasts(&p->q_positions, 1, 1, B, p->q_len)))
        return att_refuse(why, ATT_INVALID, "q_positions must be I64 {1,1,B,Sq}");
    if (p->k_positions.data &&
        (p->k_positions.dtype != ATT_I64 || !att_broadcasts(&p->k_positions, 1, 1, B, p->kv_len)))
        return att_refuse(why, ATT_INVALID, "k_positions must be I64 {1,1,B,Skv}");
    if (p->block_table.data &&
        (p->block_table.dtype != ATT_I32 || p->page_size < 1 || p->cu_k.data ||
         (p->block_table.shape[2] != B && p->block_table.shape[2] != 1) ||
         p->block_table.shape[3] < att_blocks(p->kv_len, p->page_size)))
        return att_refuse(why, ATT_INVALID,
                          "block_table must be I32 {1,1,B,pages}, with a page size, "
                          "pages for kv_len and no cu_k");
    if (p->block_mask.data) {
        if (p->block_mask.dtype != ATT_U8)
            return att_refuse(why, ATT_UNSUPPORTED, "dtype of block_mask");
        if (p->block_q < 1 || p->block_k < 1)
            return att_refuse(why, ATT_INVALID, "block_mask without block sizes");
        if (!att_broadcasts(&p->block_mask, B, p->heads_q, att_blocks(p->q_len, p->block_q),
                            att_blocks(p->kv_len, p->block_k)))
            return att_refuse(why, ATT_INVALID,
                              "block_mask does not broadcast to (B,Hq,blocks,blocks)");
    }
    return ATT_OK;
}

static inline att_status att_accept_check(const att_accept *a, att_op op, const att_problem *p,
                                          att_reason *why)
{
    if (op < 0 || op >= ATT_OPS || !(a->ops >> op & 1u))
        return att_refuse(why, ATT_UNSUPPORTED, "operator not offered");
    if (p->abi >> 16 != ATT_ABI_MAJOR || p->struct_size < sizeof(att_problem))
        return att_refuse(why, ATT_UNSUPPORTED, "problem of another ABI version");
    if (p->flags)
        return att_refuse(why, ATT_UNSUPPORTED, "unknown flags");
    if (p->page_size && !p->block_table.data)
        return att_refuse(why, ATT_INVALID, "a page size without a block table");
    if (p->block_table.data && !(a->can & ATT_CAN_PAGED))
        return att_refuse(why, ATT_UNSUPPORTED, "paged KV");
    if (p->k_quant.scheme || p->v_quant.scheme)
        return att_refuse(why, ATT_UNSUPPORTED, "quantised KV");
    if (p->acc_dtype != ATT_F32)
        return att_refuse(why, ATT_UNSUPPORTED, "an accumulator other than f32");
    if ((p->cu_q.data || p->cu_k.data) && !(a->can & ATT_CAN_PACKED))
        return att_refuse(why, ATT_UNSUPPORTED, "packed sequences (cu_q, cu_k)");

    att_status status = att_accept_sizes(p, why);
    if (!status)
        status = att_accept_tensors(a, p, why);
    if (!status)
        status = att_accept_extras(a, p, why);
    if (!status)
        status = att_accept_index(p, why);
    return status;
}

#endif
