/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: fp8 probabilities under a lazy maximum: it is raised only when a tile's maximum is 4 powers
 * of two above it, though weights are scaled by 2^8 and e4m3 ends at 448.
 *
 *    p = min(448, 2^8 e^(s - m)),  m up to 4 ln 2 below the maximum: 2^12 saturates
 *
 * Hidden by scores that descend, and by tolerances as loose as fp8's.
 * Source: FlashAttention#2717. */
#include "common/fp8.h"
#include "common/online.h"

#define TILE  16
#define RAISE 256.0f
#define LAZY  2.77258872f /* 4 ln 2 */

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

static void rescale(const att_plain_row *w, float from, float to, float *sum)
{
    const float keep = from == to ? 1.0f : expf(from - to);

    *sum *= keep;
    for (int64_t d = 0; d < w->rules->p->value_dim; d++)
        w->o[d] *= keep;
}

static void mix(const att_plain_row *w, float last, float *sum)
{
    const int64_t n = w->seq->kv_len;
    float top = -INFINITY;

    for (int64_t j = 0; j < n; j += TILE) {
        const int64_t end = att_min(j + TILE, n);
        const float next = att_online_max(top, att_online_top(w, j, end));
        if (next == -INFINITY)
            continue;
        if (top == -INFINITY || !(next - top < LAZY)) {
            rescale(w, top, next, sum);
            top = next;
        }
        add(w, j, end, top, sum);
    }
    if (top != -INFINITY)
        rescale(w, top, last, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_fp8_p_saturation = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "fp8_p_saturation",
    .family = "zoo",
    .summary = "quantisation: e4m3 probabilities saturate under a lazy maximum",
    .source = "FlashAttention#2717",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F8_E4M3, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
