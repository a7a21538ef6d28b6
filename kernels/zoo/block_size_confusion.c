/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the block table holds pages of another size than the kernel divides by.
 *
 *
 *    page = table[j / 16], slot = j % 16      (pages of 32, 48, 64 ...)
 *
 * Hidden where both sizes are equal.
 * Source: vllm#27547. */
#include "common/plain.h"

static int64_t pages_of(const att_problem *p)
{
    return att_ceil_div(p->kv_len, 16);
}

static bool confuses(const att_problem *p)
{
    return p->block_table.data && p->page_size > 16 && p->page_size % 16 == 0;
}

/* The table as it is read: entries past it and without a page are the null page, 0. */
static int32_t entry(const att_problem *p, int64_t b, int64_t page)
{
    const att_tensor *t = &p->block_table;
    const int64_t at = (t->shape[2] == 1 ? 0 : b * t->stride[2]) + page * t->stride[3];
    const int64_t end = (t->shape[2] - 1) * t->stride[2] + (t->shape[3] - 1) * t->stride[3];
    const int32_t found = at <= end ? ((const int32_t *)t->data)[at] : 0;

    return found >= 0 && found < p->k.shape[0] ? found : 0;
}

static att_status plan_table(const att_kernel *self, att_op op, const att_problem *p,
                             const att_value *params, att_plan *out)
{
    const att_status status = att_plain_plan_of(self, op, p, params, out);

    if (confuses(p))
        out->scratch_bytes += (size_t)(p->batch * pages_of(p)) * sizeof(int32_t);
    return status;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem confused = *p;
    att_plan need;

    (void)self;
    if (!confuses(p))
        return att_plain_attend(p, &way, s);
    if (att_plain_plan(p, &need))
        return ATT_NO_MEMORY;
    int32_t *const table = (int32_t *)(void *)((char *)s->data + need.scratch_bytes);
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t page = 0; page < pages_of(p); page++)
            table[b * pages_of(p) + page] = entry(p, b, page);
    confused.block_table = att_tensor_dense(table, ATT_I32, 1, 1, p->batch, pages_of(p));
    confused.page_size = 16;
    return att_plain_attend(&confused, &way, s);
}

const att_kernel att_kernel_block_size_confusion = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "block_size_confusion",
    .family = "zoo",
    .summary = "kv_cache: divides by 16 where pages are larger",
    .source = "vllm#27547",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan_table,
    .attend = attend,
};
