/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/record.h"
#include "core/record_names.h"

/* Where a record is being read, for the message. */
typedef struct place {
    const char *id;
    att_why *why;
} place;

static att_status wrong(const place *at, const char *name, const char *expected)
{
    att_why_set(at->why, "case '%.300s': \"%s\" is not %s", at->id, name, expected);
    return ATT_CORRUPT;
}

static att_status no_memory(const place *at)
{
    att_why_set(at->why, "no memory for case '%.300s'", at->id);
    return ATT_NO_MEMORY;
}

/* An absent optional text stays NULL. */
static att_status text(const cJSON *object, const char *name, bool must, char **out,
                       const place *at)
{
    const char *value = NULL;

    if (!must && !att_json_get(object, name))
        return ATT_OK;
    if (!att_json_text(object, name, &value))
        return wrong(at, name, "a text");
    return (*out = strdup(value)) ? ATT_OK : no_memory(at);
}

static att_status real(const cJSON *object, const char *name, double absent, double *out,
                       const place *at)
{
    *out = absent;
    return !att_json_get(object, name) || att_json_real(object, name, out)
               ? ATT_OK
               : wrong(at, name, "a number");
}

static att_status whole(const cJSON *object, const char *name, int64_t lo, int64_t hi, int64_t *out,
                        const place *at)
{
    int64_t value = 0;

    if (att_json_get(object, name) &&
        (!att_json_int(object, name, &value) || value < lo || value > hi))
        return wrong(at, name, "an integer within its range");
    *out = value;
    return ATT_OK;
}

static att_status named(const cJSON *object, const char *name, const att_names *names, int absent,
                        int *out, const place *at)
{
    const char *value = NULL;

    *out = absent;
    if (!att_json_get(object, name))
        return ATT_OK;
    if (!att_json_text(object, name, &value) || !att_name_find(names, value, out))
        return wrong(at, name, "one of its words");
    return ATT_OK;
}

/* The elements of an optional array, `size` bytes each, zeroed. */
static att_status room(const cJSON *array, const char *name, size_t size, void **out, size_t *n,
                       const place *at)
{
    if (!cJSON_IsArray(array))
        return wrong(at, name, "an array");
    size_t count = (size_t)cJSON_GetArraySize(array);
    if (count == 0)
        return ATT_OK;
    if (!(*out = calloc(count, size)))
        return no_memory(at);
    *n = count;
    return ATT_OK;
}

static att_status parse_metric(const cJSON *object, att_metric *m, const place *at)
{
    const cJSON *ci = att_json_get(object, "ci");
    int better = ATT_NEITHER;
    att_status st;

    m->lo = m->hi = NAN;
    if ((st = text(object, "name", true, &m->name, at)) ||
        (st = text(object, "unit", false, &m->unit, at)) ||
        (st = named(object, "better", &att_names_better, ATT_NEITHER, &better, at)) ||
        (st = named(object, "verdict", &att_names_verdict, -1, &m->verdict, at)) ||
        (st = real(object, "baseline", NAN, &m->baseline, at)) ||
        (st = real(object, "limit", NAN, &m->limit, at)) ||
        (st = whole(object, "n", 0, (int64_t)1 << 53, &m->n, at)))
        return st;
    m->better = (att_better)better;
    if (!att_json_real(object, "value", &m->value))
        return wrong(at, "value", "a number");
    if (ci && (!cJSON_IsArray(ci) || cJSON_GetArraySize(ci) != 2 ||
               !att_json_number(ci->child, &m->lo) || !att_json_number(ci->child->next, &m->hi)))
        return wrong(at, "ci", "two numbers");
    return ATT_OK;
}

static att_status parse_metrics(const cJSON *array, att_record *r, const place *at)
{
    void *rows = NULL;
    att_status st = room(array, "metrics", sizeof *r->metrics, &rows, &r->n_metrics, at);

    r->metrics = rows;
    att_metric *m = r->metrics;
    for (const cJSON *c = array->child; !st && m && c; c = c->next)
        st = parse_metric(c, m++, at);
    return st;
}

static att_status parse_diagnoses(const cJSON *array, att_record *r, const place *at)
{
    void *rows = NULL;
    att_status st = room(array, "diagnosis", sizeof *r->diagnoses, &rows, &r->n_diagnoses, at);

    r->diagnoses = rows;
    att_diagnosis *d = r->diagnoses;
    for (const cJSON *c = array->child; !st && d && c; c = c->next, d++)
        if (!(st = text(c, "fault", true, &d->fault, at)) &&
            !(st = text(c, "text", false, &d->text, at)))
            st = real(c, "ratio", NAN, &d->ratio, at);
    return st;
}

static bool set_at(const cJSON *node, att_item *i)
{
    return att_json_number(node, &i->at);
}

static bool set_score(const cJSON *node, att_item *i)
{
    return att_json_number(node, &i->score);
}

