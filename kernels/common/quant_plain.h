/* SPDX-License-Identifier: Apache-2.0 */
/* The plain loop over quantised K and V: a kernel defines `read_key`, how it gets one row of either
 * as floats, and names the functions below in its att_plain.
 *
 * Why: bugs of quantised caches differ in how a row is read, and in nothing else. */
#ifndef ATT_COMMON_QUANT_PLAIN_H
#define ATT_COMMON_QUANT_PLAIN_H

#include "common/plain.h"
#include "common/quant.h"

/* The kernel's own: row j of t (k or v, quantised so). */
static void read_key(const att_plain_row *w, const att_tensor *t, const att_quant *quant, int64_t j,
                     float *to);

/* The loop has scored whatever half.h makes of the row; this is its score. */
static inline float att_quant_logit(const att_plain_row *w, int64_t j, float score)
{
    const att_problem *p = w->rules->p;

    (void)score;
    read_key(w, &p->k, &p->k_quant, j, w->k);
    return att_plain_logit(w, j, att_plain_score(w));
}

static inline void att_quant_mix(const att_plain_row *w, float top, float *sum)
{
    const att_problem *p = w->rules->p;

    for (int64_t j = 0; j < w->seq->kv_len; j++) {
        if (!att_plain_allowed(w, j))
            continue;
        const float weight = expf(w->x[j] - top);
        *sum += weight;
        read_key(w, &p->v, &p->v_quant, j, w->v);
        att_axpy(weight, w->v, p->value_dim, w->o);
    }
}

static inline att_status att_quant_supports(const att_kernel *self, att_op op, const att_problem *p,
                                            const att_value *params, att_reason *why)
{
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self, (void)params;
    return att_accept_quantised(&accept, op, p, why);
}

#endif
