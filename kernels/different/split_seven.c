/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: the keys in seven parts, each with its own maximum, merged at the end. */
#include "common/online.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    const int64_t n = w->seq->kv_len, dv = w->rules->p->value_dim;
    float *o = att_online_room(w);

    for (int64_t part = 0; part < 7; part++) {
        const int64_t from = n * part / 7, to = n * (part + 1) / 7;
        const float own = att_online_top(w, from, to);
        float more = 0.0f;
        if (own == -INFINITY)
            continue;
        memset(o, 0, (size_t)dv * sizeof *o);
        att_online_add(w, from, to, own, &more, o);
        const float weight = own == top ? 1.0f : expf(own - top);
        *sum += weight * more;
        att_axpy(weight, o, dv, w->o);
    }
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_online_plan(p, p->value_dim, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_split_seven = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "split_seven",
    .family = "different",
    .summary = "keys in seven parts, merged",
    .source = "Dao et al. 2023, Flash-Decoding",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
