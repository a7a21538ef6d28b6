/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "reports/sheet.h"
#include "reports/standing.h"

const char *att_class_name(int32_t class_)
{
    return class_ == ATT_EXACT ? "exact" : class_ == ATT_APPROX ? "approximate" : "own";
}

static bool has_limit(const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++)
        if (r->metrics[i].verdict >= 0)
            return true;
    return false;
}

static void put_word(att_standing *s)
{
    for (int o = 0; o < ATT_OUTCOMES; o++)
        s->bad |= att_outcome_bad((att_outcome)o) && s->by_outcome[o] > 0;
    if (s->bad)
        s->word = "FAILS";
    else if (s->by_outcome[ATT_NOT_RUN] + s->by_outcome[ATT_INCONCLUSIVE] > 0)
        s->word = "open";
    else
        s->word = s->limited > 0 ? "holds" : "not judged";
}

att_status att_standings_make(const att_result *result, att_standing **out, size_t *n)
{
    size_t kernels = 0;
    att_standing *all = calloc(result->n_records + 1, sizeof *all);

    if (!all)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        size_t k = 0;
        while (k < kernels && strcmp(all[k].kernel, r->kernel) != 0)
            k++;
        if (k == kernels)
            all[kernels++] = (att_standing){.kernel = r->kernel, .class_ = r->class_};
        all[k].by_outcome[r->status]++;
        all[k].limited += r->status == ATT_PASS && has_limit(r);
    }
    for (size_t k = 0; k < kernels; k++)
        put_word(&all[k]);
    *out = all;
    *n = kernels;
    return ATT_OK;
}
