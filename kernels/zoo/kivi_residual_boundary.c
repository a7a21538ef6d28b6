/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the last quantised token is read from among the recent ones.
 *
 *    recent: j >= done - 1      (right: j >= done)
 *
 * Its place there already holds a later token, or its old digits.  Hidden until a first token is
 * quantised.
 * Source: what a cache split in two must get right; KIVI's residual and quantised parts overlap by
 * one where the split is taken before the append. */
#include "common/kivi_steps.h"

static const att_param PARAMS[] = {ATT_KIVI_BITS, ATT_KIVI_GROUP("4"), ATT_KIVI_RESIDUAL("8"), {0}};

static int64_t one_early(int64_t done)
{
    return done > 0 ? done - 1 : 0;
}

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kivi_way way = {.done = one_early};
    (void)self;
    return att_kivi_open(&way, p, s->params, out);
}

static const att_session_ops session = ATT_KIVI_SESSION(open);

const att_kernel att_kernel_kivi_residual_boundary = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "kivi_residual_boundary",
    .family = "zoo",
    .summary = "quantised KV: the last quantised token read as a recent one",
    .source = "Liu et al. 2024, KIVI, the residual's boundary",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_kivi_supports,
    .session = &session,
};
