/* SPDX-License-Identifier: Apache-2.0 */
/* The lies: each makes an honest problem contradict itself, its memory or the contract. */
#include "evals/numeric/refusal.h"

static void set(const att_tensor *t, int64_t i, int32_t x)
{
    ((int32_t *)t->data)[i] = x;
}

static void tell_flag_unknown(refusal *r)
{
    r->p.flags |= UINT64_C(1) << 40;
}

static void tell_abi_other(refusal *r)
{
    r->p.abi = (ATT_ABI_MAJOR + 1) << 16;
}

static void tell_struct_short(refusal *r)
{
    r->p.struct_size = (uint32_t)offsetof(att_problem, scale);
}

static void tell_batch_negative(refusal *r)
{
    r->p.batch = -r->p.batch;
}

static void tell_heads_negative(refusal *r)
{
    r->p.heads_q = -r->p.heads_q;
}

static void tell_rows_negative(refusal *r)
{
    r->p.q_len = -r->p.q_len;
}

static void tell_keys_negative(refusal *r)
{
    r->p.kv_len = -r->p.kv_len;
}

static void tell_head_dim_zero(refusal *r)
{
    r->p.head_dim = r->p.q.shape[3] = r->p.k.shape[3] = 0;
}

static void tell_value_dim_zero(refusal *r)
{
    r->p.value_dim = r->p.v.shape[3] = r->p.out.shape[3] = 0;
}

static void tell_heads_indivisible(refusal *r)
{
    r->p.heads_kv = r->p.k.shape[1] = r->p.v.shape[1] = REFUSAL_HKV + 1;
}

static void tell_kv_heads_none(refusal *r)
{
    r->p.heads_kv = r->p.k.shape[1] = r->p.v.shape[1] = 0;
}

static void tell_q_shape(refusal *r)
{
    r->p.q.shape[2]--;
}

static void tell_k_shape(refusal *r)
{
    r->p.k.shape[2]--;
}

static void tell_v_shape(refusal *r)
{
    r->p.v.shape[1]--;
}

static void tell_out_shape(refusal *r)
{
    r->p.out.shape[3]--;
}

static void tell_lse_shape(refusal *r)
{
    r->p.lse.shape[3]--;
}

static void tell_q_missing(refusal *r)
{
    r->p.q.data = NULL;
}

static void tell_k_missing(refusal *r)
{
    r->p.k.data = NULL;
}

static void tell_v_missing(refusal *r)
{
    r->p.v.data = NULL;
}

static void tell_out_missing(refusal *r)
{
    r->p.out.data = NULL;
}

static void tell_dtype_unknown(refusal *r)
{
    r->p.q.dtype = r->p.k.dtype = r->p.v.dtype = ATT_DTYPES + 3;
}

static void tell_out_dtype(refusal *r)
{
    r->p.out.dtype = ATT_U8;
}

static void tell_lse_dtype(refusal *r)
{
    r->p.lse.dtype = ATT_I32;
}

static void tell_acc_unknown(refusal *r)
{
    r->p.acc_dtype = ATT_DTYPES + 3;
}

static void tell_quant_unknown(refusal *r)
{
    r->p.k_quant.scheme = 7;
}

static void tell_causal_unknown(refusal *r)
{
    r->p.causal = 9;
}

static void tell_causal_without_positions(refusal *r)
{
    r->p.causal = ATT_CAUSAL_POSITIONS;
}

static void tell_window_left_below(refusal *r)
{
    r->p.window_left = -2;
}

static void tell_window_right_below(refusal *r)
{
    r->p.window_right = -2;
}

static void tell_softcap_negative(refusal *r)
{
    r->p.softcap = -1;
}

static void tell_softcap_nan(refusal *r)
{
    r->p.softcap = (double)NAN;
}

static void tell_mask_shape(refusal *r)
{
    r->p.mask.shape[3] = REFUSAL_SK - 1;
}

static void tell_mask_dtype(refusal *r)
{
    r->p.mask.dtype = ATT_F64;
}

static void tell_bias_shape(refusal *r)
{
    r->p.bias.shape[1] = REFUSAL_HQ - 1;
}

static void tell_bias_dtype(refusal *r)
{
    r->p.bias.dtype = ATT_U8;
}

static void tell_block_mask_shape(refusal *r)
{
    r->p.block_mask.shape[2]--;
}

static void tell_block_mask_dtype(refusal *r)
{
    r->p.block_mask.dtype = ATT_F64;
}

static void tell_block_size_zero(refusal *r)
{
    r->p.block_k = 0;
}

static void tell_slopes_shape(refusal *r)
{
    r->p.alibi_slopes.shape[3] = REFUSAL_HQ - 1;
}

static void tell_slopes_dtype(refusal *r)
{
    r->p.alibi_slopes.dtype = ATT_U8;
}

static void tell_sinks_shape(refusal *r)
{
    r->p.sinks.shape[3] = REFUSAL_HQ - 1;
}

