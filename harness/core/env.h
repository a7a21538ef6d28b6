/* SPDX-License-Identifier: Apache-2.0 */
/* What a result was measured with: tool, machine, libraries. */
#ifndef ATT_ENV_H
#define ATT_ENV_H

#include "core/result.h"

/* Fills tool, env and env_class of a zeroed result; `isa` is the kernels' level.  NO_MEMORY. */
att_status att_env_fill(const char *isa, att_result *out, att_why *why);

/* Where a file or folder of the project lies ("ci/suites/gate.json", "datasets"): here, in a
 * checkout, or else where `make install` put it (beside the program, or below PREFIX).  Into
 * out[size]; the first where neither is. */
void att_env_find(const char *relative, char *out, size_t size);

#endif
