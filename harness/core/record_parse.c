/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/record.h"
#include "core/record_base.h"
#include "core/record_names.h"

/* Where a record is being read, for the message. */
typedef struct place {
    const char *id;
    att_why *why;
    bool valueless; /* metrics say everything but their value */
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

/* The same of a text that is known where it is absent; null says that there is none. */
static att_status known_text(const cJSON *object, const char *name, const char *known, char **out,
                             const place *at)
{
    const cJSON *member = att_json_get(object, name);

    if (member ? cJSON_IsNull(member) : !known)
        return ATT_OK;
    if (!member)
        return (*out = strdup(known)) ? ATT_OK : no_memory(at);
    return text(object, name, true, out, at);
}

static att_status real(const cJSON *object, const char *name, double absent, double *out,
                       const place *at)
{
    *out = absent;
    return !att_json_get(object, name) || att_json_real(object, name, out)
               ? ATT_OK
               : wrong(at, name, "a number");
}

/* The same of a number that is known where it is absent; null says that there is none. */
static att_status known_real(const cJSON *object, const char *name, double known, double *out,
                             const place *at)
{
    *out = NAN;
    return cJSON_IsNull(att_json_get(object, name)) ? ATT_OK : real(object, name, known, out, at);
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

static att_status parse_metric(const cJSON *object, const att_record *base, att_metric *m,
                               const place *at)
{
    static const att_metric none = {
        .limit = NAN, .baseline = NAN, .better = ATT_NEITHER, .verdict = -1};
    const cJSON *ci = att_json_get(object, "ci");
    att_status st = text(object, "name", true, &m->name, at);
    const att_metric *known = base && !st ? att_record_metric(base, m->name) : NULL;

    if (!known)
        known = &none;
    int better = known->better, verdict = -1;
    m->lo = m->hi = NAN;
    if (st || (st = known_text(object, "unit", known->unit, &m->unit, at)) ||
        (st = named(object, "better", &att_names_better, better, &better, at)) ||
        (st = known_real(object, "baseline", known->baseline, &m->baseline, at)) ||
        (st = known_real(object, "limit", known->limit, &m->limit, at)) ||
        (st = whole(object, "n", 0, (int64_t)1 << 53, &m->n, at)))
        return st;
    if (!cJSON_IsNull(att_json_get(object, "verdict")) &&
        (st = named(object, "verdict", &att_names_verdict, known->verdict, &verdict, at)))
        return st;
    m->better = (att_better)better;
    m->verdict = verdict;
    m->value = NAN;
    if (!at->valueless && !att_json_real(object, "value", &m->value))
        return wrong(at, "value", "a number");
    if (ci && (!cJSON_IsArray(ci) || cJSON_GetArraySize(ci) != 2 ||
               !att_json_number(ci->child, &m->lo) || !att_json_number(ci->child->next, &m->hi)))
        return wrong(at, "ci", "two numbers");
    return ATT_OK;
}

static att_status parse_metrics(const cJSON *array, const att_record *base, att_record *r,
                                const place *at)
{
    void *rows = NULL;
    att_status st = room(array, "metrics", sizeof *r->metrics, &rows, &r->n_metrics, at);

    r->metrics = rows;
    att_metric *m = r->metrics;
    for (const cJSON *c = array->child; !st && m && c; c = c->next)
        st = parse_metric(c, base, m++, at);
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

/* What tells one case from another, and the parameters that follow from it. */
static att_status parse_identity(const cJSON *object, const att_record *base, att_record *r,
                                 const place *at)
{
    int64_t seed = (int64_t)base->seed;
    att_status st;

    if ((st = known_text(object, "id", base->id, &r->id, at)) ||
        (st = known_text(object, "eval", base->measure, &r->measure, at)) ||
        (st = known_text(object, "kernel", base->kernel, &r->kernel, at)) ||
        (st = known_text(object, "family", base->family, &r->family, at)))
        return st;
    if (!r->id || !r->measure || !r->kernel)
        return wrong(at, !r->id ? "id" : r->measure ? "kernel" : "eval", "a text");
    if ((att_json_get(object, "seed") || !base->id) &&
        (!att_json_int(object, "seed", &seed) || seed < 0))
        return wrong(at, "seed", "an integer from 0");
    r->seed = (uint64_t)seed;
    att_buf line = {0};
    att_buf_printf(&line, "%s seed=%" PRIu64, r->id, r->seed);
    r->line = line.failed ? NULL : strdup(line.data);
    att_buf_drop(&line);
    if (!r->line)
        return no_memory(at);
    if (att_json_get(object, "params") || !base->params)
        return known_text(object, "params", NULL, &r->params, at);
    r->params = att_record_params(base->params, r);
    return r->params ? ATT_OK : wrong(at, "id", "in the order of its measure's parameters");
}

static att_status parse_scalars(const cJSON *object, const att_record *base, att_record *r,
                                const place *at)
{
    const cJSON *required = att_json_get(object, "required");
    int64_t signal = 0;
    int class_ = ATT_EXACT;
    const char *status = NULL;
    att_status st;

    if ((st = parse_identity(object, base, r, at)) ||
        (st = text(object, "reason", false, &r->reason, at)) ||
        (st = text(object, "smallest", false, &r->smallest, at)) ||
        (st = known_real(object, "chance", base->chance, &r->chance, at)) ||
        (st = real(object, "margin", base->margin, &r->margin, at)) ||
        (st = real(object, "time", 0.0, &r->seconds, at)) ||
        (st = real(object, "kernel_time", 0.0, &r->kernel_seconds, at)) ||
        (st = real(object, "oracle_time", 0.0, &r->oracle_seconds, at)) ||
        (st = named(object, "class", &att_names_class, base->class_, &class_, at)) ||
        (st = whole(object, "signal", 0, INT_MAX, &signal, at)) ||
        (st = whole(object, "peak", 0, (int64_t)1 << 53, &r->peak_bytes, at)))
        return st;
    if (!att_json_text(object, "status", &status) || att_outcome_named(status) < 0)
        return wrong(at, "status", "what a case can end as");
    if (required && !cJSON_IsBool(required))
        return wrong(at, "required", "true or false");
    r->class_ = class_;
    r->signal = (int)signal;
    r->status = (att_outcome)att_outcome_named(status);
    r->required = required ? cJSON_IsTrue(required) : base->required;
    return ATT_OK;
}

att_status att_record_parse_beside(const cJSON *object, const att_record *base, att_record *out,
                                   att_why *why)
{
    static const att_record nothing = {.chance = NAN, .class_ = ATT_EXACT};
    att_record r = {.chance = NAN};
    place at = {base && base->id ? base->id : "?", why, false};

    if (!cJSON_IsObject(object)) {
        att_why_set(why, "a case is not an object");
        return ATT_CORRUPT;
    }
    att_json_text(object, "id", &at.id);
    const cJSON *metrics = att_json_get(object, "metrics"), *items = att_json_get(object, "items");
    const cJSON *diagnoses = att_json_get(object, "diagnosis");
    att_status st = parse_scalars(object, base ? base : &nothing, &r, &at);
    if (!st && metrics)
        st = parse_metrics(metrics, base, &r, &at);
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

att_status att_record_parse(const cJSON *object, att_record *out, att_why *why)
{
    return att_record_parse_beside(object, NULL, out, why);
}

att_status att_measure_parse(const cJSON *object, att_record *out, att_why *why)
{
    att_record r = {.chance = NAN, .required = true};
    place at = {"?", why, true};
    const cJSON *metrics = att_json_get(object, "metrics");
    att_status st = text(object, "eval", true, &r.measure, &at);

    if (!st)
        at.id = r.measure;
    if (!st)
        st = text(object, "params", false, &r.params, &at);
    if (!st && metrics)
        st = parse_metrics(metrics, NULL, &r, &at);
    if (st)
        att_record_clear(&r);
    else
        *out = r;
    return st;
}

att_status att_variant_record_parse(const cJSON *object, att_record *out, att_why *why)
{
    att_record r = {.chance = NAN, .required = true};
    place at = {"?", why, true};
    int class_ = ATT_EXACT;
    att_status st = text(object, "kernel", true, &r.kernel, &at);

    if (!st)
        at.id = r.kernel;
    if (!st && !(st = text(object, "family", false, &r.family, &at)) &&
        !(st = real(object, "margin", 0.0, &r.margin, &at)))
        st = named(object, "class", &att_names_class, ATT_EXACT, &class_, &at);
    r.class_ = class_;
    if (st)
        att_record_clear(&r);
    else
        *out = r;
    return st;
}
