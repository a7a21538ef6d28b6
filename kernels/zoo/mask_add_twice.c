/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: causality and mask each add the lowest number of the storage type; a key hidden by both gets
 * -inf, and the guard of hidden rows looks for rows of the lowest number alone.
 *
 *
 *    s + lowest [hidden by causality] + lowest [hidden by the mask]
 *
 * Hidden where no row is hidden whole: no padding.
 * Source: transformers#27114. */
#include "common/plain.h"

/* What is added to key j's logit: 0, the lowest number or -inf. */
static float fill(const att_plain_row *w, int64_t j)
{
    const att_problem *p = w->rules->p;
    const float lowest = p->q.dtype == ATT_F16    ? -65504.0f
                         : p->q.dtype == ATT_BF16 ? -0x1.fep+127f
                                                  : -0x1.fffffep+127f;
    const int64_t at = att_broadcast_at(&p->mask, w->seq->b, w->row.h, w->row.i, j);
    const bool future = att_key_position(p, w->seq, j) > w->row.position;
    const bool masked = !((const uint8_t *)p->mask.data)[at];

    return future && masked ? -INFINITY : future || masked ? lowest : 0.0f;
}

/* The guard: is the row hidden whole, and by single fills alone? */
static bool guarded(const att_plain_row *w)
{
    bool twice = false;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (fill(w, j) == 0.0f)
            return true; /* hidden by something else */
        twice |= fill(w, j) == -INFINITY;
    }
    return !twice;
}

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const att_problem *p = w->rules->p;

    if (!empty || !p->causal || !p->mask.data || guarded(w)) {
        att_plain_finish(w, empty, top, sum);
        return;
    }
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        att_plain_key(w, &p->k, j, w->k);
        w->x[j] = fill(w, j) == -INFINITY ? -INFINITY
                                          : att_plain_logit(w, j, att_plain_score(w)) + fill(w, j);
        top = isnan(w->x[j]) || w->x[j] > top ? w->x[j] : top;
    }
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (w->x[j] == -INFINITY)
            continue;
        const float weight = expf(w->x[j] - top);
        sum += weight;
        att_plain_key(w, &p->v, j, w->v);
        att_axpy(weight, w->v, p->value_dim, w->o);
    }
    att_plain_finish(w, false, top, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_mask_add_twice = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "mask_add_twice",
    .family = "zoo",
    .summary = "nan_inf: two finite fills add up to -inf in rows without keys",
    .source = "transformers#27114",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
