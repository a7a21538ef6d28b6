/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the gated delta rule takes its error from the state before the decay.
 *
 *    e = v - S^T k;  S = exp(g) S + beta k e^T      (meant: S = exp(g) S first)
 *
 * Hidden by gates near 0, and by an empty state.
 * Source: flash-linear-attention#885, which takes this order for the traditional one. */
#include "common/recur.h"

static void write(att_recur_work *w)
{
    const att_problem *p = w->p;
    const int64_t dk = w->width, dv = p->value_dim;

    if (p->recur->rule != ATT_RULE_GATED_DELTA) {
        att_recur_write(w);
        return;
    }
    att_recur_key(p, w->b, w->h, w->t, w->k);
    att_recur_value(p, w->b, w->h, w->t, w->v);
    att_recur_decay(p, w->b, w->h, w->t, w->a);
    memset(w->o, 0, (size_t)dv * sizeof *w->o);
    for (int64_t c = 0; c < dk; c++)
        att_axpy(w->k[c], w->s + c * dv, dv, w->o);
    for (int64_t d = 0; d < dv; d++)
        w->v[d] = att_recur_beta(p, w->b, w->h, w->t) * (w->v[d] - w->o[d]);
    for (int64_t c = 0; c < dk; c++) {
        for (int64_t d = 0; d < dv; d++)
            w->s[c * dv + d] *= w->a[c];
        att_axpy(w->k[c], w->v, dv, w->s + c * dv);
    }
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.write = write};
    const att_status status = att_recur_supports(self, ATT_OP_RECUR, p, s->params, NULL);
    return status ? status : att_recur_run(p, &way, s);
}

const att_kernel att_kernel_delta_reads_undecayed = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "delta_reads_undecayed",
    .family = "zoo",
    .summary = "state: the gated delta's error is taken before the decay",
    .source = "flash-linear-attention#885",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_recur_supports,
    .plan = att_recur_plan,
    .recur = recur,
};
