/* SPDX-License-Identifier: Apache-2.0 */
/* plan, cost and attend of the kernels that are the tile engine as it is: flash_f32, flash_f16 and
 * flash_bf16 differ only in the storage type that they accept. */
#ifndef ATT_COMMON_DENSE_H
#define ATT_COMMON_DENSE_H

#include "common/cost.h"
#include "common/flash.h"

static inline att_status att_dense_plan(const att_kernel *self, att_op op, const att_problem *p,
                                        const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    const att_flash how = {.keep = ATT_KEEP_ALL};
    return att_flash_plan(p, &how, out);
}

static inline att_status att_dense_cost(const att_kernel *self, const att_problem *p,
                                        const att_value *params, att_cost *out)
{
    (void)self, (void)params;
    const att_flash how = {.keep = ATT_KEEP_ALL};
    att_flash_cost(p, &how, 1.0, out);
    return ATT_OK;
}

static inline att_status att_dense_attend(const att_kernel *self, const att_problem *p,
                                          const att_scratch *s)
{
    const att_flash how = {.keep = ATT_KEEP_ALL};
    const att_status status = self->supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_flash_attend(p, &how, s);
}

#endif
