/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: decays in a chunk are split between query and key.
 *
 *    (q_i exp(G_i)) . (k_j exp(-G_j))      (meant: q_i . (exp(G_i - G_j) k_j))
 *
 * G is the sum of log decays since the chunk's start; at -89 exp(-G) is infinite and exp(G) is 0.
 * Hidden by mild gates and short sequences.
 * Source: flash-linear-attention#20 (a gate that forgets all at once). */
#include "common/recur.h"

#define CHUNK 64

/* `a` holds the logs of the chunk, for gated rules `z` is free to. */
static void write(att_recur_work *w)
{
    const att_problem *p = w->p;
    const att_tensor *g = &p->recur->g;
    const int64_t dv = p->value_dim;

    att_recur_write(w);
    if (!att_rule_gated(p->recur->rule))
        return;
    for (int64_t c = 0; c < w->width; c++) {
        const int64_t at = att_tensor_at(g, w->b, w->h, w->t, g->shape[3] == 1 ? 0 : c);
        w->z[c] = (w->t % CHUNK ? w->z[c] - w->k[c] : 0.0f) + att_load(g->data, g->dtype, at);
        const float both = att_exp(w->z[c]) * expf(-w->z[c]);
        att_axpy((both - 1.0f) * w->k[c], w->v, dv, w->s + c * dv);
    }
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.write = write};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_chunk_decay_split = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "chunk_decay_split",
    .family = "zoo",
    .summary = "state: a decay as exp(G_i) exp(-G_j), which strong gates overflow",
    .source = "flash-linear-attention#20",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
