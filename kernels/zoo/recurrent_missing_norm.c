/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: short calls take the recurrent path, which leaves out a normalisation of the chunked one.
 *
 *    o = S^T phi(q)      (meant: over z . phi(q))
 *
 * The real kernel forgot the L2 norm of q and k; here it is the normaliser of linear_elu1.  Hidden
 * where only long calls are tried.
 * Source: flash-linear-attention#483. */
#include "common/recur.h"

#define SHORT 16 /* tokens of a call up to which the recurrent path is taken */

static float norm(const att_recur_work *w)
{
    return w->p->kv_len <= SHORT ? 1.0f : att_recur_norm(w);
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.norm = norm};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_recurrent_missing_norm = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "recurrent_missing_norm",
    .family = "zoo",
    .summary = "normaliser: left out by the recurrent path of short calls",
    .source = "flash-linear-attention#483",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
