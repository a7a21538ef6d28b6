/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: a process of its own that measures the cases it is leased, so that a kernel's crash,
 * hang or hunger ends the worker and nothing else.
 *
 * It reads case lines from the pipe `in`, one message each; an answer to a line is two messages on
 * `out`: "start", then the record as JSON.  It ends when `in` does. */
#ifndef ATT_WORKER_H
#define ATT_WORKER_H

#include "core/ctx_own.h"

/* Serves until the pipe ends; returns the process's exit code. */
int att_worker_serve(const att_tables *tables, const att_options *options, const att_host *host,
                     int in, int out);

#endif
