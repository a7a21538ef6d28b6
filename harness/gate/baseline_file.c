/* SPDX-License-Identifier: Apache-2.0 */
/* A baseline's file.  One case a line:
 *   {"id": "...", "runs": [{"items": {"hits": "<hex>", "n": 9, "questions": "<hex>"}, "metrics":
 *    {"bound_ratio": 0.012}, "seed": 1, "status": "pass"}]}
 * "scores" of the items where they are kept, null where one has none.  hits: item 0 is the highest
 * bit of the first digit.  A metric of a sample is {"n": .., "value":
 * ..}.  "reason" and "tolerance" of a case where it has them. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/declare.h"
#include "gate/baseline_own.h"
#include "gate/strict.h"

#define LARGEST_FILE ((size_t)1 << 28)

/* -------------------------------------------------------------------------------- writing */

static void put_value(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, ATT_BASELINE_DIGITS, x);
    else
        att_json_put_real(f, x);
}

/* Where some item has one; null where one has none. */
static void put_scores(FILE *f, const att_record *r)
{
    size_t finite = 0;

    for (size_t i = 0; i < r->n_items; i++)
        finite += isfinite(r->items[i].score) != 0;
    if (finite == 0)
        return;
    fputs(", \"scores\": [", f);
    for (size_t i = 0; i < r->n_items; i++)
        if (isfinite(r->items[i].score))
            fprintf(f, "%s" ATT_BASELINE_SCORE_DIGITS, i ? ", " : "", r->items[i].score);
        else
            fputs(i ? ", null" : "null", f);
    fputc(']', f);
}

static void put_items(FILE *f, const att_baseline_run *run)
{
    const att_record *r = &run->record;

    fputs("\"items\": {\"hits\": \"", f);
    for (size_t i = 0; i < r->n_items; i += 4) {
        unsigned digit = 0;
        for (size_t k = i; k < i + 4; k++)
            digit = 2 * digit + (k < r->n_items && r->items[k].hit);
        fprintf(f, "%x", digit);
    }
    fprintf(f, "\", \"n\": %zu, \"questions\": \"%016" PRIx64 "\"", r->n_items, run->questions);
    put_scores(f, r);
    fputs("}, ", f);
}

static void put_run(FILE *f, const att_baseline_run *run)
{
    const att_record *r = &run->record;

    fputc('{', f);
    if (r->n_items > 0)
        put_items(f, run);
    if (r->n_metrics > 0)
        fputs("\"metrics\": {", f);
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        fputs(i ? ", " : "", f);
        att_json_put_text(f, m->name);
        if (m->n > 0)
            fprintf(f, ": {\"n\": %" PRId64 ", \"value\": ", m->n);
        else
            fputs(": ", f);
        put_value(f, m->value);
        fputs(m->n > 0 ? "}" : "", f);
    }
    fprintf(f, "%s\"seed\": %" PRIu64 ", \"status\": \"%s\"}", r->n_metrics > 0 ? "}, " : "",
            r->seed, att_outcome_name(r->status));
}

static void put_case(FILE *f, const att_baseline_case *c)
{
    fputs("{\"id\": ", f);
    att_json_put_text(f, c->id);
    if (c->reason) {
        fputs(", \"reason\": ", f);
        att_json_put_text(f, c->reason);
    }
    fputs(", \"runs\": [", f);
    for (size_t i = 0; i < c->n_runs; i++) {
        fputs(i ? ", " : "", f);
        put_run(f, &c->runs[i]);
    }
    fputc(']', f);
    if (!isnan(c->tolerance))
        fprintf(f, ", \"tolerance\": %.17g", c->tolerance);
    fputc('}', f);
}