static void tell_sinks_dtype(refusal *r)
{
    r->p.sinks.dtype = ATT_U8;
}

static void tell_positions_shape(refusal *r)
{
    r->p.k_positions.shape[3] = REFUSAL_SK - 1;
}

static void tell_positions_dtype(refusal *r)
{
    r->p.q_positions.dtype = ATT_I32;
}

static void tell_lengths_shape(refusal *r)
{
    r->p.kv_lengths.shape[3] = REFUSAL_B + 1;
}

static void tell_lengths_dtype(refusal *r)
{
    r->p.q_lengths.dtype = ATT_I64;
}

static void tell_q_length_negative(refusal *r)
{
    set(&r->p.q_lengths, 1, -1);
}

static void tell_q_length_over(refusal *r)
{
    set(&r->p.q_lengths, 0, REFUSAL_SQ + 1);
}

static void tell_kv_length_negative(refusal *r)
{
    set(&r->p.kv_lengths, 1, -1);
}

static void tell_kv_length_over(refusal *r)
{
    set(&r->p.kv_lengths, 0, REFUSAL_SK + 1);
}

static void tell_kv_length_over_last(refusal *r)
{
    set(&r->p.kv_lengths, REFUSAL_B - 1, REFUSAL_SK + 1);
}

static void tell_cu_shape(refusal *r)
{
    r->p.cu_k.shape[3] = REFUSAL_B;
}

static void tell_cu_q_start(refusal *r)
{
    set(&r->p.cu_q, 0, 1);
}

static void tell_cu_q_decreasing(refusal *r)
{
    set(&r->p.cu_q, 1, REFUSAL_SQ);
    set(&r->p.cu_q, REFUSAL_B, REFUSAL_SQ - 1);
}

static void tell_cu_q_over(refusal *r)
{
    set(&r->p.cu_q, REFUSAL_B, 2 * REFUSAL_SQ);
}

static void tell_cu_q_long(refusal *r)
{
    set(&r->p.cu_q, 1, REFUSAL_SQ + 1);
}

static void tell_cu_k_start(refusal *r)
{
    set(&r->p.cu_k, 0, 1);
}

static void tell_cu_k_decreasing(refusal *r)
{
    set(&r->p.cu_k, 1, REFUSAL_SK);
    set(&r->p.cu_k, REFUSAL_B, REFUSAL_SK - 1);
}

static void tell_cu_k_over(refusal *r)
{
    set(&r->p.cu_k, REFUSAL_B, 2 * REFUSAL_SK);
}

static void tell_cu_k_long(refusal *r)
{
    set(&r->p.cu_k, 1, REFUSAL_SK + 1);
}

static void tell_page_negative(refusal *r)
{
    set(&r->p.block_table, 1, -1);
}

static void tell_page_over(refusal *r)
{
    set(&r->p.block_table, REFUSAL_PAGES + 1, REFUSAL_POOL);
}

static void tell_page_size_zero(refusal *r)
{
    r->p.page_size = 0;
}

static void tell_page_size_negative(refusal *r)
{
    r->p.page_size = -REFUSAL_PAGE;
}

static void tell_page_size_alone(refusal *r)
{
    r->p.page_size = REFUSAL_PAGE;
}

static void tell_table_narrow(refusal *r)
{
    r->p.block_table.shape[3] = REFUSAL_PAGES - 1;
}

static void tell_table_with_cu(refusal *r)
{
    r->p.cu_k = att_tensor_dense(r->p.block_table.data, ATT_I32, 1, 1, 1, REFUSAL_B + 1);
}

static void tell_length_over_table(refusal *r)
{
    set(&r->p.kv_lengths, 0, REFUSAL_PAGES * REFUSAL_PAGE + 1);
}

static void tell_length_over_table_last(refusal *r)
{
    set(&r->p.kv_lengths, REFUSAL_B - 1, REFUSAL_PAGES * REFUSAL_PAGE + 1);
}

static void tell_section_missing(refusal *r)
{
    r->p.recur = NULL;
}

static void tell_state_in_shape(refusal *r)
{
    r->section.state_in.shape[3]--;
}

static void tell_state_in_dtype(refusal *r)
{
    r->section.state_in.dtype = ATT_BF16;
}

static void tell_state_out_shape(refusal *r)
{
    r->section.state_out.shape[2]--;
}

static void tell_state_out_dtype(refusal *r)
{
    r->section.state_out.dtype = ATT_BF16;
}

static void tell_z_in_shape(refusal *r)
{
    r->section.z_in.shape[1]--;
}

static void tell_z_out_dtype(refusal *r)
{
    r->section.z_out.dtype = ATT_BF16;
}

#define LIE(name, with, fault) {#name, REFUSAL_##with, tell_##name, fault},
const refusal_lie refusal_lies[] = {
#include "evals/numeric/refusal_lies.def"
    {0}};
