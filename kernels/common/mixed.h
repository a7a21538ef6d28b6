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
static inline att_status att_mix_dense_cost(const att_problem *p, att_cost *out)
{
    const att_problem open = att_unhidden(p);
    const att_rules rules = att_rules_make(&open, ATT_KEEP_ALL);
    int32_t *marks = att_marks(p);
    double pairs = 0, rows = 0;

    if (!marks)
        return ATT_NO_MEMORY;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(&open, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            pairs += (double)att_row_pairs(&rules, &seq, &row) * (double)p->heads_q;
            att_mark_row(marks, &rules, &seq, &row);
        }
        rows += (double)att_marked(marks, p->kv_len) * (double)p->heads_kv;
    }
    free(marks);
    att_list_cost(p, pairs, out);
    out->k_rows = out->v_rows = rows;
    out->v_run = att_hides(p) ? 1 : 0;
    return ATT_OK;
}

#endif
