/* SPDX-License-Identifier: Apache-2.0 */
/* Private to baseline*.c. */
#ifndef ATT_BASELINE_OWN_H
#define ATT_BASELINE_OWN_H

#include "gate/baseline.h"

#define ATT_BASELINE_DIGITS "%.4g" /* of metrics: a file is read by people, and judged coarsely */

#define ATT_BASELINE_SCORE_DIGITS "%.6g"

/* Sets id, measure and kernel of a zeroed record from an id.  false: no memory. */
bool att_baseline_identify(const char *id, att_record *r);
void att_baseline_case_drop(att_baseline_case *c);

#endif
