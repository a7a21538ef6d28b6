/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that never returns, and works all the while. */
#include "ill.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    volatile int64_t n = 0;

    (void)self, (void)p, (void)s;
    while (n >= 0)
        n = n ^ 1;
    return ATT_OK;
}
