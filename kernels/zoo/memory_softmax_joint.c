/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: far and near keys of a gated memory share one softmax, and the gate is left
 * out.
 *
 *    A(q; the chosen far keys and the near ones)     meant: g A(q; far) + (1 - g) A(q; near)
 *
 * Hidden by keys that are all near, at a gate of 0.
 * Source: the joint variant of the same memory. */
#include "common/choose.h"
#include "common/mixed.h"

static void row(att_mix_work *w)
{
    const att_problem *p = w->p;
    const att_mix *m = p->mix;
    const int64_t near = att_add_clamped(w->row.position, 1 - m->window);

    att_mix_list(w, 0, near - 1);
    att_mix_scores(w, 0, p->head_dim, w->rules.scale, w->x);
    w->n = att_choose(w->x, w->n, 0, m->keep, w->j, w->y);
    for (int64_t j = att_max(0, near); j <= w->row.position; j++)
        w->j[w->n++] = j;
    att_mix_scores(w, 0, p->head_dim, w->rules.scale, w->x);
    att_mix_soften(w, w->n, w->x);
    att_mix_add(w, 1.0f, w->x);
}

static const att_mix_way MIXED = {.kind = ATT_MIX_MEMORY, .row = row};

const att_kernel att_kernel_memory_softmax_joint = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "memory_softmax_joint",
    .family = "zoo",
    .summary = "softmax: one over far and near keys, without the gate",
    .source = "the joint variant of the same memory",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_mixed_supports,
    .plan = att_mixed_plan,
    .mix = att_mixed,
};
