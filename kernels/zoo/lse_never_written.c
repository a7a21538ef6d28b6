/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the LSE buffer is never stored.
 *
 *
 * Hidden by tests that only check that it is not NaN, on a zeroed buffer.
 * Source: flashinfer#3838. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    att_rules rules = *w->rules;
    att_problem p = *rules.p;
    att_plain_row own = *w;

    p.lse.data = NULL;
    rules.p = &p;
    own.rules = &rules;
    att_plain_finish(&own, empty, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_lse_never_written = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "lse_never_written",
    .family = "zoo",
    .summary = "uninitialised: the LSE is never stored",
    .source = "flashinfer#3838",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
