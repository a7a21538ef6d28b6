/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the width of the window counts the own key where it must not.
 *
 *
 *    keep iff i - j < L       (contract: i - j <= L)
 *
 * Hidden by wide windows (mean square 4.5e-4 at 1024).
 * Source: transformers#39408. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    att_plain_row own = *w;

    if (w->rules->p->window_left > 0)
        own.row.lo = att_min(w->row.hi, att_max(0, w->row.position - w->rules->p->window_left + 1));
    return att_plain_allowed(&own, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_window_off_by_one = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "window_off_by_one",
    .family = "zoo",
    .summary = "window: a window of L keys where L + 1 are meant",
    .source = "transformers#39408",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
