/* SPDX-License-Identifier: Apache-2.0 */
/* result.json on its way in: nothing in it is trusted, and what is missing is said by name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/declare.h"
#include "core/record.h"
#include "core/record_base.h"
#include "core/result.h"

#define LARGEST_FILE ((size_t)1 << 30)

typedef struct place {
    const char *path;
    att_why *why;
} place;

static att_status wrong(const place *at, const char *name, const char *expected)
{
    att_why_set(at->why, "%s: \"%s\" is not %s", at->path, name, expected);
    return ATT_CORRUPT;
}

static att_status no_memory(const place *at)
{
    att_why_set(at->why, "%s: no memory", at->path);
    return ATT_NO_MEMORY;
}

static att_status text(const cJSON *object, const char *name, char **out, const place *at)
{
    const char *value = NULL;

    if (!att_json_text(object, name, &value))
        return wrong(at, name, "a text");
    return (*out = strdup(value)) ? ATT_OK : no_memory(at);
}

static att_status whole(const cJSON *object, const char *name, int64_t lo, int64_t *out,
                        const place *at)
{
    return att_json_int(object, name, out) && *out >= lo ? ATT_OK : wrong(at, name, "an integer");
}

/* An absent number is NAN. */
static att_status real(const cJSON *object, const char *name, double *out, const place *at)
{
    *out = NAN;
    return !att_json_get(object, name) || att_json_real(object, name, out)
               ? ATT_OK
               : wrong(at, name, "a number");
}

static att_status one_of(const char *value, const char *const *words, const char *name,
                         const place *at)
{
    for (; *words; words++)
        if (strcmp(*words, value) == 0)
            return ATT_OK;
    return wrong(at, name, "one of its words");
}

/* A zeroed element for each child of an array (or an object). */
static att_status room(const cJSON *array, const char *name, bool is, size_t size, void **out,
                       size_t *n, const place *at)
{
    if (!is)
        return wrong(at, name, "there, or not of its type");
    size_t count = (size_t)cJSON_GetArraySize(array);
    if (!(*out = calloc(count + 1, size)))
        return no_memory(at);
    *n = count;
    return ATT_OK;
}

static att_status facts(const cJSON *root, const char *name, att_text_pair **pairs, size_t *n,
                        const place *at)
{
    const cJSON *object = att_json_get(root, name);
    void *made = NULL;
    att_status st = room(object, name, cJSON_IsObject(object), sizeof **pairs, &made, n, at);

    if (st)
        return st;
    att_text_pair *p = *pairs = made;
    for (const cJSON *c = object->child; c; c = c->next, p++) {
        if (!cJSON_IsString(c))
            return wrong(at, name, "an object of texts");
        if (!(p->key = strdup(c->string)) || !(p->value = strdup(c->valuestring)))
            return no_memory(at);
    }
    return ATT_OK;
}

static att_status inputs(const cJSON *root, att_result *r, const place *at)
{
    const cJSON *array = att_json_get(root, "inputs");
    void *made = NULL;
    att_status st =
        room(array, "inputs", cJSON_IsArray(array), sizeof *r->inputs, &made, &r->n_inputs, at);

    if (st)
        return st;
    att_text_pair *p = r->inputs = made;
    for (const cJSON *c = array->child; c && !st; c = c->next, p++)
        if (!(st = text(c, "name", &p->key, at)))
            st = text(c, "sha256", &p->value, at);
    return st;
}

/* What belongs to a margin, where there is one. */
static att_status margin(const cJSON *c, att_comparison *out, const place *at)
{
    int64_t inferior = -1;
    att_status st = real(c, "margin", &out->margin, at);

    out->needed = -1;
    if (st || isnan(out->margin))
        out->margin = 0;
    else if (!(st = whole(c, "needed", -1, &out->needed, at)))
        st = whole(c, "inferior", -1, &inferior, at);
    out->inferior = inferior > 0 ? 1 : (int)inferior;
    return st;
}

