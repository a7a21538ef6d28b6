/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the last chunk is taken in whole, with rows of k, v, g and beta past the end of the
 * sequence.
 *
 *    for i in chunk: row = i_t * BT + i     (meant: i_t * BT + i < T)
 *
 * Outputs stop at T, so that only the state that is handed on is wrong.  Hidden where T is a
 * multiple of the chunk.
 * Source: flash-linear-attention#1143. */
#include "common/recur.h"

#define CHUNK 16

static int64_t tokens(const att_problem *p)
{
    return att_ceil_div(p->kv_len, CHUNK) * CHUNK;
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.tokens = tokens};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_partial_last_chunk = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "partial_last_chunk",
    .family = "zoo",
    .summary = "state: a partial last chunk reads rows past the end of the sequence",
    .source = "flash-linear-attention#1143",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
