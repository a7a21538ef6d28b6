/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels promise of themselves, as a run met it: who promises less later has loosened. */
#ifndef ATT_DECLARE_H
#define ATT_DECLARE_H

#include "base/json.h"
#include "core/plan.h"
#include "core/result.h"

/* Fills result->declarations with the kernels of a plan, sorted by text, each once; of a kernel of
 * several parts the loosest counts.  NO_MEMORY. */
att_status att_declarations_fill(const att_run_plan *plan, att_result *result, att_why *why);

/* Bits of a declared type; those of the tensors count as more than any. */
double att_precision_bits(int32_t dtype);

/* Of a canonical text; NULL = none. */
const att_declaration *att_declaration_find(const att_declaration *all, size_t n,
                                            const char *kernel);

/* As JSON on one line, sorted keys; and back: INVALID names a member that is wrong, *out is
 * untouched. */
void att_declaration_print(const att_declaration *d, FILE *f);
att_status att_declaration_parse(const cJSON *object, att_declaration *out, att_why *why);
bool att_declaration_copy(const att_declaration *from, att_declaration *to); /* false: no memory */
void att_declarations_drop(att_declaration *all, size_t n);

#endif
