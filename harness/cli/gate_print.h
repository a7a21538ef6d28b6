/* SPDX-License-Identifier: Apache-2.0 */
/* What a gate found, as people and as programs read it. */
#ifndef ATT_CLI_GATE_PRINT_H
#define ATT_CLI_GATE_PRINT_H

#include "gate/gate.h"

/* An entry a cause: case, metric, value, limit, baseline, diagnosis, and the line that repeats it;
 * a line of what was compared at the end. */
void att_gate_print(const att_gate *g, const att_policy *policy);
/* One object: verdict, failures, compared and more, sorted keys. */
void att_gate_print_json(const att_gate *g, const att_policy *policy);
/* What result.json keeps of it: an object in one line, free() it; NULL: no memory. */
char *att_gate_note(const att_gate *g, const att_policy *policy);
/* "pass", "fail", "inconclusive", "nothing", "incomplete". */
const char *att_gate_verdict(int code);

#endif
