/* SPDX-License-Identifier: Apache-2.0 */
/* One case's record as JSON: the same line in a worker's answer, in the journal and in result.json.
 */
#ifndef ATT_RECORD_H
#define ATT_RECORD_H

#include <stdio.h>

#include "base/json.h"
#include "core/result.h"

/* One line, sorted keys, no newline; numbers in 17 digits, non-finite ones as {"nonfinite": "nan"}.
 * Members that say nothing (NULL, a NaN limit, no items) are left out. */
void att_record_print(const att_record *r, FILE *f);

/* The way back: CORRUPT, naming the case and the member, where a member is missing, of another type
 * or outside its names.  Members it does not know are passed over (a later minor version).  *out is
 * untouched on failure; att_record_clear frees it. */
att_status att_record_parse(const cJSON *object, att_record *out, att_why *why);

#endif
