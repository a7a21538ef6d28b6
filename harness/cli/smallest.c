/* SPDX-License-Identifier: Apache-2.0 */
#include "smallest.h"

#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "core/shrink.h"

/* -1 where the record does not have the name. */
static int doubt_of(const att_record *r, const char *fault)
{
    int before = 0;

    for (size_t d = 0; d < r->n_diagnoses; d++) {
        const att_diagnosis *named = &r->diagnoses[d];
        if (att_diagnosis_explains(named) && att_fault_same(named->fault, fault))
            return before + (named->ratio < 1 ? 0 : 1000);
        before += att_diagnosis_explains(named) && !att_diagnosis_repeats(r, d);
    }
    return -1;
}

/* A crash has its name from a second look, which tries of smaller cases don't get. */
static att_alike alike_as(const att_record *record, const char *fault)
{
    if (record->status == ATT_CRASH)
        return (att_alike){record->status, NULL, 0};
    const int doubt = fault ? doubt_of(record, fault) : 0;

    return (att_alike){record->status, doubt >= 0 ? fault : NULL, doubt};
}

att_alike att_alike_of(const att_record *record)
{
    const att_diagnosis *named = att_record_named(record);

    return alike_as(record, named ? named->fault : NULL);
}

bool att_alike_shows(const att_record *record, void *alike)
{
    const att_alike *as = alike;
    const int doubt = as->fault ? doubt_of(record, as->fault) : 0;

    return record->status == as->status && doubt >= 0 && (!as->fault || doubt <= as->doubt);
}

/* A failure that ends by itself: each try of a hang costs the whole patience. */
static bool shrinks(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH;
}

/* Did the kernel fail before in this run? */
static bool is_first(const att_result *result, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (shrinks(&result->records[i]) &&
            strcmp(result->records[i].kernel, result->records[at].kernel) == 0)
            return false;
    return true;
}

/* The quickest failure of the kernel that has the name; NULL = any. */
static att_record *quickest(att_result *result, const char *kernel, const char *fault)
{
    att_record *best = NULL;

    for (size_t i = 0; i < result->n_records; i++) {
        att_record *r = &result->records[i];
        if (shrinks(r) && strcmp(r->kernel, kernel) == 0 && (!fault || doubt_of(r, fault) >= 0) &&
            (!best || r->seconds < best->seconds))
            best = r;
    }
    return best;
}

static att_status fill(const att_shrink *how, att_result *result, const char *kernel, att_why *why)
{
    att_shrink own = *how;
    att_names names;
    att_status status = att_names_of(result, kernel, &names);
    const char *fault = att_names_tied(&names) ? names.name[0].fault : NULL;
    att_record *r = quickest(result, kernel, fault);
    char *line = NULL;
    size_t tried;

    if (status == ATT_OK && r) {
        att_alike alike = fault ? alike_as(r, fault) : att_alike_of(r);
        own.arg = &alike;
        status = att_shrink_case(&own, r->line, &line, &tried, why);
    }
    if (line && strcmp(line, r->line) != 0) {
        free(r->smallest);
        r->smallest = line;
    } else
        free(line);
    att_names_drop(&names);
    return status;
}

att_status att_smallest_fill(att_registry *registry, const att_run_options *run, size_t most,
                             double seconds, att_result *result, att_why *why)
{
    att_run_options options = *run;
    att_status status = ATT_OK;

    options.journal = NULL;
    options.resume = false;
    options.quiet = true;
    const att_shrink how = {registry, &options, seconds, att_alike_shows, NULL};
    for (size_t i = 0; i < result->n_records && most && status == ATT_OK; i++) {
        if (!shrinks(&result->records[i]) || !is_first(result, i))
            continue;
        most--;
        status = fill(&how, result, result->records[i].kernel, why);
    }
    return status;
}
