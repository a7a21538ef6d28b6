/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a row with no visible key is skipped before its result is stored.
 *
 *
 *    if (no key) continue     (contract: out = 0, LSE = -inf)
 *
 * Hidden by a zeroed output.
 * Source: flashinfer#1533, flash-linear-attention#967. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    if (!empty)
        att_plain_finish(w, empty, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_masked_row_not_stored = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "masked_row_not_stored",
    .family = "zoo",
    .summary = "uninitialised: rows that see no key are never stored",
    .source = "flashinfer#1533, flash-linear-attention#967",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
