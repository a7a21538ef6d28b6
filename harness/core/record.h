/* SPDX-License-Identifier: Apache-2.0 */
/* One case's record as JSON: the same line in a worker's answer, in the journal and in result.json;
 * the last two leave out what they say elsewhere. */
#ifndef ATT_RECORD_H
#define ATT_RECORD_H

#include <stdio.h>

#include "base/json.h"
#include "core/result.h"

/* One line, sorted keys, no newline; numbers round-trip, non-finite ones as {"nonfinite": "nan"}.
 * Members that say nothing (NULL, a NaN limit, no items) are left out. */
void att_record_print(const att_record *r, FILE *f);

/* The same where the reader holds `base`, the record that many cases have in common.  What is as
 * the base says is left out: class, family, margin, chance, required; id, eval, kernel and seed
 * where the base has an id; of a metric what the base's metric of that name says (but never name
 * and value); params where they are the base's with those of the id in their place.  What the base
 * says and the record does not is null.  "repro" is left out where the base has an id, and of cases
 * that passed, are unsupported or have no power.  base NULL: everything is printed. */
void att_record_print_beside(const att_record *r, const att_record *base, FILE *f);

/* The way back: CORRUPT, naming the case and the member, where a member is missing, of another type
 * or outside its names.  Members it does not know are passed over (a later minor version).  *out is
 * untouched on failure; att_record_clear frees it. */
att_status att_record_parse(const cJSON *object, att_record *out, att_why *why);
/* The way back of att_record_print_beside, beside an equal base. */
att_status att_record_parse_beside(const cJSON *object, const att_record *base, att_record *out,
                                   att_why *why);

#endif
