/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of the linear family in its recurrent form, a token at a time.
 *
 *   S = diag(decay_t) S + k_t w_t^T,  w = v or beta (v - S^T k);  o = scale S^T q, or S^T q / z.q
 *
 * Why: what decoding runs, and the form that chunked kernels are held against.
 * Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M, M the recurrence on absolute values.
 * O(B Hkv T Dk Dv (1 + Hq/Hkv)), one thread.
 * Source: Katharopoulos 2020 (linear_elu1), Sun 2023 (retention), Yang 2023 (gla), Schlag 2021
 * (delta), Yang 2024 (gated delta), Dao and Gu 2024 (ssd). */
#include "common/recur.h"

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {0};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_recur_step = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "recur_step",
    .family = "linear",
    .summary = "every rule of the linear family, a token at a time, f32 state",
    .source = "Katharopoulos et al. 2020 and successors",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