att_status att_baseline_write(const att_baseline *b, const char *path, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    bool full = !f;

    if (f) {
        fputs("{\n\"cases\": [", f);
        for (size_t i = 0; i < b->n_cases; i++) {
            fputs(i ? ",\n" : "\n", f);
            put_case(f, &b->cases[i]);
        }
        fputs("\n],\n\"kernels\": [", f);
        for (size_t i = 0; i < b->n_declarations; i++) {
            fputs(i ? ",\n" : "\n", f);
            att_declaration_print(&b->declarations[i], f);
        }
        fputs("\n],\n\"reason\": ", f);
        att_json_put_text(f, b->reason);
        fprintf(f, ",\n\"schema_version\": \"%d.%d\",\n\"suite\": ", ATT_BASELINE_MAJOR,
                ATT_BASELINE_MINOR);
        att_json_put_text(f, b->suite);
        fputs("\n}\n", f);
        full = ferror(f) != 0;
        full = fclose(f) != 0 || full;
    }
    const bool written = !full && att_file_write(path, text, length);
    if (!written)
        att_why_set(why, "%s: %s", path, full ? "no memory" : strerror(errno));
    free(text);
    return written ? ATT_OK : full ? ATT_NO_MEMORY : ATT_IO;
}

/* -------------------------------------------------------------------------------- reading */

static att_status no_memory(const att_strict *s)
{
    att_why_set(s->why, "%s: no memory", s->name);
    return ATT_NO_MEMORY;
}

static bool hex64(const char *text, uint64_t *out)
{
    if (strlen(text) != 16 || text[strspn(text, "0123456789abcdef")])
        return false;
    *out = strtoull(text, NULL, 16);
    return true;
}

static att_status read_scores(const att_strict *s, const cJSON *list, att_record *r)
{
    size_t i = 0;

    if ((size_t)cJSON_GetArraySize(list) != r->n_items)
        return att_strict_bad(s, list, "\"scores\" does not have %zu elements", r->n_items);
    for (const cJSON *c = list->child; c; c = c->next, i++) {
        if (cJSON_IsNumber(c))
            r->items[i].score = c->valuedouble;
        else if (!cJSON_IsNull(c))
            return att_strict_bad(s, c, "a score is neither a number nor null");
    }
    return ATT_OK;
}

static att_status read_items(const att_strict *s, const cJSON *object, att_baseline_run *run)
{
    static const char digits[] = "0123456789abcdef";
    const char *hits = "", *questions = "";
    const cJSON *scores = NULL;
    int64_t n = 0;
    const att_strict_member members[] = {{"hits", ATT_STRICT_TEXT, true, &hits},
                                         {"n", ATT_STRICT_WHOLE, true, &n},
                                         {"questions", ATT_STRICT_TEXT, true, &questions},
                                         {"scores", ATT_STRICT_LIST, false, &scores},
                                         {NULL, 0, false, NULL}};
    att_status status = att_strict_read(s, object, members);

    if (status != ATT_OK)
        return status;
    if (n < 1 || n > (int64_t)s->length * 4 || strlen(hits) != ((size_t)n + 3) / 4 ||
        hits[strspn(hits, digits)])
        return att_strict_bad(s, object, "\"hits\" is not %" PRId64 " bits in hexadecimal", n);
    if (!hex64(questions, &run->questions))
        return att_strict_bad(s, object, "\"questions\" is not 16 hexadecimal digits");
    if (!(run->record.items = calloc((size_t)n, sizeof *run->record.items)))
        return no_memory(s);
    run->record.n_items = (size_t)n;
    for (size_t i = 0; i < (size_t)n; i++) {
        const size_t digit = (size_t)(strchr(digits, hits[i / 4]) - digits);
        run->record.items[i] = (att_item){.hit = digit >> (3 - i % 4) & 1, .score = NAN, .at = NAN};
    }
    const size_t last = (size_t)(strchr(digits, hits[(n - 1) / 4]) - digits);
    if (last & ((1u << ((4 - n % 4) % 4)) - 1))
        return att_strict_bad(s, object, "\"hits\" has bits behind its last item");
    return scores ? read_scores(s, scores, &run->record) : ATT_OK;
}

