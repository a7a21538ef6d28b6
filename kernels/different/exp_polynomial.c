/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: e^x by a polynomial of its own.
 *
 *   x = n ln 2 + r,  |r| <= ln(2)/2,  e^x = 2^n (1 + r + ... + r^8/8!)
 * Bound: the Taylor remainder is below 2^-31; Horner's last steps leave about one ulp of f32. Below
 * e^-87 the result is 0: a subnormal weight is lost beside the row's largest, which is 1. */
#include "common/plain.h"

static float weight(float x)
{
    static const float inverse[] = {1.0f / 40320, 1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                                    1.0f / 6,     0.5f,        1.0f,       1.0f};
    const float ln2_hi = 0x1.62e400p-1f, ln2_lo = 0x1.7f7d1cp-20f; /* Cody and Waite 1980 */

    if (isnan(x))
        return x;
    if (x < -87.0f)
        return 0.0f;
    const float n = rintf(x * 0x1.715476p0f), r = (x - n * ln2_hi) - n * ln2_lo;
    float sum = inverse[0];
    for (size_t i = 1; i < sizeof inverse / sizeof *inverse; i++)
        sum = sum * r + inverse[i];
    return ldexpf(sum, (int)n);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.weight = weight};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_exp_polynomial = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "exp_polynomial",
    .family = "different",
    .summary = "e^x by another polynomial",
    .source = "Cody and Waite 1980, Software Manual for the Elementary Functions",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
