/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/loosened.h"

#include <stdlib.h>
#include <string.h>

static const att_record *same_case(const att_result *result, const char *id)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (result->records[i].id && strcmp(result->records[i].id, id) == 0)
            return &result->records[i];
    return NULL;
}

static bool is_precision(const att_metric *m)
{
    return m->better == ATT_HIGHER && m->unit && strcmp(m->unit, "bits") == 0;
}

static size_t count(const att_result *result)
{
    size_t n = 0;

    for (size_t i = 0; i < result->n_records; i++)
        for (size_t k = 0; k < result->records[i].n_metrics; k++)
            n += is_precision(&result->records[i].metrics[k]);
    return n;
}

att_status att_loosened_find(const att_result *before, const att_result *after, att_loosened **out,
                             size_t *n)
{
    *n = 0;
    *out = calloc(count(after) + 1, sizeof **out);
    if (!*out)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < after->n_records; i++) {
        const att_record *r = &after->records[i], *old = NULL;
        for (size_t k = 0; k < r->n_metrics; k++) {
            const att_metric *m = &r->metrics[k];
            if (!is_precision(m) || (!old && !(old = same_case(before, r->id))))
                continue;
            const att_metric *was = att_record_metric(old, m->name);
            if (was && !(m->value >= was->value))
                (*out)[(*n)++] = (att_loosened){r->id, m->name, was->value, m->value};
        }
    }
    return ATT_OK;
}
