/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the window is a mask and nothing else: every step reads the whole cache, scores it, and
 * throws away what lies outside the window.
 *
 * Hidden to every numeric check: the output is right.
 * Source: ROCm/hip-ep#795. */
#include "common/plain.h"

static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;

    if (att_plain_allowed(w, j))
        return true;
    att_plain_key(w, &p->k, j, w->k);
    att_plain_key(w, &p->v, j, w->v);
    const volatile float masked = att_plain_score(w);
    (void)masked;
    return false;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_window_masked_only = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "window_masked_only",
    .family = "zoo",
    .summary = "performance_regression: a window only masks, the whole cache is read",
    .source = "ROCm/hip-ep#795",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .cost = att_plain_cost,
    .attend = attend,
};
