/* SPDX-License-Identifier: Apache-2.0 */
/* What a run prints of its failures, on stderr. */
#ifndef ATT_CLI_FAILURES_H
#define ATT_CLI_FAILURES_H

#include "core/result.h"

/* The first failing cases: what they broke, what that looks like, where it is wrong first, and the
 * line that repeats each.  Then of each kernel that fails: the name that its cases agree on, and
 * the smallest case that was found. */
void att_failures_print(const att_result *result);

#endif
