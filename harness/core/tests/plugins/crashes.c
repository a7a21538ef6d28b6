/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that dies of SIGSEGV when called. */
#include <signal.h>

#include "ill.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return ATT_OK;
}
