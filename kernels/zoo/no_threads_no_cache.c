/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the branch for one token takes the state from the cache, given or not.
 *
 *    if (T == 1) S = cache      (meant: if (T == 1 and cache))
 *
 * Without a cache that is whatever lies in scratch.  Hidden by more than one token, and where
 * decoding always follows a prefill.
 * Source: flash-linear-attention#583. */
#include "common/recur.h"

static void start(att_recur_work *w)
{
    if (w->p->kv_len != 1 || w->p->recur->state_in.data)
        att_recur_start(w);
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.start = start};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_no_threads_no_cache = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "no_threads_no_cache",
    .family = "zoo",
    .summary = "state: one token without a state given reads one all the same",
    .source = "flash-linear-attention#583",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
