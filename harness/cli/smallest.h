/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest case that fails as a failed one did, to be printed beside it. */
#ifndef ATT_CLI_SMALLEST_H
#define ATT_CLI_SMALLEST_H

#include "core/run.h"

/* The same end (fail, crash), and under the same first name if the failure has one. */
typedef struct att_alike {
    att_outcome status;
    const char *fault; /* NULL = it has no name */
} att_alike;
att_alike att_alike_of(const att_record *record);
bool att_alike_shows(const att_record *record, void *alike); /* att_shrink's `shows` */

/* Fills `smallest` of the first failure of each kernel and measure, at most `most` of them and
 * about `seconds` each.  Where nothing smaller fails it stays NULL. */
att_status att_smallest_fill(att_registry *registry, const att_run_options *run, size_t most,
                             double seconds, att_result *result, att_why *why);

#endif
