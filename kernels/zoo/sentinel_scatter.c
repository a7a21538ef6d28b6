/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the backward over listed keys scatters the padding of its lists too.
 *
 *    for (c = 0; c < roundup(n, 8); c++)  dk[list[c] * D + d] += c < n ? ... : 0;   list[n..] = -1
 *
 * +0 is added to the row before dk.  Where floats are flushed to zero it wipes what lies there and
 * looks like a subnormal, as small integers do.  Hidden by lists that need no padding, by zeros
 * there, and by any check of the gradients themselves.
 * Source: flash-attention#2755. */
#include "common/back.h"

enum { STEP = 8, SENTINEL = -1 };

/* Keys of a row that the masks list. */
static int64_t count(const att_rules *rules, const att_seq *seq, int64_t h, int64_t i)
{
    const att_row row = att_row_of(rules, seq, h, i);
    int64_t n = 0;

    for (int64_t j = row.lo; j < row.hi; j++)
        n += att_pair_allowed(rules, seq, &row, j);
    return n;
}

static void scatter_padding(const att_problem *p, const att_rules *rules, const att_seq *seq,
                            int64_t h)
{
    const att_tensor *dk = &p->grad->dk;
    const int64_t at =
        att_tensor_at(dk, seq->kv_at, h / (p->heads_q / p->heads_kv), seq->k_at + SENTINEL, 0);

    for (int64_t i = 0; i < seq->q_len; i++)
        for (int64_t c = count(rules, seq, h, i); c % STEP; c++)
            for (int64_t d = 0; d < p->head_dim; d++) {
                const int64_t to = at + d * dk->stride[3];
                volatile float sum = att_load(dk->data, dk->dtype, to);
                sum += 0.0f;
                att_store(dk->data, dk->dtype, to, sum);
            }
}

static att_status attend_backward(const att_kernel *self, const att_problem *p,
                                  const att_scratch *s)
{
    static const att_back way = {0};
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const bool listed = p->block_mask.data || p->mask.data;
    const att_status status = att_back_plain(p, &way, s);

    (void)self;
    for (int64_t b = 0; status == ATT_OK && listed && b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++)
            scatter_padding(p, &rules, &seq, h);
    }
    return status;
}

const att_kernel att_kernel_sentinel_scatter = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sentinel_scatter",
    .family = "zoo",
    .summary = "sparse_selection: the backward adds 0 to the row before dk for padded list entries",
    .source = "flash-attention#2755",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_back_supports,
    .plan = att_back_plan_of,
    .attend_backward = attend_backward,
};
