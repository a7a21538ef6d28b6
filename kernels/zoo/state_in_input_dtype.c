/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the state that a call hands on has the inputs' precision.
 *
 *    S_out = f32(f16 or bf16(S))      (meant: S in f32 from call to call)
 *
 * Each decoded token adds a rounding of the whole state.  Hidden by f32 inputs, and in outputs of
 * one call.
 * Source: vllm#13466. */
#include "common/recur.h"

static void after(att_recur_work *w)
{
    const int32_t dtype = w->p->k.dtype;
    double stored = 0; /* room for one element of any float type */

    if (w->t + 1 != w->p->kv_len)
        return;
    for (int64_t i = 0; i < w->width * w->p->value_dim; i++) {
        att_store_row(&stored, dtype, 0, 1, 1, w->s + i);
        w->s[i] = att_load(&stored, dtype, 0);
    }
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.after = after};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_state_in_input_dtype = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "state_in_input_dtype",
    .family = "zoo",
    .summary = "state: handed on in the inputs' 16 bits, not in f32",
    .source = "vllm#13466",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
