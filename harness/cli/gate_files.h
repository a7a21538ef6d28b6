/* SPDX-License-Identifier: Apache-2.0 */
/* Where the verbs of the gate find their files. */
#ifndef ATT_CLI_GATE_FILES_H
#define ATT_CLI_GATE_FILES_H

#include <stdbool.h>

#include "base/why.h"
#include "core/result.h"

/* RUNDIR/result.json, and whether RUNDIR/DONE is there. */
att_status att_gate_read_run(const char *folder, att_result *out, bool *done, att_why *why);
/* "ci/baselines/SUITE.json" of a result into out[size], unless `named` says another. */
void att_gate_baseline_path(const char *named, const att_result *result, char *out, size_t size);
/* Is this a continuous integration's job (CI is set, and not to false or 0)? */
bool att_gate_in_ci(void);

#endif