/* A number, or {"n": .., "value": ..}; infinite as {"nonfinite": "inf"}; never NaN. */
static att_status read_metric(const att_strict *s, const cJSON *node, att_metric *m)
{
    const cJSON *value = node;

    *m = (att_metric){.name = strdup(node->string),
                      .lo = NAN,
                      .hi = NAN,
                      .limit = NAN,
                      .baseline = NAN,
                      .verdict = -1};
    if (!m->name)
        return no_memory(s);
    if (att_json_get(node, "n")) {
        const att_strict_member members[] = {{"n", ATT_STRICT_WHOLE, true, &m->n},
                                             {"value", ATT_STRICT_ANY, true, &value},
                                             {NULL, 0, false, NULL}};
        att_status status = att_strict_read(s, node, members);
        if (status != ATT_OK)
            return status;
        if (m->n < 1)
            return att_strict_bad(s, node, "\"n\" of %.80s is not at least 1", m->name);
    }
    if (!att_json_number(value, &m->value) || isnan(m->value))
        return att_strict_bad(s, node, "\"%.80s\" is not a number", m->name);
    return ATT_OK;
}

static att_status read_metrics(const att_strict *s, const cJSON *object, att_record *r)
{
    att_status status = ATT_OK;
    const char *before = "";

    if (!(r->metrics = calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof *r->metrics)))
        return no_memory(s);
    for (const cJSON *c = object->child; c && status == ATT_OK; c = c->next) {
        if (strcmp(before, c->string) > 0)
            status = att_strict_bad(s, c, "metrics are not sorted: %.80s", c->string);
        else
            status = read_metric(s, c, &r->metrics[r->n_metrics++]);
        before = c->string;
    }
    return status;
}

static att_status read_run(const att_strict *s, const cJSON *node, const char *id,
                           att_baseline_run *run)
{
    const cJSON *items = NULL, *metrics = NULL;
    const char *outcome = "";
    int64_t seed = 0;
    const att_strict_member members[] = {{"items", ATT_STRICT_OBJECT, false, &items},
                                         {"metrics", ATT_STRICT_OBJECT, false, &metrics},
                                         {"seed", ATT_STRICT_WHOLE, true, &seed},
                                         {"status", ATT_STRICT_TEXT, true, &outcome},
                                         {NULL, 0, false, NULL}};
    att_status status = att_strict_read(s, node, members);
    const int ended = att_outcome_named(outcome);

    if (status != ATT_OK)
        return status;
    if (seed < 0 || ended < 0)
        return att_strict_bad(s, node, "\"%s\" is not one of its values",
                              seed < 0 ? "seed" : "status");
    run->record.seed = (uint64_t)seed;
    run->record.status = (att_outcome)ended;
    run->record.chance = NAN;
    if (!att_baseline_identify(id, &run->record))
        return no_memory(s);
    if (items)
        status = read_items(s, items, run);
    if (status == ATT_OK && metrics)
        status = read_metrics(s, metrics, &run->record);
    return status;
}

