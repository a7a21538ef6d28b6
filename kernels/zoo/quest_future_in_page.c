/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a chunk's keys enter their pages before its queries attend, so that a page in progress is
 * scored with keys of the future.
 *
 *    min, max over all keys of the page           (contract: over those that the row may see)
 *
 * Hidden in decoding, where no later key exists; what is attended to stays causal.
 * Source: typical of chunked prefill with page metadata. */
#include "common/pages.h"

static const att_param PARAMS[] = {{.name = "page",
                                    .type = ATT_PARAM_INT,
                                    .fallback = "4",
                                    .domain = "1:65536",
                                    .help = "keys a page"},
                                   {.name = "pages",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "pages",
                                    .fallback = "2",
                                    .domain = "1:1048576",
                                    .help = "pages kept a row"},
                                   {0}};

static void add(float *summary, const float *k, int64_t dk, int64_t n)
{
    for (int64_t c = 0; c < dk; c++) {
        summary[c] = n == 0 || k[c] < summary[c] ? k[c] : summary[c];
        summary[dk + c] = n == 0 || k[c] > summary[dk + c] ? k[c] : summary[dk + c];
    }
}

static float score(const float *q, const float *summary, int64_t dk, int64_t n)
{
    float sum = 0.0f;

    (void)n;
    for (int64_t c = 0; c < dk; c++)
        sum += q[c] * (q[c] < 0 ? summary[c] : summary[dk + c]);
    return sum;
}

static att_pages pages(const att_value *params)
{
    return (att_pages){
        .side = params[0].i, .budget = params[1].i, .width = 2, .add = add, .score = score};
}

static void pick(const void *arg, att_list *l, const att_row *row, const float *shared, float *room)
{
    const int64_t side = ((const att_value *)arg)->i;
    att_row open = *row;

    if (row->lo < row->hi)
        open.hi = att_min(l->seq->kv_len, att_ceil_div(row->hi, side) * side);
    open.head = open.band = open.lo;
    att_pages_pick(arg, l, &open, shared, room);
    while (l->n > 0 && l->j[l->n - 1] >= row->hi)
        l->n--;
}

static att_status run(const att_kernel *self, att_op op, const att_problem *p, const att_scratch *s,
                      uint8_t *allowed)
{
    att_picker own = picker(p, s->params);
    const att_status status = self->supports(self, op, p, s->params, NULL);

    own.pick = pick;
    return status ? status : att_picked_run(p, &own, s, allowed);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return run(self, ATT_OP_ATTEND, p, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return run(self, ATT_OP_SELECT, p, s, allowed);
}

const att_kernel att_kernel_quest_future_in_page = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "quest_future_in_page",
    .family = "zoo",
    .summary = "sparse_selection: page scores with keys that the row may not see",
    .source = "typical of chunked prefill with page metadata",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .attend = attend,
    .select = select_pairs,
};
