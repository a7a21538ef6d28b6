/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the state that leaves a block of 64 tokens is aged to the last column that the thread itself
 * holds (57, 59, 61 or 63), not to the end of the block.
 *
 *    S *= exp(G[57 + 2 (t & 3)] - G[63])    G the sum of log decays in the block; meant: S as it is
 *
 * Hidden by decays near 1, and by less than two blocks.
 * Source: flashinfer#4311. */
#include "common/recur.h"

#define BLOCK 64

static void after(att_recur_work *w)
{
    const int64_t dk = w->p->head_dim, dv = w->p->value_dim, last = w->t;

    if ((last + 1) % BLOCK)
        return;
    for (int64_t t = last; t > last - 6; t--) {
        att_recur_decay(w->p, w->b, w->h, t, w->a);
        for (int64_t c = 0; c < dk; c++)
            for (int64_t d = 0; d < dv; d++)
                if (t % BLOCK > BLOCK - 7 + 2 * (d % 4))
                    w->s[c * dv + d] /= w->a[c];
    }
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.after = after};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_block_end_decay = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "block_end_decay",
    .family = "zoo",
    .summary =
        "state: it leaves a block of 64 tokens aged to the thread's last column, not the block's",
    .source = "flashinfer#4311",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
