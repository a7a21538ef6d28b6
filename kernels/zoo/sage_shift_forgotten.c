/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: keys are quantised less their mean, and what the mean adds to a row's logits is not put
 * back.
 *
 *    s_ij = scale sq sk (cq_i . ck_j)      (right: + scale q_i . mean)
 *
 * The output is right, the LSE is not: hidden where no LSE, sink or softcap is asked for, and where
 * the keys' mean is 0.
 * Source: thu-ml/SageAttention, whose return_lse adds q . mean for this reason. */
#include "common/sage.h"

static const att_param PARAMS[] = {{.name = "block",
                                    .type = ATT_PARAM_INT,
                                    .unit = "tokens",
                                    .fallback = "64",
                                    .domain = "1:1024",
                                    .help = "tokens that share a scale"},
                                   {0}};

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_sage_attend(p, s->params[0].i, true, s);
}

const att_kernel att_kernel_sage_shift_forgotten = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sage_shift_forgotten",
    .family = "zoo",
    .summary = "numerics: logits without what the keys' mean adds",
    .source = "thu-ml/SageAttention, return_lse",
    .class_ = ATT_APPROX,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_sage_supports,
    .plan = att_sage_plan_of,
    .attend = attend,
    .quantise = att_sage_quantise,
    .dequantise = att_sage_dequantise,
};
