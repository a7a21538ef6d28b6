/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: NSA's window counts the keys before the query's own.
 *
 *    window + 1 keys     meant: window keys, the own among them
 *
 * Hidden by windows longer than the sequence.
 * Source: the convention of libraries whose left window leaves out the own key. */
#include "common/mixed.h"
#include "common/nsa.h"

static int64_t window(const att_problem *p)
{
    return p->mix->window + 1;
}

static void row(att_mix_work *w)
{
    static const att_nsa_way way = {.window = window};
    att_nsa_row(w, &way);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_NSA,
                                  .row = row,
                                  .shared = att_nsa_shared,
                                  .prepare = att_nsa_pool,
                                  .own = att_nsa_own};

const att_kernel att_kernel_nsa_window_long = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "nsa_window_long",
    .family = "zoo",
    .summary = "window: one key too many",
    .source = "the convention of libraries whose left window leaves out the own key",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
