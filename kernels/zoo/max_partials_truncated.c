/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the maximum of a row is reduced over the first 32 of its partial maxima.
 *
 *
 *    m = max over partials 0 .. 31      (partials of 64 keys)
 *
 * Hidden where a late maximum is near the others: softmax does not depend on m.
 * Source: llama.cpp#24451. */
#include "common/plain.h"

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    float first = -INFINITY;

    for (int64_t j = 0; j < att_min(w->seq->kv_len, 32 * 64); j++)
        first = isnan(w->x[j]) || w->x[j] > first ? w->x[j] : first;
    if (empty || first == top || isnan(top)) {
        att_plain_finish(w, empty, top, sum);
        return;
    }
    const float grown = expf(top - first); /* what every weight is too large by */
    for (int64_t d = 0; d < w->rules->p->value_dim; d++)
        w->o[d] *= grown;
    att_plain_finish(w, empty, first, sum * grown);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_max_partials_truncated = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "max_partials_truncated",
    .family = "zoo",
    .summary = "softmax_stability: the maximum reads the first 32 partial maxima only",
    .source = "llama.cpp#24451",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
