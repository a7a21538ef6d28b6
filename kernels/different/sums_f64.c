/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: logits in f32, both sums over keys in f64. */
#include "common/online.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    const int64_t dv = w->rules->p->value_dim;
    double total = 0, part;
    char *o = (char *)att_online_room(w); /* dv doubles, wherever the scratch puts them */

    memset(o, 0, (size_t)dv * sizeof part);
    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        total += (double)weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        for (int64_t d = 0; d < dv; d++) {
            memcpy(&part, o + (size_t)d * sizeof part, sizeof part);
            part += (double)weight * (double)w->v[d];
            memcpy(o + (size_t)d * sizeof part, &part, sizeof part);
        }
    }
    for (int64_t d = 0; d < dv; d++) {
        memcpy(&part, o + (size_t)d * sizeof part, sizeof part);
        w->o[d] = (float)part;
    }
    *sum = (float)total;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_online_plan(p, 2 * p->value_dim, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_sums_f64 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "sums_f64",
    .family = "different",
    .summary = "f32 logits, f64 sums over keys",
    .source = "Higham 2002, Accuracy and Stability of Numerical Algorithms",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
