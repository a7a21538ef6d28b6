/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that is the list engine (common/rows.h) with a fixed pattern: it defines `fill` and
 * names the functions below in its descriptor.
 *
 * Why: patterns that list their keys differ in which keys those are, and in nothing else.
 * Positions are key indices: given key positions are refused. */
#ifndef ATT_COMMON_LISTED_H
#define ATT_COMMON_LISTED_H

#include "common/rows.h"

/* The kernel's own: the keys of a row (att_lister); arg: its parameters. */
static int64_t fill(const void *arg, const att_row *row, int64_t *j);

static inline att_status att_listed_supports(const att_kernel *self, att_op op,
                                             const att_problem *p, const att_value *params,
                                             att_reason *why)
{
    static const att_accept accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                      .can = ATT_CAN_ALL,
                                      .dtypes = ATT_HALVES_AND_SINGLE};
    (void)self, (void)params;
    if (p->k_positions.data)
        return att_refuse(why, ATT_UNSUPPORTED, "given key positions: the pattern counts keys");
    return att_accept_check(&accept, op, p, why);
}

static inline att_lister att_listed(const att_problem *p, const att_value *params)
{
    return (att_lister){.fill = fill, .arg = params, .most = p->kv_len};
}

static inline att_status att_listed_plan(const att_kernel *self, att_op op, const att_problem *p,
                                         const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    const att_lister l = att_listed(p, params);
    return att_list_plan(p, &l, out);
}

static inline att_status att_listed_cost(const att_kernel *self, const att_problem *p,
                                         const att_value *params, att_cost *out)
{
    (void)self;
    const att_lister l = att_listed(p, params);
    return att_lister_cost(p, &l, out);
}

static inline att_status att_listed_attend(const att_kernel *self, const att_problem *p,
                                           const att_scratch *s)
{
    const att_lister l = att_listed(p, s->params);
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_list_attend(p, &l, s);
}

static inline att_status att_listed_select(const att_kernel *self, const att_problem *p,
                                           const att_scratch *s, uint8_t *allowed)
{
    const att_lister l = att_listed(p, s->params);
    const att_status status = self->supports(self, ATT_OP_SELECT, p, s->params, NULL);
    return status ? status : att_list_select(p, &l, s, allowed);
}

#endif
