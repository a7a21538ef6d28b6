/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: V is rounded to e4m3 under one scale a channel for 32 keys, those after the query among
 * them.
 *
 *    scale = max |v_j| / 448 over j in the block of 32;  v = scale e4m3(v / scale)
 *
 * Hidden from every test of accuracy: the error is fp8's own.
 * Source: TransformerEngine#3248. */
#include "common/fp8.h"
#include "common/plain.h"

#define BLOCK 32

/* Scales of the block of keys from j0 on. */
static void scales(const att_plain_row *w, int64_t j0, float *to)
{
    const int64_t dv = w->rules->p->value_dim, end = att_min(j0 + BLOCK, w->seq->kv_len);

    memset(to, 0, (size_t)dv * sizeof *to);
    for (int64_t j = j0; j < end; j++) {
        att_plain_key(w, &w->rules->p->v, j, w->v);
        for (int64_t d = 0; d < dv; d++)
            to[d] = fmaxf(to[d], fabsf(w->v[d]));
    }
    for (int64_t d = 0; d < dv; d++)
        to[d] /= ATT_E4M3_LARGEST;
}

static void mix(const att_plain_row *w, float top, float *sum)
{
    const att_problem *p = w->rules->p;
    float *scale = w->o + p->value_dim;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (j % BLOCK == 0)
            scales(w, j, scale);
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &p->v, j, w->v);
        for (int64_t d = 0; d < p->value_dim; d++)
            if (scale[d] > 0)
                w->o[d] += weight * scale[d] * att_round_e4m3(w->v[d] / scale[d]);
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    const att_status status = att_plain_plan_of(self, op, p, params, out);
    out->scratch_bytes += (size_t)p->value_dim * sizeof(float);
    return status;
}

const att_kernel att_kernel_future_leak_by_scale = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "future_leak_by_scale",
    .family = "zoo",
    .summary = "quantisation: the scale of a block of values covers later ones",
    .source = "TransformerEngine#3248",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F8_E4M3, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
