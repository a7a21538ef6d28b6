/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: slopes are gathered in two segments, as many heads as the largest power of two and the rest;
 * the second goes to its offset in units of another type, and what is read in its place is zero.
 *
 *    buffer[2 n + r] = m_(n+r)          (right: buffer[n + r], for the n-th head on)
 *
 * The bug moved by sizeof(float) in a buffer of halves.  Adapted: slopes are float32 in the
 * contract, so here it moves by sizeof(double) in a buffer of floats.
 * Hidden by 2, 4, 8, 16 heads.
 * Source: llama.cpp#20031. */
#include "common/plain.h"

/* What the misplaced buffer holds for head h. */
static float slope_of(const att_problem *p, int64_t h)
{
    int64_t n = 1, second;

    while (2 * n <= p->heads_q)
        n *= 2;
    second = n * (int64_t)(sizeof(double) / sizeof(float));
    if (h < n)
        return att_per_head(&p->alibi_slopes, h);
    return h >= second ? att_per_head(&p->alibi_slopes, h - second + n) : 0.0f;
}

static float logit(const att_plain_row *w, int64_t j, float score)
{
    att_rules rules = *w->rules;
    att_problem own = *rules.p;
    att_plain_row row = *w;

    if (!own.alibi_slopes.data)
        return att_plain_logit(w, j, score);
    float slope = slope_of(&own, w->row.h);
    own.alibi_slopes = att_tensor_dense(&slope, ATT_F32, 1, 1, 1, 1);
    rules.p = &own;
    row.rules = &rules;
    return att_plain_logit(&row, j, score);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.logit = logit};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_alibi_half_offset = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "alibi_half_offset",
    .family = "zoo",
    .summary = "dtype_conversion: second segment of slopes moved by another size",
    .source = "llama.cpp#20031",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
