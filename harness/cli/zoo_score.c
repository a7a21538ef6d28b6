/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "zoo.h"

#define MOST_METRICS 48

/* How often each metric was the first to be violated. */
typedef struct tally {
    const char *name[MOST_METRICS];
    size_t count[MOST_METRICS], n;
} tally;

bool att_zoo_failed(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT;
}

static const char *first_violated(const att_record *r)
{
    for (size_t m = 0; m < r->n_metrics; m++)
        if (r->metrics[m].verdict == 0)
            return r->metrics[m].name;
    return att_outcome_name(r->status);
}

static void tally_add(tally *t, const char *name)
{
    size_t i = 0;

    while (i < t->n && strcmp(t->name[i], name) != 0)
        i++;
    if (i == MOST_METRICS)
        return;
    if (i == t->n) {
        t->name[i] = name;
        t->count[t->n++] = 0;
    }
    t->count[i]++;
}

static const char *tally_most(const tally *t)
{
    size_t best = 0;

    for (size_t i = 1; i < t->n; i++)
        best = t->count[i] > t->count[best] ? i : best;
    return t->n ? t->name[best] : NULL;
}

#define ATT_CALLED(bug, fault) {#bug, fault},
static const struct {
    const char *bug, *fault;
} called[] = {
#include "zoo/called.def"
};

static bool is_called(const char *bug, const char *fault)
{
    bool is = att_fault_same(bug, fault);

    for (size_t i = 0; i < sizeof called / sizeof *called; i++)
        is |= strcmp(called[i].bug, bug) == 0 && att_fault_same(called[i].fault, fault);
    return is;
}

static att_status count_names(const att_result *result, att_zoo_bug *b)
{
    att_names names;
    att_status status = att_names_of(result, b->kernel->name, &names);

    b->looked = names.looked;
    for (size_t i = 0; i < names.n && i < ATT_ZOO_NAMES && att_name_believed(&names.name[i]); i++) {
        b->name[i] = names.name[i].fault;
        b->explained[i] = names.name[i].explained;
        if (is_called(b->kernel->name, b->name[i]))
            b->verdict = ATT_ZOO_RIGHT;
    }
    if (b->name[0] && b->verdict != ATT_ZOO_RIGHT)
        b->verdict = ATT_ZOO_WRONG;
    att_names_drop(&names);
    return status;
}

static void count_bug(const att_result *result, att_zoo_bug *b, size_t *lost)
{
    tally broken = {0};
    size_t not_run = 0;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        bool bad = att_zoo_failed(r);
        if (strcmp(r->kernel, b->kernel->name) != 0)
            continue;
        not_run += r->status == ATT_NOT_RUN;
        b->judged += bad || r->status == ATT_PASS;
        if (!bad)
            continue;
        b->failed++;
        if (!b->by_measure)
            b->by_measure = r->measure;
        if (strcmp(b->by_measure, r->measure) == 0)
            tally_add(&broken, first_violated(r));
    }
    b->by_metric = tally_most(&broken);
    *lost += b->failed ? 0 : not_run;
}

static const att_kernel *in_zoo(const att_kernel *const *zoo, const char *name)
{
    for (; *zoo; zoo++)
        if (strcmp((*zoo)->name, name) == 0)
            return *zoo;
    return NULL;
}

static bool ran(const att_result *result, const char *kernel)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (strcmp(result->records[i].kernel, kernel) == 0)
            return true;
    return false;
}

static void count_right(const att_result *result, const att_kernel *const *zoo, att_zoo_score *t)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        bool bad = att_zoo_failed(r) || r->status == ATT_ERROR;
        if (in_zoo(zoo, r->kernel))
            continue;
        t->clean += bad || r->status == ATT_PASS;
        t->alarms += bad;
        t->lost += r->status == ATT_NOT_RUN;
    }
}

static void count_class(const att_zoo_bug *b, att_zoo_score *t)
{
    const char *name = b->kernel->summary;
    int length = (int)strcspn(name, ":");
    size_t i = 0;

    while (i < t->n_classes && (t->classes[i].length != length ||
                                strncmp(t->classes[i].name, name, (size_t)length) != 0))
        i++;
    if (i == t->n_classes)
        t->classes[t->n_classes++] = (att_zoo_class){.name = name, .length = length};
    t->classes[i].bugs++;
    t->classes[i].caught += b->failed > 0;
    t->classes[i].named += b->verdict == ATT_ZOO_RIGHT;
}

att_status att_zoo_score_make(const att_result *result, const att_kernel *const *zoo,
                              att_zoo_score *out)
{
    size_t most = 0;

    *out = (att_zoo_score){0};
    while (zoo[most])
        most++;
    out->bugs = calloc(most + 1, sizeof *out->bugs);
    out->classes = calloc(most + 1, sizeof *out->classes);
    if (!out->bugs || !out->classes) {
        att_zoo_score_drop(out);
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < most; i++) {
        att_zoo_bug *b = &out->bugs[out->n];
        if (!ran(result, zoo[i]->name))
            continue;
        b->kernel = zoo[i];
        count_bug(result, b, &out->lost);
        if (count_names(result, b) != ATT_OK) {
            att_zoo_score_drop(out);
            return ATT_NO_MEMORY;
        }
        count_class(b, out);
        out->caught += b->failed > 0;
        out->named += b->verdict == ATT_ZOO_RIGHT;
        out->misnamed += b->verdict == ATT_ZOO_WRONG;
        out->n++;
    }
    count_right(result, zoo, out);
    return ATT_OK;
}

void att_zoo_score_drop(att_zoo_score *score)
{
    free(score->bugs);
    free(score->classes);
    *score = (att_zoo_score){0};
}
