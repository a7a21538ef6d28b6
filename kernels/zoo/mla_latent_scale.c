/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: absorbed multi-head latent attention scaled by the width of what it reads.
 *
 *
 *    scale = (latent + rope)^-1/2      (right: (nope + rope)^-1/2, which the caller gives)
 *
 * Values are the first channels of the keys there.  Hidden where the caller's scale is the default.
 * Source: ollama#13893, vllm#41569. */
#include "common/plain.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem absorbed = *p;

    (void)self;
    if (p->k.data && p->v.data == p->k.data && p->value_dim < p->head_dim)
        absorbed.scale = (double)NAN;
    return att_plain_attend(&absorbed, &way, s);
}

const att_kernel att_kernel_mla_latent_scale = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mla_latent_scale",
    .family = "zoo",
    .summary = "scale: absorbed MLA scaled by latent + rope",
    .source = "ollama#13893, vllm#41569",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
