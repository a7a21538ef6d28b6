/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax attention with an online softmax whose probabilities meet V in fp8 e4m3.
 *
 *   o = sum e4m3(2^8 e^(s_j - m)) v_j / (2^8 sum e^(s_j - m))
 *
 * Why: the product with V in fp8 is the fastest that accelerators have.  The factor 2^8 puts the
 * largest weight at 256 of 448, so that small ones keep three bits down to 2^-14 of it; it may not
 * be larger, and m may not lag behind, or weights saturate.
 * Bound: |e| <= 2^-4 sum p |v - o| beside the terms of f32 (the denominator is not rounded).
 * Source: Shah et al. 2024, "FlashAttention-3". */
#include "common/fp8.h"
#include "common/online.h"

#define TILE  64
#define RAISE 256.0f

static void add(const att_plain_row *w, int64_t from, int64_t to, float top, float *sum)
{
    for (int64_t j = from; j < to; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        att_plain_key(w, &w->rules->p->v, j, w->v);
        att_axpy(att_round_e4m3(RAISE * weight) / RAISE, w->v, w->rules->p->value_dim, w->o);
    }
}

static void mix(const att_plain_row *w, float last, float *sum)
{
    const int64_t n = w->seq->kv_len, dv = w->rules->p->value_dim;
    float top = -INFINITY;

    (void)last;
    for (int64_t j = 0; j < n; j += TILE) {
        const int64_t end = att_min(j + TILE, n);
        const float next = att_online_max(top, att_online_top(w, j, end));
        if (next == -INFINITY)
            continue;
        const float keep = top == next ? 1.0f : expf(top - next);
        *sum *= keep;
        for (int64_t d = 0; d < dv; d++)
            w->o[d] *= keep;
        add(w, j, end, next, sum);
        top = next;
    }
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);

    return status ? status : att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_flash_p8 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "flash_p8",
    .family = "exact",
    .summary = "tiled online softmax, e4m3 probabilities, f32 sums",
    .source = "Shah et al. 2024, FlashAttention-3",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F8_E4M3, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .cost = att_plain_cost,
    .attend = attend,
};
