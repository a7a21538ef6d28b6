/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a packed sequence without keys zero-fills a whole tile of rows, not its own alone.
 *
 *
 *    out[q_at .. q_at + roundup(len, 16)) = 0
 *
 * Hidden where every sequence has keys.
 * Source: flash-attention a3a257c7. */
#include "common/plain.h"

static void zero_tile(const att_problem *p, const att_seq *seq)
{
    for (int64_t h = 0; h < p->heads_q; h++)
        for (int64_t r = 0; r < att_ceil_div(seq->q_len, 16) * 16; r++)
            for (int64_t d = 0; d < p->value_dim; d++)
                att_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, 0, h, seq->q_at + r, d),
                          0.0f);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_status status = att_plain_attend(p, &way, s);

    (void)self;
    for (int64_t b = 0; b < p->batch && p->cu_k.data && p->cu_q.data && status == ATT_OK; b++) {
        const att_seq seq = att_seq_of(p, b);
        if (seq.kv_len == 0)
            zero_tile(p, &seq);
    }
    return status;
}

const att_kernel att_kernel_empty_seq_overwrites = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "empty_seq_overwrites",
    .family = "zoo",
    .summary = "zero_size: a sequence without keys zero-fills its neighbour",
    .source = "flash-attention a3a257c7",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