static att_status comparison(const cJSON *c, att_comparison *out, const place *at)
{
    static const char *const words[] = {"same", "worse", "better", "cannot tell", "no power", NULL};
    const cJSON *ci = att_json_get(c, "ci");
    att_status st;

    out->lo = out->hi = NAN;
    if ((st = text(c, "measure", &out->measure, at)) ||
        (st = text(c, "kernel", &out->kernel, at)) ||
        (st = text(c, "verdict", &out->verdict, at)) ||
        (st = one_of(out->verdict, words, "verdict", at)) || (st = whole(c, "n", 0, &out->n, at)) ||
        (st = whole(c, "wins", 0, &out->wins, at)) ||
        (st = whole(c, "losses", 0, &out->losses, at)) ||
        (st = real(c, "difference", &out->difference, at)) || (st = real(c, "p", &out->p, at)) ||
        (st = real(c, "p_holm", &out->p_holm, at)) ||
        (st = real(c, "score_difference", &out->score_difference, at)) ||
        (st = real(c, "detectable", &out->detectable, at)) ||
        (st = real(c, "p_context", &out->p_context, at)) ||
        (st = real(c, "p_better", &out->p_better, at)) ||
        (st = real(c, "score_p", &out->score_p, at)) ||
        (st = real(c, "effect", &out->effect, at)) || (st = margin(c, out, at)) ||
        (att_json_get(c, "seeds_needed") &&
         (st = whole(c, "seeds_needed", -1, &out->seeds_needed, at))))
        return st;
    if (ci &&
        (!cJSON_IsArray(ci) || cJSON_GetArraySize(ci) != 2 ||
         !att_json_number(ci->child, &out->lo) || !att_json_number(ci->child->next, &out->hi)))
        return wrong(at, "ci", "two numbers");
    return ATT_OK;
}

static att_status comparisons(const cJSON *root, att_result *r, const place *at)
{
    const cJSON *array = att_json_get(root, "comparisons");
    void *made = NULL;
    att_status st = room(array, "comparisons", cJSON_IsArray(array), sizeof *r->comparisons, &made,
                         &r->n_comparisons, at);

    if (st)
        return st;
    att_comparison *out = r->comparisons = made;
    for (const cJSON *c = array->child; c && !st; c = c->next)
        st = comparison(c, out++, at);
    return st;
}

/* What a gate said; its texts and whole numbers come back as they were. */
static att_status gate(const cJSON *root, att_result *r, const place *at)
{
    const cJSON *node = att_json_get(root, "gate");

    if (!node || cJSON_IsNull(node))
        return ATT_OK;
    if (!cJSON_IsObject(node))
        return wrong(at, "gate", "null or an object");
    return (r->gate = cJSON_PrintUnformatted(node)) ? ATT_OK : no_memory(at);
}

