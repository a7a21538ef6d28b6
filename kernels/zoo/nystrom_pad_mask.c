/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: keys are pooled to landmarks of 16, and a landmark of padding alone is normalised like any
 * other.
 *
 *    o = sum_l w_l (sum_{j in l} e^(x_j - m_l) v_j / sum_{j in l} e^(x_j - m_l)),   w_l ~ e^LSE_l
 *
 * A landmark whose keys are all padded has m_l = -inf: e^(-inf + inf) = NaN.  Adapted: Nystroem's
 * landmarks are means; here each keeps its own softmax, so that without padding the result is exact
 * attention and nothing but the padding is wrong.  The bug's own test replaced NaN before
 * comparing. Hidden by inputs without padding.
 * Source: xformers#366. */
#include "common/plain.h"

#define LANDMARK 16

/* Is the whole landmark from j0 on padding, by the mask?  (Causality and windows end its loops.) */
static bool padded(const att_plain_row *w, int64_t j0, int64_t end)
{
    const att_problem *p = w->rules->p;
    const att_tensor *m = &p->mask;

    if (!m->data)
        return false;
    for (int64_t j = j0; j < end; j++)
        if (((const uint8_t *)m->data)[att_broadcast_at(m, w->seq->b, w->row.h, w->row.i, j)])
            return false;
    return true;
}

static void mix(const att_plain_row *w, float top, float *sum)
{
    const int64_t n = w->seq->kv_len;

    att_plain_mix(w, top, sum);
    for (int64_t j0 = 0; j0 < n; j0 += LANDMARK)
        if (padded(w, j0, att_min(n, j0 + LANDMARK))) {
            const float m = -INFINITY;
            *sum += expf(m - m) * expf(m - top); /* NaN times the landmark's weight of 0 */
        }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_nystrom_pad_mask = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "nystrom_pad_mask",
    .family = "zoo",
    .summary = "approximation: a landmark of padding alone is normalised to NaN",
    .source = "xformers#366",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
