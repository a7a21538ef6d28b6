/* SPDX-License-Identifier: Apache-2.0 */
/* What the host lends to kernels and models: a pool of threads behind parallel_for. */
#ifndef ATT_HOST_H
#define ATT_HOST_H

#include "attn.h"

/* A host of `threads` threads, the caller among them; threads < 1 counts as 1, which starts none.
 * One thread at a time may call parallel_for.  NO_MEMORY when threads cannot be started. */
att_status att_host_make(int threads, att_host *out);
/* Ends the threads.  The host is then zeroed. */
void att_host_drop(att_host *host);

#endif
