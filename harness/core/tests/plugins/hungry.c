/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that asks for memory and does not get it. */
#include "ill.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p;
    return s->bytes ? ATT_FAILED : ATT_NO_MEMORY;
}
