/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EVALS 16

/* Cases of each eval, and how many of them each fault explains: [fault][eval]. */
typedef struct count {
    const char *eval[MOST_EVALS]; /* measures; up to the dot they name the eval */
    size_t looked[MOST_EVALS], evals;
    size_t (*explained)[MOST_EVALS];
} count;

bool att_fault_same(const char *a, const char *b)
{
    const size_t n = strcspn(a, "{");

    return strcspn(b, "{") == n && strncmp(a, b, n) == 0;
}

bool att_diagnosis_explains(const att_diagnosis *d)
{
    return d->ratio <= 1;
}

const att_diagnosis *att_record_named(const att_record *r)
{
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (att_diagnosis_explains(&r->diagnoses[d]))
            return &r->diagnoses[d];
    return NULL;
}

bool att_diagnosis_repeats(const att_record *r, size_t at)
{
    for (size_t d = 0; d < at; d++)
        if (att_diagnosis_explains(&r->diagnoses[d]) &&
            att_fault_same(r->diagnoses[d].fault, r->diagnoses[at].fault))
            return true;
    return false;
}

void att_diagnosis_line(const att_diagnosis *d, char *line, size_t size)
{
    const char *text = d->text ? d->text : "";

    if (strcmp(d->fault, ATT_UNKNOWN) == 0)
        snprintf(line, size, "looks like nothing known");
    else if (!att_diagnosis_explains(d))
        snprintf(line, size, "%s: %s", strcmp(d->fault, "first_bad") == 0 ? "first bad" : d->fault,
                 text);
    else if (d->ratio == 1)
        snprintf(line, size, "looks like %s: %s (as far as NaN tells)", d->fault, text);
    else if (d->ratio > 0)
        snprintf(line, size, "looks like %s: %s (to %.2g of what rounding allows)", d->fault, text,
                 d->ratio);
    else
        snprintf(line, size, "looks like %s: %s", d->fault, text);
}

bool att_name_believed(const att_name *name)
{
    return name->share > 0.5;
}

static bool failed(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT;
}

/* Was the dictionary tried: is something explained, or called unknown? */
static bool looked_into(const att_record *r)
{
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (strcmp(r->diagnoses[d].fault, ATT_UNKNOWN) == 0)
            return true;
    return att_record_named(r) != NULL;
}

static size_t eval_of(count *c, const char *measure)
{
    const size_t length = strcspn(measure, ".");
    size_t e = 0;

    while (e < c->evals &&
           (strcspn(c->eval[e], ".") != length || strncmp(c->eval[e], measure, length) != 0))
        e++;
    if (e == MOST_EVALS)
        return MOST_EVALS - 1; /* the rest share one */
    if (e == c->evals)
        c->eval[c->evals++] = measure;
    return e;
}

static void add(att_names *out, count *c, const att_diagnosis *d, size_t eval)
{
    size_t i = 0;

    while (i < out->n && strcmp(out->name[i].fault, d->fault) != 0)
        i++;
    if (i == out->n)
        out->name[out->n++] = (att_name){.fault = d->fault, .text = d->text};
    att_name *name = &out->name[i];
    name->ratio += (d->ratio - name->ratio) / (double)++name->explained;
    c->explained[i][eval]++;
}

/* The same fault twice in one record counts once. */
static bool repeated(const att_record *r, size_t at)
{
    for (size_t d = 0; d < at; d++)
        if (att_diagnosis_explains(&r->diagnoses[d]) &&
            strcmp(r->diagnoses[d].fault, r->diagnoses[at].fault) == 0)
            return true;
    return false;
}

static void count_record(const att_record *r, att_names *out, count *c)
{
    out->failed++;
    if (!looked_into(r))
        return;
    const size_t eval = eval_of(c, r->measure);
    out->looked++;
    c->looked[eval]++;
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (att_diagnosis_explains(&r->diagnoses[d]) && !repeated(r, d))
            add(out, c, &r->diagnoses[d], eval);
}

static void set_shares(att_names *out, const count *c)
{
    for (size_t i = 0; i < out->n; i++)
        for (size_t e = 0; e < c->evals; e++) {
            const double looked = c->looked[e] ? (double)c->looked[e] : 1;
            const double share = (double)c->explained[i][e] / looked;
            if (share > out->name[i].share)
                out->name[i].share = share;
        }
}

/* Equal names keep the order in which the records gave them. */
static bool before(const att_name *a, const att_name *b)
{
    if (att_name_believed(a) != att_name_believed(b))
        return att_name_believed(a);
    if (a->explained != b->explained)
        return a->explained > b->explained;
    return a->ratio < b->ratio;
}

static void sort(att_names *out)
{
    for (size_t i = 1; i < out->n; i++) {
        const att_name name = out->name[i];
        size_t at = i;
        for (; at > 0 && before(&name, &out->name[at - 1]); at--)
            out->name[at] = out->name[at - 1];
        out->name[at] = name;
    }
}

/* Of names that differ by their number alone the best one stays. */
static void keep_one_number(att_names *out)
{
    size_t n = 0;

    for (size_t i = 0; i < out->n; i++) {
        size_t k = 0;
        while (k < n && !att_fault_same(out->name[k].fault, out->name[i].fault))
            k++;
        if (k == n)
            out->name[n++] = out->name[i];
    }
    out->n = n;
}

att_status att_names_of(const att_result *result, const char *kernel, att_names *out)
{
    count c = {0};
    size_t most = 0;

    *out = (att_names){0};
    for (size_t i = 0; i < result->n_records; i++)
        if (failed(&result->records[i]) && strcmp(result->records[i].kernel, kernel) == 0)
            most += result->records[i].n_diagnoses;
    out->name = calloc(most + 1, sizeof *out->name);
    c.explained = calloc(most + 1, sizeof *c.explained);
    if (!out->name || !c.explained) {
        free(c.explained);
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < result->n_records; i++)
        if (failed(&result->records[i]) && strcmp(result->records[i].kernel, kernel) == 0)
            count_record(&result->records[i], out, &c);
    set_shares(out, &c);
    free(c.explained);
    sort(out);
    keep_one_number(out);
    return ATT_OK;
}

void att_names_drop(att_names *names)
{
    free(names->name);
    *names = (att_names){0};
}

size_t att_names_tied(const att_names *names)
{
    size_t n = 0;

    while (n < names->n && att_name_believed(&names->name[n]) &&
           names->name[n].explained == names->name[0].explained)
        n++;
    return n;
}
