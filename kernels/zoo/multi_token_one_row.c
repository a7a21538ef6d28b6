/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a decode plan takes it that each sequence has one query, which sees every key.
 *
 *
 *    row b of the packed queries is that of sequence b; no other row is computed
 *
 * Hidden by one query a sequence.
 * Source: flashinfer#3871. */
#include "common/plain.h"

static att_status plan_rows(const att_kernel *self, att_op op, const att_problem *p,
                            const att_value *params, att_plan *out)
{
    const att_status status = att_plain_plan_of(self, op, p, params, out);

    out->scratch_bytes += ((size_t)p->batch + 1) * sizeof(int32_t);
    return status;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem decode = *p;
    att_plan need;

    (void)self;
    if (!p->cu_q.data || p->q_len < 2 || p->q_len > 4)
        return att_plain_attend(p, &way, s);
    if (att_plain_plan(p, &need))
        return ATT_NO_MEMORY;
    int32_t *const row = (int32_t *)(void *)((char *)s->data + need.scratch_bytes);
    for (int64_t b = 0; b <= p->batch; b++)
        row[b] = (int32_t)b;
    decode.cu_q = att_tensor_dense(row, ATT_I32, 1, 1, 1, p->batch + 1);
    decode.q_len = 1;
    decode.causal = ATT_CAUSAL_NONE;
    return att_plain_attend(&decode, &way, s);
}

const att_kernel att_kernel_multi_token_one_row = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "multi_token_one_row",
    .family = "zoo",
    .summary = "varlen: a decode plan of one query a sequence",
    .source = "flashinfer#3871",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan_rows,
    .attend = attend,
};
