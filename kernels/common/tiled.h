/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that is the tile engine with its own pattern: it defines `tiled` and names the functions
 * below in its descriptor.
 *
 * Why: dense, windowed and block-sparse kernels differ in which pairs they keep, and in nothing
 * else; so their files say that and nothing else. */
#ifndef ATT_COMMON_TILED_H
#define ATT_COMMON_TILED_H

#include "common/cost.h"
#include "common/flash.h"

typedef struct att_tiled {
    att_accept accept;
    att_flash flash;
} att_tiled;

/* The kernel's own: what it accepts and keeps.  params: in declared order, NULL if it has none.
 * p: only sizes may be looked at. */
static att_tiled tiled(const att_problem *p, const att_value *params);

static inline att_status att_tiled_supports(const att_kernel *self, att_op op, const att_problem *p,
                                            const att_value *params, att_reason *why)
{
    (void)self;
    const att_tiled t = tiled(p, params);
    return att_accept_check(&t.accept, op, p, why);
}

static inline att_status att_tiled_plan(const att_kernel *self, att_op op, const att_problem *p,
                                        const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    const att_tiled t = tiled(p, params);
    return att_flash_plan(p, &t.flash, out);
}

static inline att_status att_tiled_cost(const att_kernel *self, const att_problem *p,
                                        const att_value *params, att_cost *out)
{
    (void)self;
    const att_tiled t = tiled(p, params);
    return att_flash_cost(p, &t.flash, out);
}

static inline att_status att_tiled_attend(const att_kernel *self, const att_problem *p,
                                          const att_scratch *s)
{
    const att_tiled t = tiled(p, s->params);
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_flash_attend(p, &t.flash, s);
}

static inline att_status att_tiled_select(const att_kernel *self, const att_problem *p,
                                          const att_scratch *s, uint8_t *allowed)
{
    const att_tiled t = tiled(p, s->params);
    const att_status status = self->supports(self, ATT_OP_SELECT, p, s->params, NULL);
    return status ? status : att_flash_select(p, &t.flash, allowed);
}

#endif
