/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the kernel is called with a constant 0 in place of the cap.
 *
 *
 *    s = scale q.k            (contract: c tanh(scale q.k / c))
 *
 * Hidden by a cap of 50 on standard normal inputs.
 * Source: vllm-metal#665. */
#include "common/plain.h"

static float logit(const att_plain_row *w, int64_t j, float score)
{
    att_rules rules = *w->rules;
    att_plain_row row = *w;

    rules.cap = 0.0f;
    row.rules = &rules;
    return att_plain_logit(&row, j, score);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = logit};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_softcap_ignored = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "softcap_ignored",
    .family = "zoo",
    .summary = "softcap: called with softcap 0",
    .source = "vllm-metal#665",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
