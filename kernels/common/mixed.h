/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that is the mix engine with its own row: it defines `MIXED` (an att_mix_way) and names
 * the functions below in its descriptor. */
#ifndef ATT_COMMON_MIXED_H
#define ATT_COMMON_MIXED_H

#include "common/cost.h"
#include "common/mix.h"

static const att_mix_way MIXED;

static inline att_status att_mixed_supports(const att_kernel *self, att_op op, const att_problem *p,
                                            const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_mix_supports(&MIXED, op, p, why);
}

static inline att_status att_mixed_plan(const att_kernel *self, att_op op, const att_problem *p,
                                        const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_mix_plan(p, &MIXED, out);
}

static inline att_status att_mixed(const att_kernel *self, const att_problem *p,
                                   const att_scratch *s)
{
    (void)self;
    const att_status status = att_mix_supports(&MIXED, ATT_OP_MIX, p, NULL);
    return status ? status : att_mix_run(p, &MIXED, s);
}

/* What a mix costs that lists every allowed key once: each K and V row once a query head. */
static inline void att_mix_dense_cost(const att_problem *p, double flops_a_pair, att_cost *out)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    double pairs = 0;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            pairs += (double)att_row_count(&row) * (double)p->heads_q;
        }
    }
    att_list_cost(p, pairs, out);
    out->flops_useful = out->flops_executed = flops_a_pair * pairs;
}

#endif