static bool set_cluster(const cJSON *node, att_item *i)
{
    double x = cJSON_IsNumber(node) ? node->valuedouble : NAN;

    if (!(x >= INT32_MIN && x <= INT32_MAX) || x != floor(x))
        return false;
    i->cluster = (int32_t)x;
    return true;
}

static bool set_note(const cJSON *node, att_item *i)
{
    if (cJSON_IsNull(node))
        return true;
    return cJSON_IsString(node) && (i->note = strdup(node->valuestring)) != NULL;
}

static att_status parse_items(const cJSON *object, att_record *r, const place *at)
{
    static const struct {
        const char *name;
        bool (*set)(const cJSON *node, att_item *i);
    } columns[] = {
        {"at", set_at}, {"cluster", set_cluster}, {"note", set_note}, {"score", set_score}};
    const char *hits = NULL;

    if (!att_json_text(object, "hit", &hits) || hits[strspn(hits, "01")] || !*hits)
        return wrong(at, "hit", "a text of 0 and 1");
    size_t n = strlen(hits);
    if (!(r->items = calloc(n, sizeof *r->items)))
        return no_memory(at);
    r->n_items = n;
    for (size_t i = 0; i < n; i++)
        r->items[i] = (att_item){.hit = hits[i] == '1', .score = NAN, .at = NAN};
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) {
        const cJSON *column = att_json_get(object, columns[k].name);
        size_t i = 0;
        if (!column)
            continue;
        if (!cJSON_IsArray(column) || (size_t)cJSON_GetArraySize(column) != n)
            return wrong(at, columns[k].name, "an array with an element an item");
        for (const cJSON *c = column->child; c && i < n; c = c->next)
            if (!columns[k].set(c, &r->items[i++]))
                return wrong(at, columns[k].name, "made of the right elements");
    }
    return ATT_OK;
}

static att_status parse_scalars(const cJSON *object, att_record *r, const place *at)
{
    const cJSON *required = att_json_get(object, "required");
    int64_t seed = 0, signal = 0;
    int class_ = ATT_EXACT;
    const char *status = NULL;
    att_status st;

    if ((st = text(object, "id", true, &r->id, at)) ||
        (st = text(object, "eval", true, &r->measure, at)) ||
        (st = text(object, "kernel", true, &r->kernel, at)) ||
        (st = text(object, "family", false, &r->family, at)) ||
        (st = text(object, "params", false, &r->params, at)) ||
        (st = text(object, "reason", false, &r->reason, at)) ||
        (st = text(object, "smallest", false, &r->smallest, at)) ||
        (st = real(object, "chance", NAN, &r->chance, at)) ||
        (st = real(object, "margin", 0.0, &r->margin, at)) ||
        (st = real(object, "time", 0.0, &r->seconds, at)) ||
        (st = real(object, "kernel_time", 0.0, &r->kernel_seconds, at)) ||
        (st = real(object, "oracle_time", 0.0, &r->oracle_seconds, at)) ||
        (st = named(object, "class", &att_names_class, ATT_EXACT, &class_, at)) ||
        (st = whole(object, "signal", 0, INT_MAX, &signal, at)) ||
        (st = whole(object, "peak", 0, (int64_t)1 << 53, &r->peak_bytes, at)))
        return st;
    if (!att_json_int(object, "seed", &seed) || seed < 0)
        return wrong(at, "seed", "an integer from 0");
    if (!att_json_text(object, "status", &status) || att_outcome_named(status) < 0)
        return wrong(at, "status", "what a case can end as");
    if (required && !cJSON_IsBool(required))
        return wrong(at, "required", "true or false");
    r->class_ = class_;
    r->signal = (int)signal;
    r->seed = (uint64_t)seed;
    r->status = (att_outcome)att_outcome_named(status);
    r->required = cJSON_IsTrue(required);
    att_buf line = {0};
    att_buf_printf(&line, "%s seed=%" PRIu64, r->id, r->seed);
    r->line = line.failed ? NULL : strdup(line.data);
    att_buf_drop(&line);
    return r->line ? ATT_OK : no_memory(at);
}

att_status att_record_parse(const cJSON *object, att_record *out, att_why *why)
{
    att_record r = {.chance = NAN};
    place at = {"?", why};

    if (!cJSON_IsObject(object)) {
        att_why_set(why, "a case is not an object");
        return ATT_CORRUPT;
    }
    att_json_text(object, "id", &at.id);
    const cJSON *metrics = att_json_get(object, "metrics"), *items = att_json_get(object, "items");
    const cJSON *diagnoses = att_json_get(object, "diagnosis");
    att_status st = parse_scalars(object, &r, &at);
    if (!st && metrics)
        st = parse_metrics(metrics, &r, &at);
    if (!st && items)
        st = parse_items(items, &r, &at);
    if (!st && diagnoses)
        st = parse_diagnoses(diagnoses, &r, &at);
    if (st)
        att_record_clear(&r);
    else
        *out = r;
    return st;
}
