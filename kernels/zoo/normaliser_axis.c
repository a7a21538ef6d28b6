/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the normaliser is a running sum over the heads instead of over the tokens.
 *
 *    z = cumsum(phi(k), axis = heads)      (meant: axis = time)
 *
 * Hidden with normalisation off, and by a naive oracle that has the same axis.
 * Source: flash-linear-attention#594, #851. */
#include "common/recur.h"

static float norm(const att_recur_work *w)
{
    float sum = 0.0f;

    for (int64_t h = 0; h <= w->h; h++) {
        att_recur_key(w->p, w->b, h, w->t, w->k);
        sum += att_dot(w->k, w->q, w->p->head_dim);
    }
    return sum;
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.norm = norm};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_normaliser_axis = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "normaliser_axis",
    .family = "zoo",
    .summary = "normaliser: summed over heads, not over tokens",
    .source = "flash-linear-attention#594, #851",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
