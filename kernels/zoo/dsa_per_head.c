/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: every query head takes the keys of its own index score.
 *
 *    kept(h, t, s): w_th relu(q_th . k_s) is among the k largest     (should be: their sum over h)
 *
 * The cache is then read for as many tokens a head, not for k in all, and the choice is another.
 * Output and reported keys agree.  Hidden by one head, and by heads that agree.
 * Source: block-sparse attention code reused for DeepSeek-V3.2, whose choice is one a token. */
#include "common/indexed.h"

static const att_indexed WAY = {.apart = true};

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_indexed_plan(p, params[0].i, params[1].i, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_indexed_run(self, ATT_OP_ATTEND, p, &WAY, s->params[0].i, s->params[1].i, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_indexed_run(self, ATT_OP_SELECT, p, &WAY, s->params[0].i, s->params[1].i, s,
                           allowed);
}

static const att_param PARAMS[] = {ATT_INDEXED_PARAMS("16"), {0}};

const att_kernel att_kernel_dsa_per_head = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "dsa_per_head",
    .family = "zoo",
    .summary = "sparse_selection: each head takes the keys of its own index score",
    .source = "sparse attention code reused for DeepSeek-V3.2",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_INDEXED,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_indexed_supports,
    .plan = plan,
    .attend = attend,
    .select = select_pairs,
};
