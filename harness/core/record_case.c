/* SPDX-License-Identifier: Apache-2.0 */
/* What a record says of its case before anything was measured. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ctx_own.h"

bool att_record_identify(att_record *r, const att_case *c)
{
    const att_kernel *k = c->variant->part[0].kernel;

    r->line = strdup(c->line);
    r->id = strdup(c->id);
    r->measure = strdup(c->measure);
    r->kernel = strdup(c->variant->text);
    r->family = strdup(k->family);
    r->params = strdup(c->all_params);
    r->seed = c->seed;
    r->class_ = k->class_;
    r->margin = k->margin;
    r->chance = c->eval->chance;
    for (size_t i = 1; i < c->variant->parts; i++) /* a plan promises what its loosest part does */
        if (c->variant->part[i].kernel->class_ > r->class_)
            r->class_ = c->variant->part[i].kernel->class_;
    return r->line && r->id && r->measure && r->kernel && r->family && r->params;
}

bool att_record_base(att_record *out, const att_case *c)
{
    size_t n = 0;

    *out = (att_record){.required = true};
    while (c->eval->metrics && c->eval->metrics[n].name)
        n++;
    out->metrics = calloc(n + 1, sizeof *out->metrics);
    bool fine = out->metrics && att_record_identify(out, c);
    for (size_t k = 0; k < n && fine; k++) {
        const att_metric_spec *s = &c->eval->metrics[k];
        out->metrics[k] = (att_metric){.name = strdup(s->name),
                                       .unit = strdup(s->unit),
                                       .better = s->better,
                                       .limit = (double)NAN,
                                       .baseline = (double)NAN,
                                       .verdict = -1};
        out->n_metrics = k + 1;
        fine = out->metrics[k].name && out->metrics[k].unit;
    }
    if (!fine)
        att_record_clear(out);
    return fine;
}
