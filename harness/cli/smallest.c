/* SPDX-License-Identifier: Apache-2.0 */
#include "smallest.h"

#include <stdlib.h>
#include <string.h>

#include "core/shrink.h"

att_alike att_alike_of(const att_record *record)
{
    return (att_alike){record->status, record->n_diagnoses ? record->diagnoses[0].fault : NULL};
}

bool att_alike_shows(const att_record *record, void *alike)
{
    const att_alike *as = alike;

    return record->status == as->status &&
           (!as->fault ||
            (record->n_diagnoses && strcmp(record->diagnoses[0].fault, as->fault) == 0));
}

/* A failure that ends by itself: each try of a hang costs the whole patience. */
static bool shrinks(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH;
}

/* Did a kernel fail a measure before in this run? */
static bool is_first(const att_result *result, size_t at)
{
    const att_record *r = &result->records[at];

    for (size_t i = 0; i < at; i++)
        if (shrinks(&result->records[i]) && strcmp(result->records[i].kernel, r->kernel) == 0 &&
            strcmp(result->records[i].measure, r->measure) == 0)
            return false;
    return true;
}

att_status att_smallest_fill(att_registry *registry, const att_run_options *run, size_t most,
                             double seconds, att_result *result, att_why *why)
{
    att_run_options options = *run;
    att_status status = ATT_OK;

    options.journal = NULL;
    options.resume = false;
    options.quiet = true;
    for (size_t i = 0; i < result->n_records && most && status == ATT_OK; i++) {
        att_record *r = &result->records[i];
        size_t tried;
        char *line;
        if (!shrinks(r) || !is_first(result, i))
            continue;
        most--;
        att_alike alike = att_alike_of(r);
        const att_shrink how = {registry, &options, seconds, att_alike_shows, &alike};
        status = att_shrink_case(&how, r->line, &line, &tried, why);
        if (status == ATT_OK && strcmp(line, r->line) != 0)
            r->smallest = line;
        else if (status == ATT_OK)
            free(line);
    }
    return status;
}
