/* SPDX-License-Identifier: Apache-2.0 */
/* SageAttention: q and k are quantised to int8 inside attend, k less its mean over the tokens, one
 * scale a block of tokens; scores are integer products, P V stays in f32 (common/sage.h).
 *
 *   s_ij = scale (sq sk (cq_i . ck_j) + q_i . mean)    o_i = sum_j softmax_j(s_ij) v_j
 *
 * Why: integer products are four times as fast as f16 ones on tensor cores, and keys without their
 * mean lose next to nothing.  A block shares its scale and a sequence its mean, so what a row may
 * not see still moves its roundings: this is no kernel for those who need the prefix bit by bit.
 * Bound: exact on what q and k become, which `quantise` (k with zeros, q without, int8, axis 2,
 * groups of `block`) and `dequantise` state; half a step of a block's largest number beside q, k.
 * Complexity: 2 P (Dk + Dv), of which Dk in int8; one more pass over k.  Cache: Hkv (Dk + Dv) b.
 * Source: Zhang et al. 2024, "SageAttention". */
#include "common/cost.h"
#include "common/sage.h"

static const att_param PARAMS[] = {{.name = "block",
                                    .type = ATT_PARAM_INT,
                                    .unit = "tokens",
                                    .fallback = "64",
                                    .domain = "1:1024",
                                    .levels = "64 16",
                                    .help = "tokens that share a scale"},
                                   {0}};

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = att_sage_supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_sage_attend(p, s->params[0].i, false, s);
}

/* All of K is read once, for its means and codes; V as by the plain loop. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_status status = att_plain_cost(self, p, params, out);
    double rows = 0;

    for (int64_t b = 0; b < p->batch; b++)
        rows += (double)p->heads_kv * (double)att_seq_of(p, b).kv_len;
    out->k_rows = rows;
    out->kv_bytes_read = rows * (double)p->head_dim * (double)att_dtype_size(p->k.dtype) +
                         out->keys_read * (double)p->value_dim * (double)att_dtype_size(p->v.dtype);
    return status;
}

const att_kernel att_kernel_sage_int8 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sage_int8",
    .family = "exact",
    .summary = "q and k less its mean in int8, integer scores, f32 values",
    .source = "Zhang et al. 2024, SageAttention",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_sage_supports,
    .plan = att_sage_plan_of,
    .cost = cost,
    .attend = attend,
    .quantise = att_sage_quantise,
    .dequantise = att_sage_dequantise,
};