/* Results of version 1.0 have none. */
static att_status declarations(const cJSON *root, att_result *r, const place *at)
{
    const cJSON *array = att_json_get(root, "kernels");
    void *made = NULL;
    size_t n = 0;
    att_why inner = {""};
    att_status st =
        array ? room(array, "kernels", cJSON_IsArray(array), sizeof *r->declarations, &made, &n, at)
              : ATT_OK;

    r->declarations = made;
    for (const cJSON *c = array && !st ? array->child : NULL; c; c = c->next) {
        if (att_declaration_parse(c, &r->declarations[r->n_declarations], &inner) != ATT_OK) {
            att_why_set(at->why, "%s: %s", at->path, inner.text);
            return ATT_CORRUPT;
        }
        size_t last = r->n_declarations++;
        if (last > 0 && strcmp(r->declarations[last - 1].kernel, r->declarations[last].kernel) >= 0)
            return wrong(at, "kernels", "sorted, each kernel once");
    }
    return st;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A case that is there twice would be counted twice. */
static att_status check_lines(const att_result *r, const place *at)
{
    char **lines = malloc((r->n_records + 1) * sizeof *lines);
    att_status st = ATT_OK;

    if (!lines)
        return no_memory(at);
    for (size_t i = 0; i < r->n_records; i++)
        lines[i] = r->records[i].line;
    qsort(lines, r->n_records, sizeof *lines, by_line);
    for (size_t i = 1; i < r->n_records && !st; i++)
        if (strcmp(lines[i - 1], lines[i]) == 0) {
            att_why_set(at->why, "%s: case '%.300s' is there twice", at->path, lines[i]);
            st = ATT_CORRUPT;
        }
    free(lines);
    return st;
}

static att_status cases(const cJSON *root, att_result *r, const place *at)
{
    const cJSON *array = att_json_get(root, "cases");
    void *made = NULL;
    size_t n = 0;
    att_why inner = {""};
    att_bases bases = {0};
    att_status st = room(array, "cases", cJSON_IsArray(array), sizeof *r->records, &made, &n, at);

    if (st)
        return st;
    r->records = made;
    st = att_bases_read(root, &bases, &inner);
    for (const cJSON *c = array->child; c && !st; c = c->next) {
        const char *measure = NULL, *kernel = NULL;
        att_record base;
        att_json_text(c, "eval", &measure);
        att_json_text(c, "kernel", &kernel);
        bool known = att_bases_find(&bases, measure, kernel, &base);
        st = att_record_parse_beside(c, known ? &base : NULL, &r->records[r->n_records], &inner);
        r->n_records += !st;
    }
    att_bases_drop(&bases);
    if (st) {
        att_why_set(at->why, "%s: %.450s", at->path, inner.text);
        return st;
    }
    return check_lines(r, at);
}

static att_status version(const cJSON *root, const place *at)
{
    const char *value = NULL;
    char *end = NULL;

    if (!att_json_text(root, "schema_version", &value) || *value < '0' || *value > '9')
        return wrong(at, "schema_version", "a version like 1.0: no result of attest");
    long major = strtol(value, &end, 10);
    if (*end != '.' || major != ATT_RESULT_MAJOR) {
        att_why_set(at->why, "%s: schema version %.40s; this attest reads %d.x", at->path, value,
                    ATT_RESULT_MAJOR);
        return ATT_CORRUPT;
    }
    return ATT_OK;
}

static att_status parse(const cJSON *root, att_result *r, const place *at)
{
    static const char *const words[] = {"complete", "incomplete", "interrupted", NULL};
    const cJSON *shard = att_json_get(root, "shard");
    att_status st;

    if ((st = version(root, at)) || (st = text(root, "run_id", &r->run_id, at)) ||
        (st = text(root, "suite", &r->suite, at)) || (st = text(root, "plan", &r->plan_hash, at)) ||
        (st = text(root, "status", &r->status, at)) ||
        (st = one_of(r->status, words, "status", at)) ||
        (st = text(root, "env_class", &r->env_class, at)) ||
        (st = facts(root, "tool", &r->tool, &r->n_tool, at)) ||
        (st = facts(root, "env", &r->env, &r->n_env, at)) || (st = inputs(root, r, at)) ||
        (st = whole(shard, "index", 1, &r->shard, at)) ||
        (st = whole(shard, "of", 1, &r->shards, at)) || (st = cases(root, r, at)) ||
        (st = comparisons(root, r, at)) || (st = declarations(root, r, at)) ||
        (st = gate(root, r, at)))
        return st;
    if (r->shard > r->shards)
        return wrong(at, "shard", "within its number");
    if (!att_json_real(root, "seconds", &r->seconds))
        return wrong(at, "seconds", "a number");
    return ATT_OK;
}

att_status att_result_read(const char *path, att_result *out, att_why *why)
{
    att_result r = {0};
    place at = {path, why};
    cJSON *root = NULL;
    att_status st = att_json_read(path, LARGEST_FILE, &root, why);

    if (st)
        return st;
    st = parse(root, &r, &at);
    cJSON_Delete(root);
    if (st)
        att_result_clear(&r);
    else
        *out = r;
    return st;
}
