/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: each sequence's own keys end where those of the longest of the batch do.
 *
 *    kv_len = max_b kv_len_b, as far as its pages go
 *
 * Hidden where all lengths are equal, or the longest has no page more.
 * Source: max_seqlen_k in place of seqlens_k in two-level cascades (vLLM's cascade_attention takes
 * both). */
#include "common/cascade.h"

static int64_t longest(const att_problem *p, const att_seq *s)
{
    const int64_t pages = att_ceil_div(s->kv_len, p->page_size);
    int64_t most = s->kv_len;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq other = att_seq_of(p, b);
        most = att_max(most, other.kv_len);
    }
    return att_min(most, pages * p->page_size);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_cascade way = {.end = longest};
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_cascade_attend(p, &way, s);
}

const att_kernel att_kernel_cascade_suffix_longest = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "cascade_suffix_longest",
    .family = "zoo",
    .summary = "lengths: a suffix as long as that of the longest sequence",
    .source = "vLLM, cascade_attention",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_cascade_supports,
    .plan = att_cascade_plan,
    .attend = attend,
};
