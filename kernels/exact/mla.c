/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head latent attention in the absorbed form: one latent row a token is key and value of all
 * heads.
 *
 *   k_j = [c_j | r_j]     v_j = c_j     s_ij = scale (W_h q_ih . c_j + q'_ih . r_j)
 *   o_ih = sum_j softmax_j(s_ij) c_j                             (the caller applies W_h and W'_h)
 *
 * Why: keys and values of every head are linear in c_j, so those maps are moved into the queries
 * and behind the output, and the cache keeps c_j (512) and the rotary r_j (64) alone.  The scale is
 * that of the expanded width, (nope + rope)^-1/2, which only the caller knows.
 * V must be the view of K's first Dv columns with one KV head, Dv < Dk; all else is refused.
 * Bound: that of flash_f32 at head_dim Dk.
 * Complexity: 2 P Hq (Dk + Dv) flops; a row is read once for its keys and values.  Cache: Dk b a
 * token, 576 b at 512 + 64, whatever the number of heads.
 * Source: DeepSeek-AI 2024, "DeepSeek-V2". */
#include "common/tiled.h"

static att_tiled tiled(const att_problem *p, const att_value *params)
{
    (void)p, (void)params;
    return (att_tiled){
        .accept = {.ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE},
        .flash = {.keep = ATT_KEEP_ALL}};
}

/* Are the values the first columns of the keys' own rows? */
static bool is_latent(const att_problem *p)
{
    bool same = p->v.data == p->k.data && p->v.dtype == p->k.dtype && p->value_dim < p->head_dim;

    for (int a = 0; a < 4; a++)
        same = same && (p->v.stride[a] == p->k.stride[a] || p->v.shape[a] == 1);
    return same;
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    const att_status status = att_tiled_supports(self, op, p, params, why);

    if (status == ATT_OK && p->heads_kv != 1)
        return att_refuse(why, ATT_UNSUPPORTED, "latent attention has one KV head");
    if (status == ATT_OK && !is_latent(p))
        return att_refuse(why, ATT_UNSUPPORTED, "V is not the view of K's first columns");
    return status;
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const double once = (double)p->head_dim / (double)(p->head_dim + p->value_dim);
    const att_status status = att_tiled_cost(self, p, params, out);

    out->kv_bytes_read *= once;
    out->state_bytes *= once;
    return status;
}

const att_kernel att_kernel_mla = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mla",
    .family = "exact",
    .summary = "multi-head latent attention, absorbed: V is the first columns of K",
    .source = "DeepSeek-AI 2024, DeepSeek-V2",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = att_tiled_plan,
    .cost = cost,
    .attend = att_tiled_attend,
};
