/* SPDX-License-Identifier: Apache-2.0 */
/* LSE merge of partial results, any number of parts, any strides.
 *
 *   LSE = m + ln sum_i e^(l_i - m),  m = max l_i      o = sum_i e^(l_i - LSE) o_i
 *
 * Why: the step after attention over split keys; its mistakes (an empty part read, strides of the
 * LSE ignored, another base of the logarithm) have shipped more than once.
 * Bound: as attention on partial results (common/merge.h).  O(parts B Hq Sq Dv).
 * Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al.
 * 2023, "Flash-Decoding". */
#include "common/merge.h"

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    if (op != ATT_OP_MERGE)
        return att_refuse(why, ATT_UNSUPPORTED, "operator not offered");
    return att_merge_accept(p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_merge_plan(p, out);
}

static att_status merge(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self;
    return att_merge_all(p, s);
}

const att_kernel att_kernel_merge_f32 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "merge_f32",
    .family = "exact",
    .summary = "partial results merged by their LSEs, weights and sums in f32",
    .source = "Dao et al. 2023, Flash-Decoding",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .merge = merge,
};
