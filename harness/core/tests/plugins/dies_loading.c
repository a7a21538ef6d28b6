/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that dies while it is loaded. */
#include <signal.h>

#include "ill.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    return ATT_OK;
}

__attribute__((constructor)) static void die(void)
{
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}
