/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring in a process of its own: what a kernel keeps between calls (static state, leaked
 * threads, damaged memory) begins anew with every measurement and ends with it, and a crash or a
 * hang is a result.  An eval that gets its numbers this way alone declares itself `apart`
 * (eval.h), and is then leased to workers in which no kernel has run. */
#ifndef ATT_APART_H
#define ATT_APART_H

#include <stdbool.h>

#include "core/ctx.h"
#include "core/result.h"

/* Runs body(x, arg) in a forked copy of this process on a context that holds no measurements yet,
 * at most `seconds`.  What it recorded goes into *out, judged (core/verdict.h): PASS, FAIL,
 * UNSUPPORTED, ERROR, and CRASH or TIMEOUT where the process did not come back.  x itself records
 * nothing.  The caller clears *out.  NO_MEMORY, IO: no process could be had. */
att_status att_ctx_apart(att_ctx *x, att_status (*body)(att_ctx *x, void *arg), void *arg,
                         double seconds, att_record *out);

/* Whether all that was recorded so far keeps the limits of the eval's metric table. */
bool att_ctx_holds(const att_ctx *x);

#endif
