/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: Dk threads copy the maximum and the sum of each split; where there are more, the rest stays
 * as the reset left it.
 *
 *
 *    copied = min(2 splits, Dk) floats  (splits of 16 keys; reset: m = -inf, l = 0)
 *
 * Hidden where there are few splits: short contexts, wide heads.
 * Source: llama.cpp#13852. */
#include "common/plain.h"

/* The copied sum and maximum of a split, or what the reset left. */
static void meta_of(const att_plain_row *w, int64_t split, float *top, float *sum)
{
    const int64_t first = split * 16, end = att_min(w->seq->kv_len, first + 16);
    float m = -INFINITY, l = 0.0f;

    for (int64_t j = first; j < end; j++)
        m = isnan(w->x[j]) || w->x[j] > m ? w->x[j] : m;
    for (int64_t j = first; j < end; j++)
        l += w->x[j] == -INFINITY ? 0.0f : expf(w->x[j] - m);
    *top = 2 * split < w->rules->p->head_dim ? m : -INFINITY;
    *sum = 2 * split + 1 < w->rules->p->head_dim ? l : 0.0f;
}

static void mix(const att_plain_row *w, float top, float *sum)
{
    float m, l, first = -INFINITY;

    (void)top;
    for (int64_t split = 0; split * 16 < w->seq->kv_len; split++) {
        meta_of(w, split, &m, &l);
        first = isnan(m) || m > first ? m : first;
    }
    for (int64_t split = 0; split * 16 < w->seq->kv_len; split++) {
        meta_of(w, split, &m, &l);
        if (m == -INFINITY)
            continue;
        *sum += l * expf(m - first);
        for (int64_t j = split * 16; j < att_min(w->seq->kv_len, split * 16 + 16); j++) {
            if (w->x[j] == -INFINITY)
                continue;
            att_plain_key(w, &w->rules->p->v, j, w->v);
            att_axpy(expf(w->x[j] - first), w->v, w->rules->p->value_dim, w->o);
        }
    }
}

static void finish(const att_plain_row *w, bool empty, float top, float sum)
{
    const int64_t copied = (w->rules->p->head_dim + 1) / 2 * 16;
    float first = -INFINITY;

    (void)top;
    for (int64_t j = 0; j < att_min(w->seq->kv_len, copied); j++)
        first = isnan(w->x[j]) || w->x[j] > first ? w->x[j] : first;
    att_plain_finish(w, empty || first == -INFINITY, first, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix, .finish = finish};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_combine_meta_truncated = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "combine_meta_truncated",
    .family = "zoo",
    .summary = "tile_tail: split maxima and sums past Dk floats are not copied",
    .source = "llama.cpp#13852",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
