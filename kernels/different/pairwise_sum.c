/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: all sums as balanced trees.
 *
 *   sum(a .. b) = sum(a .. m) + sum(m .. b)
 * Keys go into a binary counter of partial sums, so that a tree needs log2(n) of them. */
#include "common/online.h"

#define LEVELS 40

static float tree(const float *a, const float *b, int64_t n)
{
    if (n <= 1)
        return n ? a[0] * b[0] : 0.0f;
    return tree(a, b, n / 2) + tree(a + n / 2, b + n / 2, n - n / 2);
}

static float score(const att_plain_row *w)
{
    return tree(w->q, w->k, w->rules->p->head_dim) * w->rules->scale;
}

/* Level l of the counter: a sum of weights and dv of numerators. */
static float *level(const att_plain_row *w, int l)
{
    return att_online_room(w) + l * (w->rules->p->value_dim + 1);
}

static void mix(const att_plain_row *w, float top, float *sum)
{
    const int64_t dv = w->rules->p->value_dim;
    uint64_t full = 0;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        int l = 0;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        float carry = weight;
        for (int64_t d = 0; d < dv; d++)
            w->v[d] *= weight;
        for (; full >> l & 1; full &= ~(1ull << l), l++) {
            carry += level(w, l)[0];
            att_axpy(1.0f, level(w, l) + 1, dv, w->v);
        }
        level(w, l)[0] = carry;
        memcpy(level(w, l) + 1, w->v, (size_t)dv * sizeof *w->v);
        full |= 1ull << l;
    }
    for (int l = 0; full >> l; l++)
        if (full >> l & 1) {
            *sum += level(w, l)[0];
            att_axpy(1.0f, level(w, l) + 1, dv, w->o);
        }
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_online_plan(p, LEVELS * (p->value_dim + 1), out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.score = score, .mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_pairwise_sum = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "pairwise_sum",
    .family = "different",
    .summary = "sums as balanced trees",
    .source = "Higham 2002, Accuracy and Stability of Numerical Algorithms",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
