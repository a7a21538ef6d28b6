/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a work list with one slot a sequence gets one item a chunk: later items overwrite earlier
 * ones.
 *
 *
 *    slot = item % B                  (items: chunks of 2 pages, all sequences in a row)
 *
 * Hidden by a batch of one, which is not split, and by short sequences.
 * Source: pie#410. */
#include "common/plain.h"

static int64_t items_of(const att_problem *p, int64_t b)
{
    const att_seq seq = att_seq_of(p, b);

    return att_ceil_div(att_ceil_div(seq.kv_len, p->page_size), 2);
}

/* The last B items are what the list still holds. */
static bool allowed(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    int64_t before = 0, all = 0;

    if (!p->block_table.data || p->batch == 1)
        return att_plain_allowed(w, j);
    for (int64_t b = 0; b < p->batch; b++) {
        before += b < w->seq->b ? items_of(p, b) : 0;
        all += items_of(p, b);
    }
    return before + j / p->page_size / 2 >= all - p->batch && att_plain_allowed(w, j);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_planner_tile_mismatch = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "planner_tile_mismatch",
    .family = "zoo",
    .summary = "kv_cache: a work list of B slots gets more items",
    .source = "pie#410",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
