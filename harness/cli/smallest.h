/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest case that fails as a failed one did, to be printed beside it. */
#ifndef ATT_CLI_SMALLEST_H
#define ATT_CLI_SMALLEST_H

#include "core/run.h"

/* The same end (fail, crash), and under the same name if the failure has one (core/names.h). */
typedef struct att_alike {
    att_outcome status;
    const char *fault; /* NULL = it has no name */
    int doubt;         /* names before that one, and many more where nothing but NaN agrees */
} att_alike;
att_alike att_alike_of(const att_record *record);
bool att_alike_shows(const att_record *record, void *alike); /* att_shrink's `shows` */

/* Fills `smallest` of one failure of each kernel, the quickest that has the name which its failures
 * agree on: of at most `most` kernels, `seconds` each.  Where nothing smaller fails it stays NULL.
 */
att_status att_smallest_fill(att_registry *registry, const att_run_options *run, size_t most,
                             double seconds, att_result *result, att_why *why);

#endif