static att_status read_case(const att_strict *s, const cJSON *node, const char *before,
                            att_baseline_case *c)
{
    const cJSON *runs = NULL;
    const char *id = "", *reason = NULL;
    const att_strict_member members[] = {{"id", ATT_STRICT_TEXT, true, &id},
                                         {"reason", ATT_STRICT_TEXT, false, &reason},
                                         {"runs", ATT_STRICT_LIST, true, &runs},
                                         {"tolerance", ATT_STRICT_REAL, false, &c->tolerance},
                                         {NULL, 0, false, NULL}};
    att_status status;

    c->tolerance = NAN;
    if ((status = att_strict_read(s, node, members)) != ATT_OK)
        return status;
    if (before && strcmp(before, id) >= 0)
        return att_strict_bad(s, node, "case '%.200s' is there twice or not in order", id);
    if (c->tolerance < 0 || !runs->child)
        return att_strict_bad(s, node, "\"%s\" of case '%.200s' is %s",
                              runs->child ? "tolerance" : "runs", id,
                              runs->child ? "negative" : "empty");
    c->runs = calloc((size_t)cJSON_GetArraySize(runs), sizeof *c->runs);
    c->id = strdup(id);
    c->reason = reason ? strdup(reason) : NULL;
    if (!c->runs || !c->id || (reason && !c->reason))
        return no_memory(s);
    for (const cJSON *r = runs->child; r && status == ATT_OK; r = r->next) {
        const size_t at = c->n_runs++;
        status = read_run(s, r, id, &c->runs[at]);
        if (status == ATT_OK && at > 0 && c->runs[at - 1].record.seed >= c->runs[at].record.seed)
            status = att_strict_bad(s, r, "a seed is there twice or not in order");
    }
    return status;
}

static att_status read_declarations(const att_strict *s, const cJSON *list, att_baseline *b)
{
    att_why inner = {""};

    if (!(b->declarations = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *b->declarations)))
        return no_memory(s);
    for (const cJSON *c = list->child; c; c = c->next) {
        if (att_declaration_parse(c, &b->declarations[b->n_declarations], &inner) != ATT_OK)
            return att_strict_bad(s, c, "%s", inner.text);
        const att_declaration *d = &b->declarations[b->n_declarations++];
        if (b->n_declarations > 1 && strcmp(d[-1].kernel, d->kernel) >= 0)
            return att_strict_bad(s, c, "kernel %.200s is there twice or not in order", d->kernel);
    }
    return ATT_OK;
}

static att_status read_all(const att_strict *s, att_baseline *b)
{
    const cJSON *cases = NULL, *kernels = NULL;
    const char *suite = "", *reason = "", *version = "", *before = NULL;
    const att_strict_member members[] = {{"cases", ATT_STRICT_LIST, true, &cases},
                                         {"kernels", ATT_STRICT_LIST, true, &kernels},
                                         {"reason", ATT_STRICT_TEXT, true, &reason},
                                         {"schema_version", ATT_STRICT_TEXT, true, &version},
                                         {"suite", ATT_STRICT_TEXT, true, &suite},
                                         {NULL, 0, false, NULL}};
    att_status status = att_strict_read(s, s->root, members);

    if (status != ATT_OK)
        return status;
    b->suite = strdup(suite);
    b->reason = strdup(reason);
    b->cases = calloc((size_t)cJSON_GetArraySize(cases) + 1, sizeof *b->cases);
    if (!b->suite || !b->reason || !b->cases)
        return no_memory(s);
    for (const cJSON *c = cases->child; c && status == ATT_OK; c = c->next) {
        att_baseline_case *made = &b->cases[b->n_cases++];
        status = read_case(s, c, before, made);
        before = made->id;
    }
    return status == ATT_OK ? read_declarations(s, kernels, b) : status;
}

att_status att_baseline_parse(const char *text, size_t length, const char *name, att_baseline *out,
                              att_why *why)
{
    att_strict s = {0};
    att_baseline b = {0};
    att_status status =
        att_strict_open(text, length, name, "baselines", ATT_BASELINE_MAJOR, &s, why);

    if (status != ATT_OK)
        return status;
    status = read_all(&s, &b);
    att_strict_close(&s);
    if (status == ATT_OK)
        *out = b;
    else
        att_baseline_drop(&b);
    return status;
}

att_status att_baseline_read(const char *path, att_baseline *out, att_why *why)
{
    size_t length = 0;
    char *text = NULL;
    att_status status = att_strict_file(path, LARGEST_FILE, &text, &length, why);

    if (status == ATT_OK)
        status = att_baseline_parse(text, length, path, out, why);
    free(text);
    return status;
}
